"""Small videos, and models that hide everything or find nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from anonlib import anonymizers
from anonlib.detection import Faces
from anonlib.video import Models


def faces_at(*boxes: Sequence[float]) -> Faces:
    return Faces(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        scores=torch.ones(len(boxes)),
        landmarks=torch.full((len(boxes), 5, 2), float("nan")),
    )


def everything(frames: Tensor) -> list[Faces]:
    """The whole frame is a face."""
    height, width = frames.shape[2:]
    return [faces_at((0, 0, width, height)) for _ in frames]


def nothing(frames: Tensor) -> list[Faces]:
    return [faces_at() for _ in frames]


MASK_ALL = Models(detector=everything, anonymizer=anonymizers.create("mask"), hashes={"x": "1"})
FIND_NONE = Models(detector=nothing, anonymizer=anonymizers.create("mask"))


@pytest.fixture
def mask_all() -> Models:
    return MASK_ALL


@pytest.fixture
def find_none() -> Models:
    return FIND_NONE


def picture(index: int, height: int, width: int) -> np.ndarray:
    """Bright smooth colours that change with the index; never near black."""
    y, x = np.mgrid[:height, :width]
    red = 120 + 100 * np.sin(x / 9 + index / 3)
    green = 140 + 90 * np.cos(y / 7 - index / 5)
    blue = np.full_like(red, 90 + 8 * (index % 10))
    return np.stack([red, green, blue], 2).clip(40, 255).astype(np.uint8)


def make_video(
    path: Path,
    *,
    pts: Sequence[int] = range(12),
    base: Fraction = Fraction(1, 25),
    size: tuple[int, int] = (64, 96),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    matrix: Sequence[int] | None = None,
    sound: Sequence[str] = (),
    colours: Mapping[str, int] | None = None,
    metadata: Mapping[str, str] | None = None,
    container: str | None = None,
) -> Path:
    """A video of `picture(i)` at these time stamps, with a second of sound in each codec of `sound`."""
    height, width = size
    with av.open(str(path), "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.time_base = base
        stream.codec_context.gop_size = 4
        if codec == "libx264":
            stream.options = {"crf": "4", "preset": "ultrafast"}
        for name, value in (colours or {}).items():
            setattr(stream.codec_context, name, value)
        if matrix is not None:
            stream.set_display_matrix(list(matrix))
        out.metadata.update(metadata or {})
        tracks: list[Any] = [out.add_stream(name, rate=48000) for name in sound]
        for number, track in enumerate(tracks):
            track.metadata["language"] = ("deu", "ita", "fra")[number]
        for number, track in enumerate(tracks):  # the first packet writes the header
            for packet in _second_of_sound(track, 440 * (number + 1)):
                out.mux(packet)
        for index, stamp in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(picture(index, height, width), format="rgb24")
            frame.pts, frame.time_base = stamp, base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _second_of_sound(track: Any, pitch: int) -> list[av.Packet]:
    wave = np.sin(np.arange(48000) * pitch * 2 * np.pi / 48000) * 8000
    packets = []
    for start in range(0, 48000, 4800):
        part = np.repeat(wave[start : start + 4800], 2).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(part, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        packets += track.encode(frame)
    return packets + track.encode(None)


@pytest.fixture
def video(tmp_path: Path) -> Callable[..., Path]:
    """Makes a video in the test's folder."""

    def make(name: str = "a.mp4", **options: Any) -> Path:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        return make_video(tmp_path / name, **options)

    return make


def frames_of(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def stamps(path: Path) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in frames_of(path)]  # type: ignore[operator]


def pixels(path: Path) -> np.ndarray:
    """`(N, H, W, 3)` uint8 RGB as a player shows them, not turned."""
    return np.stack([frame.to_ndarray(format="rgb24") for frame in frames_of(path)])

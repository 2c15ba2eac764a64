"""Frames of a video file, or of a folder with numbered pictures, and the faces in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anonlib.data.images import read_image, resize_picture
from anonlib.errors import ActionDatasetError
from anonlib.types import ActionFrames

if TYPE_CHECKING:
    from av.container import InputContainer

SAME_RATE = 0.01
"""Two frame rates count as equal if they differ by less than this share; metadata rounds them."""
_SEE = "see data/README.md"

DetectFaces = Callable[[Tensor], Sequence[tuple[Tensor, Tensor]]]
"""Takes frames `(B, 3, H, W)` in [0, 1]; returns the boxes `(k, 4)` and landmarks `(k, 5, 2)` of each."""
Faces = list[tuple[Tensor, Tensor]]
"""Boxes `(k, 4)` and landmarks `(k, 5, 2)` of each frame, in pixels."""


def read_clip(path: Path) -> Tensor:
    """All frames of a video file, or of a folder with numbered pictures; `(T, 3, H, W)` uint8 RGB.

    Frames are counted by decoding them: the headers of JHMDB's videos state too many.

    Raises:
        ActionDatasetError: nothing can be decoded.
    """
    if path.is_dir():
        frames = [read_image(p) for p in sorted(path.glob("*.png")) + sorted(path.glob("*.jpg"))]
    else:
        import av

        try:
            with av.open(str(path)) as video:
                arrays = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        except (av.FFmpegError, IndexError) as error:
            raise ActionDatasetError(
                f"clip '{path}' cannot be decoded ({error}): fetch it again, {_SEE}"
            ) from error
        frames = [torch.from_numpy(array).permute(2, 0, 1) for array in arrays]
    if not frames:
        raise ActionDatasetError(f"clip '{path}' holds no frames: fetch it again, {_SEE}")
    return torch.stack(frames)


def count_frames(path: Path) -> int:
    """Number of frames of a video file or of a folder of pictures, without decoding; 0 if unreadable."""
    if path.is_dir():
        return sum(1 for _ in path.glob("[!.]*.[pj][np]g"))
    import av

    try:
        with av.open(str(path)) as video:
            return sum(packet.size > 0 for packet in video.demux(video.streams.video[0]))
    except (av.FFmpegError, IndexError, OSError):
        return 0


def read_frames(source: Path, numbers: Sequence[int], *, rate: float, size: tuple[int, int]) -> Tensor:
    """Frames of a video by number, stretched to one size.

    The source is a video file, or a folder of pictures whose names end in the number. Numbers count from 1.
    Frame n of a video file is the one shown at (n - 0.5) / rate seconds, so a copy with another frame rate
    gives the same pictures. Decoding starts at the last key frame before it.

    Returns:
        `(len(numbers), 3, *size)` uint8 RGB.

    Raises:
        ActionDatasetError: the source is damaged, or ends before a frame.
    """
    if source.is_dir():
        return torch.stack([resize_picture(read_image(path), size) for path in _numbered(source, numbers)])
    import av

    try:
        with av.open(str(source)) as video:
            return torch.stack([resize_picture(_decode(video, n, rate, source), size) for n in numbers])
    except (av.FFmpegError, IndexError, OSError) as error:
        raise ActionDatasetError(
            f"video '{source}' cannot be decoded ({error}): fetch it again, {_SEE}"
        ) from error


def _numbered(folder: Path, numbers: Sequence[int]) -> list[Path]:
    paths = {
        int(number[1]): path
        for path in folder.iterdir()
        if (number := re.search(r"(\d+)\.(?:jpg|jpeg|png)$", path.name))
    }
    if missing := [n for n in numbers if n not in paths]:
        raise ActionDatasetError(
            f"folder '{folder}' lacks frame {missing[0]} and {len(missing) - 1} more of its keyframes: "
            f"extract the frames again, {_SEE}"
        )
    return [paths[n] for n in numbers]


def _decode(video: InputContainer, number: int, rate: float, source: Path) -> Tensor:
    """The frame with that number, `(3, H, W)` uint8."""
    stream = video.streams.video[0]
    own = float(stream.average_rate or rate)
    base = float(stream.time_base or 1)
    target = (number - 0.5) / (own if abs(own / rate - 1) < SAME_RATE else rate) / base
    target += stream.start_time or 0
    video.seek(int(target), stream=stream, backward=True)
    shown = None
    for frame in video.decode(stream):
        if frame.pts is None or frame.pts > target:
            break
        shown = frame
    if shown is None or shown.pts is None or target - shown.pts > 1.5 / own / base:
        raise ActionDatasetError(
            f"video '{source}' ends before its frame {number}: it is cut short, fetch it again, {_SEE}"
        )
    return torch.from_numpy(shown.to_ndarray(format="rgb24")).permute(2, 0, 1)


def find_faces(frames: Tensor, detect: DetectFaces | None) -> Faces:
    """Faces in uint8 frames `(T, 3, H, W)`; none without a detector."""
    if detect is None:
        return [(torch.zeros(0, 4), torch.zeros(0, 5, 2))] * len(frames)
    return [(boxes.cpu().float(), points.cpu().float()) for boxes, points in detect(frames.float() / 255)]


def action_frames(
    frames: Tensor, *, boxes: list[Tensor], labels: list[Tensor], clips: Tensor, faces: Faces
) -> ActionFrames:
    """Frames with their boxes and faces; the identity of a real face is unknown, -1."""
    return ActionFrames(
        frames=frames,
        boxes=boxes,
        labels=labels,
        face_boxes=[found for found, _ in faces],
        landmarks=[points for _, points in faces],
        identities=[torch.full((len(found),), -1) for found, _ in faces],
        clips=clips,
    )

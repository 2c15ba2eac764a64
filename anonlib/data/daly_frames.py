"""Single frames of a long video by number, from a folder of pictures or decoded one by one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from anonlib.data.images import read_image
from anonlib.errors import ActionDatasetError

if TYPE_CHECKING:
    from av.container import InputContainer

FOLDERS = ("frames", "DALY_frames", "videos", "DALY_videos", "")
"""Where a video's frames or file may lie, below DALY's root."""
SAME_RATE = 0.01
"""Frame rates that differ by a smaller share are one rate, once rounded."""
_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi")
_SEE = "see data/README.md#daly"


def find_frames(root: Path, video: str) -> Path:
    """The folder of a video's frames, or its file; another container than .mp4 serves too.

    Raises:
        ActionDatasetError: there is neither.
    """
    stem = Path(video).stem
    names = (video, stem, *(stem + suffix for suffix in _SUFFIXES))
    for path in (root / folder / name for folder in FOLDERS for name in names):
        if path.exists():
            return path
    raise ActionDatasetError(
        f"DALY root '{root}' lacks the video '{video}': put it into videos/, or its frames into "
        f"frames/{video}/; DALY's authors keep copies of what YouTube lost, {_SEE}"
    )


def read_frames(
    source: Path, numbers: Sequence[int], *, rate: float, size: tuple[int, int]
) -> Tensor:
    """Frames of a video by number, stretched to one size.

    In a file, frame n is the one that is shown at (n - 0.5) / rate seconds, so that a copy with
    another frame rate serves too. Nothing is decoded but the way to it from the nearest frame
    before it that can be decoded on its own.

    Args:
        source: a file, or a folder of pictures whose names end in the number.
        numbers: from 1, rising.
        rate: frames a second by which they are numbered.
        size: height and width.

    Returns:
        `(len(numbers), 3, H, W)` uint8 RGB.

    Raises:
        ActionDatasetError: the source is damaged, or ends before a frame.
    """
    if source.is_dir():
        return torch.cat([_stretch(p, size) for p in _pictures(source, numbers)])
    import av

    try:
        with av.open(str(source)) as video:
            return torch.cat([_stretch(_decode(video, n, rate, source), size) for n in numbers])
    except (av.FFmpegError, IndexError, OSError) as error:
        raise ActionDatasetError(
            f"video '{source}' cannot be decoded ({error}): fetch it again, {_SEE}"
        ) from error


def _pictures(folder: Path, numbers: Sequence[int]) -> list[Tensor]:
    places = {int(number[1]): path for path in folder.iterdir()
              if (number := re.search(r"(\d+)\.(?:jpg|jpeg|png)$", path.name))}  # fmt: skip
    if missing := [n for n in numbers if n not in places]:
        raise ActionDatasetError(
            f"folder '{folder}' lacks frame {missing[0]} and {len(missing) - 1} more of its "
            f"keyframes: extract the frames again, {_SEE}"
        )
    return [read_image(places[n]) for n in numbers]


def _decode(video: InputContainer, number: int, rate: float, source: Path) -> Tensor:
    """The frame of that number, `(3, H, W)` uint8."""
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
            f"video '{source}' ends before its frame {number}: it is cut short, fetch it again, "
            f"{_SEE}"
        )
    return torch.from_numpy(shown.to_ndarray(format="rgb24")).permute(2, 0, 1)


def _stretch(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """`(1, 3, H, W)` uint8."""
    small = F.interpolate(picture[None].float(), size=size, mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).to(torch.uint8)

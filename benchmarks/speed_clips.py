"""Short inputs made from one clip: nobody in the picture, four times as many faces, 4K, photographs.

Each clip has its true faces beside it, as `benchmarks/clip.py` writes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from clip import RATE, make_clip

PHOTOGRAPH = (3000, 4000)
"""Height and width: 12 megapixels."""


def nobody(out: Path, *, frames: int) -> None:
    """A drawn room in which nobody is."""
    make_clip(out, frames=frames, people=(0, 0))


def larger(clip: Path, out: Path, *, frames: int) -> None:
    """The first frames at twice the width and height: 4K, if the clip is 1080p."""
    pictures, truth = _frames(clip, frames), _truth(clip, frames)
    first = next(pictures)
    size = 2 * first.height, 2 * first.width
    big = (f.reformat(width=size[1], height=size[0]).to_ndarray() for f in (first, *pictures))
    _write(out, big, size=size, truth=truth * [1, 1, 2, 2, 2, 2])


def crowded(clip: Path, out: Path, *, frames: int) -> None:
    """Four pictures in one, each half as wide and high, from later and later parts of the clip."""
    height, width, count = _shape(clip)
    starts = [round(part * (count - frames) / 3) for part in range(4)]
    quarters = [list(_small(clip, start, frames, (height // 2, width // 2))) for start in starts]
    rows = []
    for number, (start, corner) in enumerate(zip(starts, np.ndindex(2, 2), strict=True)):
        truth = _truth(clip, count)
        truth = truth[(truth[:, 0] >= start) & (truth[:, 0] < start + frames)] - [start, 0, 0, 0, 0, 0]
        y, x = corner[0] * (height // 2), corner[1] * (width // 2)
        rows.append(truth * [1, 1, 0.5, 0.5, 0.5, 0.5] + [0, 100 * number, x, y, x, y])
    tiled = (np.vstack([np.hstack(four[:2]), np.hstack(four[2:])]) for four in zip(*quarters, strict=True))
    pixels = (av.VideoFrame.from_ndarray(p, format="rgb24").reformat(format="yuv420p") for p in tiled)
    size = height // 2 * 2, width // 2 * 2
    _write(out, (p.to_ndarray() for p in pixels), size=size, truth=np.concatenate(rows))


def photographs(clip: Path, folder: Path, *, count: int) -> None:
    """So many frames of the clip, far apart, as JPEG files of 12 megapixels."""
    folder.mkdir()
    height, width, frames = _shape(clip)
    scale = max(PHOTOGRAPH[0] / height, PHOTOGRAPH[1] / width)
    for number in range(count):
        [frame] = islice(_frames(clip, frames), number * frames // count, number * frames // count + 1)
        image = frame.to_image(width=round(width * scale), height=round(height * scale))
        left, top = (image.width - PHOTOGRAPH[1]) // 2, (image.height - PHOTOGRAPH[0]) // 2
        image = image.crop((left, top, left + PHOTOGRAPH[1], top + PHOTOGRAPH[0]))
        image.save(folder / f"{number}.jpg", quality=92)


def _shape(clip: Path) -> tuple[int, int, int]:
    """Height, width and number of frames."""
    with np.load(clip.with_suffix(".npz")) as stored:
        return int(stored["size"][0]), int(stored["size"][1]), int(stored["frames"])


def _truth(clip: Path, frames: int) -> np.ndarray:
    with np.load(clip.with_suffix(".npz")) as stored:
        rows = stored["faces"].reshape(-1, 6)
    return rows[rows[:, 0] < frames]


def _frames(clip: Path, count: int) -> Iterator[av.VideoFrame]:
    with av.open(str(clip)) as container:
        yield from islice(container.decode(video=0), count)


def _small(clip: Path, start: int, count: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
    for frame in islice(_frames(clip, start + count), start, None):
        yield frame.reformat(width=size[1], height=size[0], format="rgb24").to_ndarray()


def _write(out: Path, pictures: Iterator[np.ndarray], *, size: tuple[int, int], truth: np.ndarray) -> None:
    """Encodes yuv420p arrays, and writes their true faces."""
    number = 0
    with av.open(str(out), "w") as container:
        stream = container.add_stream(
            "libx264", rate=Fraction(RATE), options={"preset": "veryfast", "crf": "20"}
        )
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for number, pixels in enumerate(pictures, start=1):  # noqa: B007
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="yuv420p")))
        container.mux(stream.encode(None))
    np.savez(out.with_suffix(".npz"), faces=truth, size=np.array(size), frames=number)

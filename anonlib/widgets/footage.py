"""Where a player's pictures come from: frames, a file or a camera."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anonlib.errors import ImageError
from anonlib.video.opening import is_live, title
from anonlib.video.reader import VideoReader
from anonlib.video.settings import Settings

T = TypeVar("T")
Timed = tuple[float, NDArray[Any]]
"""Seconds from the beginning, and `(H, W, 3)` uint8 RGB."""
LONGEST = 640
"""Files and cameras are reduced to this longer side, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """A source of pictures that can be opened many times."""

    name: str
    """Its name in messages."""
    live: bool
    """Whether it is a camera or a stream, which cannot be paused."""
    open: Callable[[threading.Event], Generator[Timed]]
    """Yields the pictures from the beginning; setting the event ends a camera."""


def footage(source: str | Path | Tensor, *, rate: float) -> Footage:
    """The pictures of a file, `camera:0`, an address, or frames `(N, 3, H, W)` uint8 RGB at this rate.

    Raises:
        ImageError: the frames have another shape or type.
    """
    if not isinstance(source, Tensor):
        live = is_live(source)
        video = partial(_of_video, source)
        opening = (lambda stop: newest(video(stop))) if live else video
        return Footage(name=title(source), live=live, open=opening)
    if source.ndim != 4 or source.shape[1] != 3 or str(source.dtype) != "torch.uint8":
        raise ImageError(
            f"frames of shape {tuple(source.shape)} and type {source.dtype}: pass RGB as (N, 3, H, W) uint8"
        )
    return Footage(name="frames", live=False, open=lambda _: _of_frames(source, rate))


def _of_frames(frames: Tensor, rate: float) -> Generator[Timed]:
    for index, frame in enumerate(frames):
        yield index / rate, frame.permute(1, 2, 0).contiguous().numpy()


def _of_video(source: str | Path, stop: threading.Event) -> Generator[Timed]:
    with VideoReader(source, Settings(audio=False), stop=stop) as reader:
        for picture in reader.pictures("yuv420p"):
            pixels = picture.small(LONGEST).permute(1, 2, 0).mul(255).round()
            yield picture.frame.time or 0.0, np.ascontiguousarray(pixels.byte().numpy())


def newest(items: Generator[T]) -> Generator[T]:
    """Reads the items in a thread and yields the newest one each time; older ones are skipped.

    So a slow consumer of a camera gets fewer pictures, but no old ones. An error is raised after
    the item before it.
    """
    box: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()  # an item, then how it ended
    left = threading.Event()

    def fill() -> None:
        error: BaseException | None = None
        try:
            with closing(items):
                for item in items:
                    if left.is_set():
                        break
                    with suppress(Empty):
                        box.get_nowait()
                    box.put((item,))
        except BaseException as raised:
            error = raised
        box.put(error)

    thread = threading.Thread(target=fill, name="newest", daemon=True)
    thread.start()
    try:
        while isinstance(entry := box.get(), tuple):
            yield entry[0]
    finally:
        left.set()
        thread.join(10)
    if entry is not None:
        raise entry

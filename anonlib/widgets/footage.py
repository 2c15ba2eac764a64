"""Where the live demo's pictures come from: frames in memory, a file, or a camera."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anonlib.errors import ImageError
from anonlib.video.opening import is_live, title
from anonlib.video.reader import VideoReader

T = TypeVar("T")
Timed = tuple[float, NDArray[Any]]
"""Seconds from the beginning, and `(H, W, 3)` uint8 RGB."""
LONGEST = 640
"""Pixels of the longer side to which files and cameras are reduced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """Pictures that can be opened again and again."""

    name: str
    """What messages call it."""
    live: bool
    """Whether it goes on without us, as a camera does."""
    open: Callable[[threading.Event], Generator[Timed]]
    """Begins anew; the event ends a camera."""


def footage(source: str | Path | Tensor, *, rate: float) -> Footage:
    """What can be played of a source.

    Args:
        source: a file, `camera:0`, an address, or frames `(N, 3, H, W)` uint8 RGB.
        rate: frames a second, of frames in memory.

    Raises:
        ImageError: frames of another shape or type.
    """
    if isinstance(source, Tensor):
        _check_frames(source)
        return Footage(name="frames", live=False, open=lambda _: _of_frames(source, rate))
    live = is_live(source)
    return Footage(name=title(source), live=live, open=lambda stop: _of_video(source, live, stop))


def _check_frames(frames: Tensor) -> None:
    """Refuses what are no frames."""
    if frames.ndim != 4 or frames.shape[1] != 3 or str(frames.dtype) != "torch.uint8":
        raise ImageError(
            f"frames of shape {tuple(frames.shape)} and type {frames.dtype}: pass RGB as (N, 3, H, W) uint8"
        )


def _of_frames(frames: Tensor, rate: float) -> Generator[Timed]:
    for index, frame in enumerate(frames):
        yield index / rate, frame.permute(1, 2, 0).contiguous().numpy()


def _of_video(source: str | Path, live: bool, stop: threading.Event) -> Generator[Timed]:
    decoded = _decoded(source, stop)
    with closing(newest(decoded) if live else decoded) as pictures:
        yield from pictures


def _decoded(source: str | Path, stop: threading.Event) -> Generator[Timed]:
    with VideoReader(source, audio=False, stop=stop) as reader:
        for picture in reader.pictures("yuv420p"):
            pixels = picture.small(LONGEST).permute(1, 2, 0).mul(255).round()
            yield picture.frame.time or 0.0, np.ascontiguousarray(pixels.byte().numpy())


def newest(items: Generator[T]) -> Generator[T]:
    """The item that came last, each time it is asked; those that came meanwhile are passed over.

    So a slow consumer sees fewer pictures of a camera, and none that are old. An error comes out
    after the item before it.
    """
    changed, left = threading.Condition(), threading.Event()
    waiting: list[T] = []
    ended: list[BaseException | None] = []

    def fill() -> None:
        error: BaseException | None = None
        try:
            with closing(items):
                for item in items:
                    if left.is_set():
                        break
                    with changed:
                        waiting[:] = [item]
                        changed.notify_all()
        except BaseException as raised:
            error = raised
        with changed:
            ended.append(error)
            changed.notify_all()

    thread = threading.Thread(target=fill, name="newest", daemon=True)
    thread.start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: bool(waiting or ended))
                if not waiting:
                    break
                item = waiting.pop()
            yield item
    finally:
        left.set()
        thread.join(10)
    if ended[0] is not None:
        raise ended[0]

"""Computes the items of an iterable in advance, on a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import closing, nullcontext, suppress
from typing import TypeVar

LEAVE_SECONDS = 10.0
"""Longest wait for the thread when `ahead` is closed early: a camera may never answer."""

T = TypeVar("T")


def ahead(iterable: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Yields the items of an iterable in order. A thread makes them in advance, at most `depth` + 1.

    The thread starts when the first item is asked for. It ends with the iterable, or when this
    generator is closed; it then closes the iterable if that is a generator.

    Raises:
        BaseException: what the iterable raised, with its traceback, after the items before it.

    >>> list(ahead(range(5), depth=2))
    [0, 1, 2, 3, 4]
    """
    if depth < 1:
        raise ValueError(f"depth {depth}: use 1 or more")
    waiting: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(depth)
    left = threading.Event()

    def fill() -> None:
        end: BaseException | None = None
        try:
            iterator = iter(iterable)
            with closing(iterator) if isinstance(iterator, Generator) else nullcontext():
                for item in iterator:
                    waiting.put((item,))
                    del item  # a picture is not kept while the next one is made
                    if left.is_set():
                        break
        except BaseException as error:
            end = error
        if not left.is_set():
            waiting.put(end)

    thread = threading.Thread(target=fill, name="ahead", daemon=True)
    thread.start()
    try:
        while isinstance(got := waiting.get(), tuple):
            yield got[0]
            del got
        if got is not None:
            raise got
    finally:
        left.set()
        with suppress(queue.Empty):
            while True:  # makes room for the item that the thread is about to put
                waiting.get_nowait()
        thread.join(LEAVE_SECONDS)

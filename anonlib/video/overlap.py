"""Work that runs ahead in a thread of its own, so that its consumer never waits for all of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
LEAVE_SECONDS = 10.0
"""How long a consumer that leaves waits for the producer's last item; a camera may hang."""


class _Channel(Generic[T]):
    """A bounded queue whose producer learns that the consumer has left."""

    def __init__(self, depth: int) -> None:
        self.items: deque[T] = deque()
        self.depth = depth
        self.changed = threading.Condition()
        self.closed = False
        self.finished = False
        self.error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Waits for room; False if the consumer has left."""
        with self.changed:
            self.changed.wait_for(lambda: self.closed or len(self.items) < self.depth)
            self.items.append(item)
            self.changed.notify_all()
            return not self.closed

    def finish(self, error: BaseException | None) -> None:
        with self.changed:
            self.finished, self.error = True, error
            self.changed.notify_all()

    def drain(self) -> Iterator[T]:
        """Items in order until the producer has finished; raises what it raised."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: bool(self.items) or self.finished)
                if not self.items:
                    break
                item = self.items.popleft()
                self.changed.notify_all()
            yield item
            del item  # a picture is not kept while the next is waited for
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.items.clear()
            self.changed.notify_all()


def ahead(iterable: Iterable[T], depth: int) -> Generator[T, None, None]:
    """The items of an iterable, in order, made in a thread at most `depth` items ahead.

    The thread starts with the first item asked for and ends with the iterable, with an error in
    it, or when this generator is closed. It closes the iterable where that can be closed.

    Args:
        iterable: is iterated over in the thread alone.
        depth: items that may wait, 1 or more; one more is in the making.

    Yields:
        Every item, as soon as it is there.

    Raises:
        BaseException: what the iterable raised, with its traceback, after the items before it.

    >>> list(ahead(range(5), depth=2))
    [0, 1, 2, 3, 4]
    """
    if depth < 1:
        raise ValueError(f"depth {depth}: use 1 or more")
    channel: _Channel[T] = _Channel(depth)
    thread = threading.Thread(target=_fill, args=(iterable, channel), name="ahead", daemon=True)
    thread.start()
    try:
        yield from channel.drain()
    finally:
        channel.close()
        thread.join(LEAVE_SECONDS)


def _fill(iterable: Iterable[T], channel: _Channel[T]) -> None:
    error: BaseException | None = None
    try:
        iterator = iter(iterable)
        try:
            for item in iterator:
                if not channel.put(item):
                    break
                del item
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
    except BaseException as raised:
        error = raised
    channel.finish(error)

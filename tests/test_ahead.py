from __future__ import annotations

import threading
import traceback

import pytest

from anonlib.ahead import ahead


def threads():
    return [t for t in threading.enumerate() if t.name == "ahead"]


def test_order_is_kept_and_the_thread_ends():
    assert list(ahead(iter(range(100)), depth=3)) == list(range(100))
    assert not threads()


def test_items_are_made_in_another_thread():
    made = list(ahead((threading.get_ident() for _ in range(2)), depth=1))
    assert made[0] == made[1] != threading.get_ident()


def test_no_more_than_depth_items_wait():
    made, room = [], threading.Event()

    def source():
        for i in range(50):
            made.append(i)
            if len(made) == 5:
                room.set()  # one taken, three waiting, one in the making
            yield i

    items = ahead(source(), depth=3)
    assert next(items) == 0
    assert room.wait(10)
    assert not threading.Event().wait(0.05)
    assert len(made) == 5
    items.close()


def test_a_consumer_that_leaves_ends_thread_and_source():
    closed = threading.Event()

    def source():
        try:
            yield from range(10**9)
        finally:
            closed.set()

    items = ahead(source(), depth=2)
    assert next(items) == 0
    items.close()
    assert closed.is_set() and not threads()


def test_errors_come_after_the_items_before_them_with_their_traceback():
    def broken():
        yield 1
        yield 2
        raise OSError("the camera is gone")

    items = ahead(broken(), depth=5)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(OSError, match="camera is gone") as caught:
        next(items)
    assert "broken" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert not threads()


def test_nothing_starts_before_the_first_item_is_asked_for():
    def source():
        raise AssertionError
        yield

    ahead(source(), depth=1).close()
    assert not threads()


def test_depth_is_at_least_one():
    with pytest.raises(ValueError, match="depth 0: use 1 or more"):
        next(ahead([1], depth=0))

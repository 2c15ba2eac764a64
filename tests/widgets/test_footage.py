from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path

import pytest
import torch

from anonlib.errors import ImageError, VideoError
from anonlib.video.demo_clip import write_clip
from anonlib.widgets.footage import footage, newest


def test_frames_come_with_their_times() -> None:
    frames = torch.arange(3, dtype=torch.uint8)[:, None, None, None].expand(3, 3, 8, 10)
    shots = list(footage(frames, rate=4).open(threading.Event()))
    assert [(t, a.shape, int(a.max())) for t, a in shots] == [
        (0.0, (8, 10, 3), 0),
        (0.25, (8, 10, 3), 1),
        (0.5, (8, 10, 3), 2),
    ]


def test_float_frames_are_refused() -> None:
    with pytest.raises(ImageError, match=r"pass RGB as \(N, 3, H, W\) uint8"):
        footage(torch.zeros(2, 3, 8, 8), rate=4)


def test_a_file_is_read_reduced_and_stamped(tmp_path: Path) -> None:
    frames = torch.full((3, 3, 40, 800), 200, dtype=torch.uint8)
    write_clip(frames, tmp_path / "a.mp4", rate=10)
    film = footage(tmp_path / "a.mp4", rate=1)
    shots = list(film.open(threading.Event()))
    assert not film.live
    assert [round(t, 3) for t, _ in shots] == [0.0, 0.1, 0.2]
    assert all(a.shape == (32, 640, 3) and abs(int(a.mean()) - 200) < 4 for _, a in shots)


def test_a_camera_that_is_not_there_is_told_when_it_is_opened() -> None:
    camera = footage("camera:77", rate=1)
    assert camera.live
    with pytest.raises(VideoError, match="camera:77"):
        next(camera.open(threading.Event()))


def test_newest_passes_over_what_nobody_asked_for_in_time() -> None:
    taken, made = threading.Event(), threading.Event()

    def numbers() -> Generator[int]:
        yield 0
        taken.wait(5)
        yield from range(1, 6)
        made.set()

    latest = newest(numbers())
    assert next(latest) == 0
    taken.set()
    assert made.wait(5)
    assert list(latest) == [5]


def test_newest_hands_on_an_error_after_the_item_before_it() -> None:
    def breaks() -> Generator[int]:
        yield 7
        raise OSError("the camera is gone")

    latest = newest(breaks())
    with pytest.raises(OSError, match="the camera is gone"):
        assert [item for item in latest] in ([7], [])


def test_newest_ends_its_thread_and_its_source() -> None:
    closed = threading.Event()

    def endless() -> Generator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    latest = newest(endless())
    next(latest)
    latest.close()
    assert closed.is_set()
    assert not [t for t in threading.enumerate() if t.name == "newest"]

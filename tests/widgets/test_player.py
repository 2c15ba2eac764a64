from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from anonlib.anonymizers import create
from anonlib.detection import Faces
from anonlib.errors import ImageError, NumericError, VideoError
from anonlib.video.demo_clip import write_clip
from anonlib.video.stream import Tally
from anonlib.widgets.footage import Footage, Timed, footage, newest
from anonlib.widgets.player import Meter, Player, Shot
from tests.anonymizers.test_sessions import People

FACE = torch.tensor([[20.0, 20.0, 40.0, 40.0]])


def one_face(frames: Tensor) -> list[Faces]:
    return [Faces(boxes=FACE, scores=torch.ones(1), landmarks=torch.zeros(1, 5, 2)) for _ in frames]


def noise(count: int = 4) -> Tensor:
    """The same noise over and over, so that nothing looks like a cut."""
    torch.manual_seed(1)
    return torch.randint(1, 256, (1, 3, 60, 80), dtype=torch.uint8).expand(count, -1, -1, -1)


class Seen:
    """What a player told."""

    def __init__(self, until: int = 10**9) -> None:
        self.shots: list[Shot] = []
        self.until, self.enough = until, threading.Event()
        self.ended = threading.Event()
        self.words = ""

    def shot(self, shot: Shot) -> None:
        self.shots.append(shot)
        if len(self.shots) >= self.until:
            self.enough.set()

    def end(self, words: str) -> None:
        self.words = words
        self.ended.set()


def a_player(film: Footage, seen: Seen, **options: object) -> Player:
    settings: dict[str, object] = {"detector": one_face, "anonymizer": create("mask"), "repeat": False}
    return Player(film, on_shot=seen.shot, on_end=seen.end, **(settings | options))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 20
    while any(t.name in ("player", "ahead", "newest") for t in threading.enumerate()):
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.01)


def test_every_picture_comes_out_in_order_with_its_face_masked() -> None:
    seen = Seen()
    player = a_player(footage(noise(), rate=1e6), seen)
    player.play()
    assert seen.ended.wait(20) and seen.words == ""
    assert [s.seconds for s in seen.shots] == [n / 1e6 for n in range(4)]
    assert all(not s.array[20:40, 20:40].any() and s.array[0, 0].all() for s in seen.shots)
    assert player.tally.frames == player.tally.faces == 4 and not player.running


def test_a_method_that_remembers_has_one_session_a_run_and_another_one_after_an_exchange() -> None:
    one, two, seen = People(), People(), Seen()
    player = a_player(footage(noise(8), rate=1e6), seen, anonymizer=one)
    player.on_shot = lambda shot: (seen.shot(shot), setattr(player, "anonymizer", two))  # type: ignore[func-returns-value]
    player.play()
    assert seen.ended.wait(20) and seen.words == ""
    assert len(one.made) == len(two.made) == 1
    counts = [people.made[0].counts["swapped"] for people in (one, two)]
    assert sum(counts) == 8 and min(counts) > 0
    assert all((shot.array[25:35, 25:35] == 26).all() for shot in seen.shots)


def test_what_was_before_is_kept_only_on_demand() -> None:
    film = footage(noise(2), rate=1e6)
    player = a_player(film, Seen())
    assert [s.before for s in player.preview(2)] == [None, None]
    player.keep_before = True
    [shot] = player.preview(1)
    assert shot.before is not None
    assert np.array_equal(shot.before, noise(1)[0].permute(1, 2, 0).numpy())
    assert not shot.array[20:40, 20:40].any()


@pytest.mark.parametrize("part", ["detector", "anonymizer"])
def test_after_a_failure_nothing_comes_out(part: str) -> None:
    asked = 0

    def fails(faces: Tensor) -> Tensor:
        nonlocal asked
        asked += 1
        if asked > 2:
            raise NumericError("broken weights")
        return one_face(faces) if part == "detector" else faces * 0  # type: ignore[return-value]

    seen = Seen()
    player = a_player(footage(noise(20), rate=1e6), seen, **{part: fails})
    player.play()
    assert seen.ended.wait(20) and seen.words == "broken weights"
    assert len(seen.shots) <= 2
    assert all(not s.array[20:40, 20:40].any() for s in seen.shots)


def test_an_unexpected_error_is_told_in_a_line() -> None:
    def fails(faces: Tensor) -> Tensor:
        raise ZeroDivisionError("by zero")

    seen = Seen()
    a_player(footage(noise(), rate=1e6), seen, anonymizer=fails).play()
    assert seen.ended.wait(20) and seen.words == "ZeroDivisionError: by zero"
    assert seen.shots == []


def test_a_method_is_exchanged_while_it_runs_and_the_face_stays_the_same_track() -> None:
    seen = Seen(until=3)
    held = threading.Event()

    def grey(faces: Tensor) -> Tensor:
        held.set()
        return torch.full_like(faces, 0.5)

    player = a_player(footage(noise(400), rate=200), seen)
    player.play()
    assert seen.enough.wait(20)
    player.anonymizer = grey
    assert held.wait(20)
    count = len(seen.shots)
    while len(seen.shots) < count + 3 and not seen.ended.is_set():
        time.sleep(0.01)
    player.stop()
    levels = {int(s.array[30, 30, 0]) for s in seen.shots}
    assert levels == {0, 128}
    assert player.tally.tracks == 1


def test_a_file_begins_again_and_stops_when_told() -> None:
    seen = Seen(until=5)
    player = a_player(footage(noise(2), rate=1e6), seen, repeat=True)
    player.play()
    assert seen.enough.wait(20) and player.running
    player.stop()
    assert seen.ended.is_set() and not player.running
    assert [s.seconds * 1e6 for s in seen.shots[:4]] == [0, 1, 0, 1]


def test_a_pause_holds_a_file_and_play_goes_on() -> None:
    seen = Seen(until=2)
    player = a_player(footage(noise(400), rate=100), seen)
    player.play()
    assert seen.enough.wait(20)
    player.pause()
    time.sleep(0.1)
    held = len(seen.shots)
    time.sleep(0.1)
    assert len(seen.shots) == held and player.running
    player.play()
    while len(seen.shots) == held:
        time.sleep(0.01)
    player.stop()
    times = [s.seconds for s in seen.shots]
    assert times == sorted(times) and len(set(times)) == len(times)


def camera(open_: Callable[[threading.Event], Generator[Timed]]) -> Footage:
    return Footage(name="camera:0", live=True, open=open_)


def test_a_paused_camera_is_closed_and_opened_again() -> None:
    opened: list[threading.Event] = []

    def pictures(stop: threading.Event) -> Generator[Timed]:
        opened.append(stop)
        while not stop.is_set():
            yield 0.0, noise(1)[0].permute(1, 2, 0).numpy()

    seen = Seen(until=1)
    player = a_player(camera(pictures), seen)
    player.play()
    assert seen.enough.wait(20)
    player.pause()
    assert opened[0].is_set() and not player.running
    seen.enough.clear()
    player.play()
    assert seen.enough.wait(20) and len(opened) == 2
    player.stop()


def test_a_file_is_not_played_faster_than_it_was_taken() -> None:
    seen, begin = Seen(), time.monotonic()
    a_player(footage(noise(4), rate=10), seen).play()
    assert seen.ended.wait(20)
    assert time.monotonic() - begin >= 0.29


def test_the_detector_is_asked_as_often_as_every_says() -> None:
    asked: list[int] = []

    def counts(frames: Tensor) -> list[Faces]:
        asked.append(len(frames))
        return one_face(frames)

    shots = {}
    for every in (1, 3):
        asked.clear()
        player = a_player(footage(noise(9), rate=1e6), Seen(), detector=counts, every=every)
        assert all(not shot.array[20:40, 20:40].any() for shot in player.preview(9))
        shots[every] = len(asked)
    assert shots == {1: 9, 3: 3}


def test_another_every_begins_the_footage_again() -> None:
    seen = Seen(until=2)
    player = a_player(footage(noise(400), rate=100), seen)
    player.play()
    assert seen.enough.wait(20)
    player.restart(every=3)
    while not any(a.seconds > b.seconds for a, b in zip(seen.shots, seen.shots[1:])):  # noqa: B905
        time.sleep(0.01)
    assert player.every == 3
    player.stop()


def test_the_rate_is_counted_over_the_last_three_seconds() -> None:
    now = [0.0]
    meter = Meter(clock=lambda: now[0])
    assert meter.read() is None
    for frame in range(1, 121):  # 10 a second for 4 s, then 20 a second
        now[0] += 0.1 if frame <= 40 else 0.05
        meter.tick(
            Tally(
                frames=frame,
                faces=2 * frame,
                detection_seconds=0.01 * frame,
                modification_seconds=0.004 * frame,
            )
        )
        if frame == 40:
            pace = meter.read()
            assert pace is not None and pace.rate == pytest.approx(10)
    pace = meter.read()
    assert pace is not None and pace.rate == pytest.approx(20)
    assert (pace.faces, pace.detection, pace.modification) == pytest.approx((2, 0.01, 0.004))


def test_a_slow_stream_is_counted_over_its_last_two_frames() -> None:
    now = [0.0]
    meter = Meter(clock=lambda: now[0])
    for frame in (1, 2, 3):
        meter.tick(Tally(frames=frame))
        now[0] += 4
    pace = meter.read()
    assert pace is not None and pace.rate == pytest.approx(0.25)
    meter.reset()
    assert meter.read() is None


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


def test_the_detector_counts_although_it_was_asked_before_the_first_frame_came_out() -> None:
    clock = iter((0.0, 0.5, 1.0, 9.0, 9.5, 10.0)).__next__
    meter = Meter(clock=clock)
    meter.begin(Tally(frames=10, detection_seconds=7.0))
    for frame in (11, 12, 13, 14, 15, 16):
        meter.tick(Tally(frames=frame, detection_seconds=7.3))
    pace = meter.read()
    assert pace is not None and pace.rate == 2.0
    assert pace.detection == pytest.approx(0.05) and "detector 50 ms" in str(pace)
    assert "the faces under 1 ms" in str(pace)

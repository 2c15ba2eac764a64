from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from anonlib.detection import Faces
from anonlib.errors import CheckpointError, ConfigError
from anonlib.video.stream import Tally
from anonlib.widgets import demo as module
from anonlib.widgets.demo import LOADING, SHOWN_RATE, LiveDemo
from anonlib.widgets.demo_pictures import ANONYMIZED, BESIDE, DIVIDED, composed, stills
from anonlib.widgets.player import Shot
from anonlib.widgets.static import WIDGET_VIEW
from tests.widgets.test_player import noise, one_face


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def nobody(frames: Tensor) -> list[Faces]:
    return [found.above(2) for found in one_face(frames)]


def a_demo(source: Any = None, **options: Any) -> LiveDemo:
    known = {"ones": one_face, "none": nobody}
    settings = {"method": "mask", "detector": "ones", "detectors": known, "clock": Clock()}
    return LiveDemo(noise(4) if source is None else source, **(settings | options))


def a_shot(level: int = 100, *, before: int | None = None) -> Shot:
    shot = Shot(np.full((24, 32, 3), level, np.uint8), seconds=0, keep=before is not None)
    if before is not None:
        shot.before = np.full((24, 32, 3), before, np.uint8)
    return shot


def seen(demo: LiveDemo) -> Any:
    """What the browser has, as pixels."""
    return np.asarray(Image.open(BytesIO(demo.picture.value))).astype(int)


@pytest.fixture(autouse=True)
def _all_demos_end() -> Iterator[None]:
    yield
    module._stop_others(None)


def test_only_the_anonymized_picture_is_sent_unless_the_reader_asks() -> None:
    demo = a_demo()
    assert demo.show.value == ANONYMIZED and not demo.player.keep_before
    demo.receive(a_shot(100, before=200))
    assert seen(demo).shape == (24, 32, 3) and abs(seen(demo) - 100).max() <= 3
    demo.show.value = BESIDE
    assert demo.player.keep_before


def test_before_stands_beside_after_or_left_of_the_divider() -> None:
    demo = a_demo(show=BESIDE)
    demo.receive(a_shot(100, before=200))
    assert seen(demo).shape == (24, 70, 3)
    assert abs(seen(demo)[:, :28] - 200).max() <= 4 and abs(seen(demo)[:, 42:] - 100).max() <= 4
    demo.show.value = DIVIDED
    demo.divider.value = 0.25
    picture = composed(demo.last, show=DIVIDED, divider=0.25)  # type: ignore[arg-type]
    assert picture[0, :, 0].tolist() == [200] * 7 + [255] * 2 + [100] * 23
    assert demo.divider.layout.display is None


def test_back_to_anonymized_only_forgets_what_was_before() -> None:
    demo = a_demo(show=BESIDE)
    demo.receive(a_shot(100, before=200))
    demo.show.value = ANONYMIZED
    assert demo.last is not None and demo.last.before is None and not demo.player.keep_before
    assert abs(seen(demo) - 100).max() <= 3
    demo.show.value = BESIDE  # nothing to show before the next picture
    assert abs(seen(demo) - 100).max() <= 3


def test_pictures_are_sent_so_many_times_a_second_at_most() -> None:
    clock = Clock()
    demo = a_demo(clock=clock)
    sent = set()
    for level in range(200):
        clock.now += 0.01
        demo.receive(a_shot(level))
        sent.add(demo.picture.value)
    assert 0.7 * 2 * SHOWN_RATE <= len(sent) <= 2 * SHOWN_RATE + 1


def test_the_frame_rate_is_told_from_time_to_time() -> None:
    clock = Clock()
    demo = a_demo(clock=clock)
    for frame in range(1, 30):
        clock.now += 0.125
        demo.player.meter.tick(Tally(frames=frame, faces=3 * frame))
        demo.receive(a_shot())
    assert "8.0 frames/s, 3.0 faces a frame" in demo.numbers.value


def test_play_runs_the_stream_and_the_button_comes_up_when_it_is_stopped() -> None:
    demo = a_demo(clock=iter(range(10**6)).__next__)
    demo.play.value = True
    while not demo.picture.value:
        time.sleep(0.01)
    demo.play.value = False
    assert demo.player.running  # paused
    demo.close()
    assert not demo.player.running and not demo.play.value
    assert seen(demo)[26:34, 26:34].max() < 30 < seen(demo)[:10].mean()  # the face is black


def test_an_anonymized_poster_stands_there_before_play() -> None:
    demo = a_demo()
    demo._repr_mimebundle_()
    assert seen(demo)[26:34, 26:34].max() < 30 < seen(demo)[:10].mean()  # the face is black
    assert demo.caption.value == "<p>every face that was found is replaced by mask</p>"
    demo.show.value = BESIDE  # the original was not kept, so the caption does not promise it
    assert "original" not in demo.caption.value


def test_the_caption_says_where_the_original_is() -> None:
    demo = a_demo(show=BESIDE)
    demo._repr_mimebundle_()
    assert "left the original" in demo.caption.value
    demo.show.value = DIVIDED
    assert "left of the line the original" in demo.caption.value


def test_play_turns_into_pause_and_says_that_it_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = a_demo()
    monkeypatch.setattr(demo.player, "play", lambda: None)
    assert demo.play.description == "Play"
    demo.play.value = True
    assert (demo.play.description, demo.play.icon) == ("Pause", "pause")
    assert demo.numbers.value == LOADING
    demo.play.value = False
    assert (demo.play.description, demo.play.icon, demo.numbers.value) == ("Play", "play", "")


def test_method_and_detector_are_exchanged_under_way() -> None:
    half = torch.full_like
    demo = a_demo(methods={"grey": lambda faces: half(faces, 0.5)})
    demo.method.value = "grey"
    demo.detector.value = "none"
    assert float(demo.player.anonymizer(torch.zeros(1, 3, 8, 8)).mean()) == 0.5
    assert demo.player.detector is nobody
    demo.every.value = 4
    assert demo.player.every == 4


def test_a_detector_without_weights_is_told_in_a_line_and_the_old_one_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> None:
        raise CheckpointError(f"weights of {name} are missing <here>")

    demo = a_demo()
    monkeypatch.setattr(module.detection, "create", missing)
    demo.detector.value = "ssh"
    assert demo.detector.value == "ones" and demo.player.detector is one_face


def test_a_missing_camera_is_a_line_not_a_traceback() -> None:
    demo = a_demo("camera:77")
    demo.play.value = True
    while demo.player.running or demo.play.value:
        time.sleep(0.01)
    assert "camera:77" in demo.words.value and "role='status'" in demo.words.value
    assert demo.picture.value == b""


def test_a_camera_stays_shut_until_play_is_pressed(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = a_demo("camera:0")
    monkeypatch.setattr(demo.player, "preview", lambda count: pytest.fail("camera opened"))
    assert demo.png().startswith(b"\x89PNG")


def test_a_new_demo_stops_the_old_one_and_a_closed_view_its_own() -> None:
    first = a_demo(clock=iter(range(10**6)).__next__)
    first.play.value = True
    second = a_demo(clock=iter(range(10**6)).__next__)
    assert not first.player.running
    second.play.value = True
    second.view.close()
    assert not second.player.running


def test_nobody_looking_stops_it() -> None:
    demo = a_demo(clock=iter(range(10**6)).__next__)
    demo.view._view_count = 1
    demo.play.value = True
    demo.view._view_count = 0
    assert not demo.player.running and not demo.play.value


def test_without_a_front_end_it_is_a_strip_without_originals() -> None:
    demo = a_demo()
    data, metadata = demo._repr_mimebundle_()
    assert sorted(data) == [WIDGET_VIEW, "image/png", "text/plain"]
    assert metadata["image/png"]["alt"] == demo.description
    assert "replaced by mask; shows anonymized only" in demo.description
    one = Image.open(BytesIO(b64decode(data["image/png"])))
    demo.show.value = BESIDE
    two = Image.open(BytesIO(demo.png()))
    assert two.height > 1.6 * one.height


def test_stills_hold_originals_only_if_they_are_shown() -> None:
    shots = [a_shot(before=200), a_shot(before=200)]
    rows = [len(stills(shots, method="M", show=show).axes) for show in (ANONYMIZED, BESIDE)]
    assert rows == [3, 6]


def test_no_dangerous_choice_is_on_offer() -> None:
    assert "unanonymized" not in a_demo().method.options


@pytest.mark.parametrize(
    ("options", "words"),
    [({"show": "all"}, "view 'all' is unknown"), ({"every": 0}, "every 0: use 1 or more")],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        a_demo(**options)

from __future__ import annotations

import io
from base64 import b64decode
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from anonlib.widgets import monitor as module
from anonlib.widgets.monitor import (
    TrainingMonitor,
    Watched,
    add_row,
    monitor_figure,
    picture_due,
    progress_line,
    starts,
)
from anonlib.widgets.static import WIDGET_VIEW

BOTH, ALONE = "M and D", "A alone"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Drawings:
    """Counts drawings, each of which takes a second."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.count = clock, 0

    def __call__(self, *_: Any, **__: Any) -> bytes:
        self.clock.now += 1
        self.count += 1
        return f"drawing {self.count}".encode()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def drawings(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Drawings:
    drawings = Drawings(clock)
    monkeypatch.setattr(module, "figure_png", drawings)
    return drawings


def darken(faces: Tensor) -> Tensor:
    return faces / 2


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    found: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attrs)))

    Reader().feed(html)
    return found


def test_drawing_takes_at_most_its_share_of_the_time(clock: Clock, drawings: Drawings) -> None:
    monitor = TrainingMonitor({BOTH: 10_000}, share=0.05, clock=clock)
    for step in range(5_000):
        clock.now += 0.3
        monitor.receive(BOTH, {"step": step, "L_adv": 0.0})
    assert 0.04 < (drawings.count - 1) / clock.now <= 0.05  # the first comes at once


def test_rows_in_quick_succession_are_kept_but_not_drawn(clock: Clock, drawings: Drawings) -> None:
    monitor = TrainingMonitor({BOTH: 1000}, share=0.1, clock=clock)
    report = monitor.report(BOTH)
    for step in range(100):
        clock.now += 0.5
        report({"step": step, "L_adv": 0.0})
    assert len(monitor.watched.rows) == 100
    assert drawings.count == 1 + 5  # at first, then after nine seconds of training each


def test_the_end_of_a_phase_is_always_drawn(clock: Clock, drawings: Drawings) -> None:
    monitor = TrainingMonitor({BOTH: 2, ALONE: 1}, share=0.01, clock=clock)
    monitor.report(BOTH)({"step": 0, "L_adv": 0.0})
    assert drawings.count == 1
    monitor.report(BOTH)({"step": 1, "L_adv": 0.0})
    monitor.report(ALONE, total="L_det")({"step": 0, "box": 1.0, "class": 2.0})
    assert drawings.count == 3
    assert monitor.watched.rows[-1] == {"step": 2, "L_det": 3.0}
    assert "A alone: step 1 of 1. L_det 3.00." in monitor.words.value


def test_the_picture_of_a_row_shows_m_as_it_was_then(drawings: Drawings) -> None:
    faces, strength = torch.ones(2, 3, 4, 4), torch.ones((), requires_grad=True)
    monitor = TrainingMonitor({BOTH: 4}, faces=faces, modify=lambda f: f * strength)
    for step in range(4):
        with torch.no_grad():
            strength /= 2
        monitor.receive(BOTH, {"step": step, "L_adv": 0.0})
    pictures = monitor.watched.pictures
    assert {k: float(v.max()) for k, v in pictures.items()} == {0: 1, 1: 0.5, 2: 0.25, 3: 0.125, 4: 0.0625}
    assert not any(v.requires_grad for v in pictures.values())


def test_it_says_what_it_shows_to_those_who_do_not_see_it() -> None:
    monitor = TrainingMonitor({BOTH: 4}, faces=torch.rand(1, 3, 8, 8), modify=darken)
    monitor.receive(BOTH, {"step": 3, "L_l1": 0.25})
    ((tag, image),) = tags(monitor.picture.value)
    assert tag == "img"
    assert image["alt"] == (
        "Loss curves over the phases, beside 2 rows of faces. M and D: step 4 of 4. L_l1 0.25."
    )
    ((tag, words),) = tags(monitor.words.value)
    assert (tag, words) == ("p", {"role": "status", "aria-live": "polite"})


def test_the_output_of_a_cell_holds_the_widget_and_the_picture_of_now(drawings: Drawings) -> None:
    monitor = TrainingMonitor({BOTH: 2})
    before, _ = monitor._repr_mimebundle_()
    monitor.receive(BOTH, {"step": 1, "L_l1": 0.25})
    data, _ = monitor._repr_mimebundle_()
    assert (b64decode(before["image/png"]), b64decode(data["image/png"])) == (b"drawing 1", b"drawing 2")
    assert data[WIDGET_VIEW]["model_id"] == monitor.box.model_id
    assert data["text/plain"].endswith("M and D: step 2 of 2. L_l1 0.25.")


def test_the_shown_picture_is_brought_up_to_date_when_a_phase_ends(
    drawings: Drawings, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates = []

    class Handle:
        def update(self, monitor: TrainingMonitor) -> None:
            updates.append(monitor.png)

    monkeypatch.setattr(module, "display", lambda *_, **__: Handle())
    monitor = TrainingMonitor({BOTH: 3})
    monitor.show()
    for step in range(3):
        monitor.receive(BOTH, {"step": step, "L_l1": 0.25})
    assert updates == [b"drawing %d" % drawings.count]


@pytest.fixture
def watched() -> Watched:
    return Watched(phases={BOTH: 8, ALONE: 4})


def test_steps_count_on_through_the_phases(watched: Watched) -> None:
    add_row(watched, BOTH, {"step": 7, "L_adv": -1.0})
    add_row(watched, ALONE, {"step": 0, "L_det": 2.0})
    assert watched.rows == [{"step": 7, "L_adv": -1.0}, {"step": 8, "L_det": 2.0}]
    assert (watched.done, watched.total, watched.phase) == (9, 12, ALONE)
    assert starts(watched.phases) == {BOTH: 0, ALONE: 8}


def test_the_losses_of_a_phase_can_be_summed(watched: Watched) -> None:
    add_row(watched, ALONE, {"step": 1, "box": 0.5, "class": 0.25}, total="L_det")
    assert watched.rows == [{"step": 9, "L_det": 0.75}]


def test_a_phase_played_again_replaces_what_it_left(watched: Watched) -> None:
    for step in (0, 4, 7):
        add_row(watched, BOTH, {"step": step, "L_adv": float(step)})
        watched.pictures[watched.done] = torch.zeros(1, 3, 2, 2)
    add_row(watched, BOTH, {"step": 4, "L_adv": 9.0})
    assert watched.rows == [{"step": 0, "L_adv": 0.0}, {"step": 4, "L_adv": 9.0}]
    assert list(watched.pictures) == [1]


def test_pictures_are_due_early_at_each_quarter_and_at_the_end_of_the_first_phase(watched: Watched) -> None:
    kept = []
    for step in range(8):
        add_row(watched, BOTH, {"step": step})
        if picture_due(watched):
            watched.pictures[watched.done] = torch.zeros(1, 3, 2, 2)
            kept.append(watched.done)
    assert kept == [1, 2, 4, 6, 8]
    add_row(watched, ALONE, {"step": 3})
    assert not picture_due(watched)


def test_the_rest_is_estimated_from_the_time_so_far(watched: Watched) -> None:
    add_row(watched, BOTH, {"step": 2, "L_adv": -1.234})
    assert progress_line(watched) == "M and D: step 3 of 8. L_adv -1.23."
    assert progress_line(watched, seconds=30).endswith("About 90 s to go.")
    add_row(watched, ALONE, {"step": 3})
    assert "to go" not in progress_line(watched, seconds=30)


def test_the_figure_shows_a_panel_a_loss_and_a_row_of_faces_a_moment(watched: Watched) -> None:
    watched.pictures[0] = torch.zeros(2, 3, 4, 4)
    add_row(watched, BOTH, {"step": 0, "L_l1": 1.0, "D clear": 2.0})
    watched.pictures[1] = torch.ones(2, 3, 4, 4)
    figure = monitor_figure(watched)
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    wall, clear, l1 = figure.axes[0], *figure.axes[1:]
    assert clear.get_title(loc="left").startswith("D on clear")  # in the paper's order
    assert l1.get_xlim() == (0, 12)
    assert [label.get_text() for label in wall.get_yticklabels()] == ["clear", "1 step"]
    pixels = np.asarray(wall.images[0].get_array())
    assert pixels.shape == (8, 8, 3) and not pixels[:4].any() and pixels[4:].all()


def test_without_faces_there_is_no_strip(watched: Watched) -> None:
    figure = monitor_figure(watched)
    assert len(figure.axes) == 1 and not figure.axes[0].images

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from anonlib.widgets.training_monitor import (
    Watched,
    add_row,
    monitor_figure,
    picture_due,
    progress_line,
    starts,
)

GAME, ALONE = "game", "A alone"


@pytest.fixture
def watched() -> Watched:
    return Watched(phases={GAME: 8, ALONE: 4})


def test_steps_count_on_through_the_phases(watched: Watched) -> None:
    add_row(watched, GAME, {"step": 7, "L_adv": -1.0})
    add_row(watched, ALONE, {"step": 0, "L_det": 2.0})
    assert watched.rows == [{"step": 7, "L_adv": -1.0}, {"step": 8, "L_det": 2.0}]
    assert (watched.done, watched.total, watched.phase) == (9, 12, ALONE)
    assert starts(watched.phases) == {GAME: 0, ALONE: 8}


def test_the_losses_of_a_phase_can_be_summed(watched: Watched) -> None:
    add_row(watched, ALONE, {"step": 1, "box": 0.5, "class": 0.25}, total="L_det")
    assert watched.rows == [{"step": 9, "L_det": 0.75}]


def test_a_phase_played_again_replaces_what_it_left(watched: Watched) -> None:
    for step in (0, 4, 7):
        add_row(watched, GAME, {"step": step, "L_adv": float(step)})
        watched.pictures[watched.done] = torch.zeros(1, 3, 2, 2)
    add_row(watched, GAME, {"step": 4, "L_adv": 9.0})
    assert watched.rows == [{"step": 0, "L_adv": 0.0}, {"step": 4, "L_adv": 9.0}]
    assert list(watched.pictures) == [1]


def test_pictures_are_due_early_at_each_quarter_and_at_the_end_of_the_first_phase(watched: Watched) -> None:
    kept = []
    for step in range(8):
        add_row(watched, GAME, {"step": step})
        if picture_due(watched):
            watched.pictures[watched.done] = torch.zeros(1, 3, 2, 2)
            kept.append(watched.done)
    assert kept == [1, 2, 4, 6, 8]
    add_row(watched, ALONE, {"step": 3})
    assert not picture_due(watched)


def test_the_rest_is_estimated_from_the_time_so_far(watched: Watched) -> None:
    add_row(watched, GAME, {"step": 2, "L_adv": -1.234})
    assert progress_line(watched) == "game: step 3 of 8. L_adv -1.23."
    assert progress_line(watched, seconds=30).endswith("About 90 s to go.")
    add_row(watched, ALONE, {"step": 3})
    assert "to go" not in progress_line(watched, seconds=30)


def test_the_figure_shows_a_panel_a_loss_and_a_row_of_faces_a_moment(watched: Watched) -> None:
    watched.pictures[0] = torch.zeros(2, 3, 4, 4)
    add_row(watched, GAME, {"step": 0, "L_l1": 1.0, "D clear": 2.0})
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

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Wedge

from anonlib.viz import (
    plot_consecutive,
    plot_decisions,
    plot_folds,
    plot_similarities,
    plot_similarity,
    plot_strength,
    plot_tries,
)
from anonlib.viz.identification import HIGHEST, LOWEST
from tests.viz.drawing import draw


def wedges(axes) -> list[tuple[float, float]]:
    found = [patch for patch in axes.patches if isinstance(patch, Wedge)]
    return sorted((round(float(w.theta1), 6), round(float(w.theta2), 6)) for w in found)


def test_decisions_leave_a_gap_that_the_margin_sets() -> None:
    plain, margin = draw(plot_decisions(100, margins=(1, 4))).axes
    assert wedges(plain) == [(40, 90), (90, 140)]  # each owns a half
    assert wedges(margin) == [(40, 60), (60, 120), (120, 140)]  # each owns 100 / 5 degrees
    assert "neither's\n60°" in [text.get_text() for text in margin.texts]


def test_similarities_count_every_pair_once_and_on_its_side() -> None:
    scores, same = [0.9, 0.8, 0.1, -0.4, 0.2], [True, True, False, False, False]
    figure = draw(plot_similarities(scores, same, threshold=0.5))
    axes = figure.axes[0]
    two, one = axes.containers
    assert [sum(bar.get_height() for bar in bars) for bars in (two, one)] == [3, 2]
    assert min(bar.get_x() for bar in one if bar.get_height()) > 0.5
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["two people, 3 pairs", "one person, 2 pairs", "threshold 0.50"]


def test_folds_show_each_accuracy_beside_its_threshold() -> None:
    figure = draw(plot_folds([0.9, 1.0], [0.3, 0.4], mean=0.95, interval=(0.9, 1.0)))
    left, right = figure.axes
    np.testing.assert_allclose(left.lines[1].get_xydata(), [[1, 0.9], [2, 1.0]])
    np.testing.assert_allclose(right.lines[0].get_xydata(), [[1, 0.3], [2, 0.4]])
    assert left.lines[0].get_label() == "mean 95.0%"
    low, high = right.get_ylim()
    assert low == pytest.approx(0.15) and high == pytest.approx(0.55)


def test_heat_maps_share_one_scale_and_part_people() -> None:
    matrix = np.eye(6)
    figure = draw(plot_similarity({"one": matrix, "two": -matrix}, names=["A", "B"], images=3))
    maps = [axes for axes in figure.axes if axes.images and axes.get_title()]
    assert [axes.get_title() for axes in maps] == ["one", "two"]
    for axes in maps:
        assert axes.images[0].get_clim() == (LOWEST, HIGHEST)
        assert axes.get_xticks().tolist() == [1, 4]
        assert [line.get_xdata()[0] for line in axes.lines[1:]] == [2.5]
    np.testing.assert_array_equal(maps[1].images[0].get_array(), -matrix)


def test_strength_draws_every_column_of_the_sweep() -> None:
    sweep = pd.DataFrame(
        {
            "strength": [0, 1],
            "within": [0.6, 0.4],
            "between": [0.0, 0.2],
            "to_original": [0.6, 0.1],
            "recognised": [0.9, 0.7],
        }
    )
    (axes,) = draw(plot_strength(sweep)).axes
    curves = [list(line.get_ydata()) for line in axes.lines[:4]]
    assert curves == [[0.6, 0.4], [0.0, 0.2], [0.6, 0.1], [0.9, 0.7]]


def test_consecutive_curves_begin_at_the_second_frame_and_mark_one() -> None:
    curves = {"original": np.array([0.9, 0.8]), "modified": np.array([0.4, -0.3])}
    figure = draw(plot_consecutive(curves, levels={"others": 0.2}, frame=1))
    (axes,) = figure.axes
    first, second, level, mark = axes.lines
    assert first.get_xdata().tolist() == second.get_xdata().tolist() == [2, 3]
    assert list(level.get_ydata()) == [0.2, 0.2]
    assert mark.get_xdata()[0] == 2
    assert axes.get_ylim()[0] < -0.3


def test_the_right_password_is_marked_among_all() -> None:
    scores = np.array([[0.1, 0.9, 0.3], [0.8, 0.2, 0.4]])
    left, other = draw(plot_tries({"likeness": scores, "variation": -scores}, [1, 0])).axes
    np.testing.assert_allclose(left.lines[0].get_xydata(), [[1, 0.9], [2, 0.8]])
    bars = other.collections[0].get_segments()
    np.testing.assert_allclose([bar[:, 1] for bar in bars], [[-0.3, -0.1], [-0.4, -0.2]])
    assert [axes.get_title(loc="left") for axes in (left, other)] == ["likeness", "variation"]

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Wedge

from anonlib.viz.identification import plot_decisions, plot_folds, plot_margin, plot_similarities


def draw(figure: Figure) -> Figure:
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


def test_margin_draws_each_curve_under_its_name() -> None:
    figure = draw(plot_margin([0, 90, 180], {"m = 1": [1, 0, -1], "m = 2": [1, -1, -3]}))
    first, second = figure.axes[0].lines[:2]
    np.testing.assert_array_equal(second.get_ydata(), [1, -1, -3])
    assert first.get_color() != second.get_color() and first.get_linestyle() != "--"
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["m = 1", "m = 2"]


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

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from anonlib.viz import (
    plot_accuracies,
    plot_by_attacker,
    plot_figure4_panels,
    plot_kept,
    plot_privacy_utility,
    plot_roc,
    plot_shares,
)
from tests.viz.drawing import draw


def points() -> pd.DataFrame:
    rows = {"method": ["mask", "modifier"], "verification_error": [0.5, 0.3], "action_map": [0.4, 0.8]}
    table = pd.DataFrame(rows)
    for name in ("verification_error", "action_map"):
        table[f"{name}_lo"], table[f"{name}_hi"] = table[name] - 0.1, table[name] + 0.05
    return table


def markers(figure: Figure) -> dict[str, tuple[float, float]]:
    lines = [line for line in figure.axes[0].lines if not str(line.get_label()).startswith("_")]
    return {str(line.get_label()): tuple(np.ravel(line.get_xydata())) for line in lines}


def test_privacy_utility_places_each_method() -> None:
    figure = draw(plot_privacy_utility(points()))
    assert markers(figure) == {"Masked": (0.5, 0.4), "Ours": (0.3, 0.8)}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Masked", "Ours"]


def test_privacy_utility_ellipses_hold_both_numbers_with_95_percent() -> None:
    ellipses = draw(plot_privacy_utility(points())).axes[0].patches
    assert [e.get_angle() for e in ellipses] == [0, 0]
    np.testing.assert_allclose([e.center for e in ellipses], [[0.475, 0.375], [0.275, 0.775]])
    # intervals of 0.15 are 1.96 standard deviations each way; 95% of a plane lie within 2.4477
    np.testing.assert_allclose([e.width for e in ellipses], 0.15 * 2.4477 / 1.9600, rtol=1e-4)
    np.testing.assert_allclose([e.height for e in ellipses], 0.15 * 2.4477 / 1.9600, rtol=1e-4)


def test_privacy_utility_leaves_out_ellipses_that_no_interval_gives() -> None:
    table = points().drop(columns="action_map_hi")
    assert not draw(plot_privacy_utility(table)).axes[0].patches


def test_privacy_utility_draws_a_curve_for_each_mixture_by_its_share() -> None:
    ends = [(1, 0.5, 0.4), (0, 0.1, 0.9)]
    rows = [(what, *end) for what in ("person", "picture") for end in ends]
    mixtures = pd.DataFrame(rows, columns=["masked", "share", "verification_error", "action_map"])
    figure = draw(plot_privacy_utility(points(), mixtures=mixtures))
    curves = {line.get_label(): line for line in figure.axes[0].lines if line.get_linestyle() in ("--", ":")}
    assert set(curves) == {"mask some people", "mask some pictures"}
    for line in curves.values():
        assert line.get_xydata().tolist() == [[0.1, 0.9], [0.5, 0.4]]


def test_privacy_utility_enlarges_and_names_one_method() -> None:
    table = points().replace({"method": {"modifier": "mine"}})
    figure = draw(plot_privacy_utility(table, highlight="mine"))
    assert [text.get_text() for text in figure.axes[0].texts] == ["mine"]
    mask, mine = figure.axes[0].lines
    assert mine.get_markersize() > mask.get_markersize()
    assert not draw(plot_privacy_utility(table)).axes[0].texts


def test_privacy_utility_draws_the_paper_only_where_it_gives_both_numbers() -> None:
    paper = points().assign(verification_error=[None, 0.3305])
    figure = draw(plot_privacy_utility(points().iloc[:, :3], paper=paper))
    assert [name for name in markers(figure) if "paper" in name] == ["Ours, paper on DALY"]


def test_no_figure_is_left_open() -> None:
    plot_roc({})
    plot_privacy_utility(points())
    assert plt.get_fignums() == []


def test_the_strongest_attacker_stands_beside_the_naive_one() -> None:
    naive = points()
    strongest = naive.assign(verification_error=naive["verification_error"] / 2)
    more = pd.concat([strongest, strongest.iloc[:1].assign(method="modifier_start")])
    curve = {
        "masked": ["person"] * 2,
        "share": [0, 1],
        "verification_error": [0.0, 0.5],
        "action_map": [1, 0.4],
    }
    figure = draw(plot_by_attacker(more, naive, mixtures=pd.DataFrame(curve)))
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("strongest attacker", "naive attacker, as in the paper")
    assert len(left.lines) == len(naive) and len(right.lines) == len(naive) + 1
    for before, after in zip(left.lines, right.lines, strict=False):
        np.testing.assert_allclose(2 * before.get_xdata(), after.get_xdata())
    assert "Ours before Algorithm 1" not in [t.get_text() for t in figure.legends[0].texts]


POINTS = pd.DataFrame(
    {
        "method": ["mask", "modifier", "blur8"],
        "verification_error": [0.5, 0.3, None],
        "action_map": [0.2, 0.4, 0.3],
    }
)


def test_a_panel_a_source_without_points_that_lack_a_number() -> None:
    figure = draw(plot_figure4_panels({"ours": POINTS.dropna()}, paper=("paper", POINTS)))
    ours, paper = figure.axes
    assert (ours.get_title(), paper.get_title()) == ("ours", "paper")
    for axes in (ours, paper):
        assert [tuple(line.get_xydata()[0]) for line in axes.lines] == [(0.5, 0.2), (0.3, 0.4)]
        assert 0 < axes.get_ylim()[0] < 0.2 and axes.get_ylim()[1] > 0.4
    assert {line.get_markerfacecolor() for line in paper.lines} == {"none"}
    assert [t.get_text() for t in figure.legends[0].texts] == ["Masked", "Ours"]


def test_what_is_kept_stands_on_the_line_of_its_method() -> None:
    first = pd.Series({"mask": 0.5, "modifier": 0.9})
    second = pd.Series({"modifier": 0.95, "mask": 0.7, "edge": 0.1})
    (axes,) = draw(plot_kept({"drawn": first, "real": second})).axes
    drawn, real = axes.lines[:2]
    np.testing.assert_allclose(drawn.get_xdata(), [0.5, 0.9, np.nan])
    np.testing.assert_allclose(real.get_xdata(), [0.7, 0.95, 0.1])
    assert [t.get_text() for t in axes.get_yticklabels()] == ["Masked", "Ours", "Edge"]


def test_each_experiment_has_its_markers_in_the_rows_of_its_faces() -> None:
    figure = draw(plot_accuracies({"ours": OUR_ACCURACIES, "the paper": PAPER_ACCURACIES}))
    ours, paper = (container[0] for container in figure.axes[0].containers)
    assert ours.get_xdata().tolist() == [0.98, 0.65, 0.55]
    assert np.round(np.asarray(ours.get_ydata(), float)).tolist() == [0, 1, 2]
    assert np.round(np.asarray(paper.get_ydata(), float)).tolist() == [1, 0]
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["original", "modified", "modified original"]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["ours", "the paper"]


def test_bars_span_the_intervals_where_there_are_any() -> None:
    figure = draw(plot_accuracies({"ours": OUR_ACCURACIES, "the paper": PAPER_ACCURACIES}))
    ours, paper = (container[2][0].get_segments() for container in figure.axes[0].containers)
    np.testing.assert_allclose([s[:, 0] for s in ours], [[0.97, 0.99], [0.63, 0.69], [0.5, 0.6]])
    np.testing.assert_allclose([s[:, 0] for s in paper], [[0.67, 0.67], [0.95, 0.95]])


def test_one_experiment_stands_in_the_middle_of_its_rows() -> None:
    (axes,) = draw(plot_accuracies({"ours": OUR_ACCURACIES})).axes
    assert axes.containers[0][0].get_ydata().tolist() == [0, 1, 2]


OUR_ACCURACIES = pd.DataFrame(
    {
        "faces": ["original", "modified", "modified_original"],
        "verification_accuracy": [0.98, 0.65, 0.55],
        "verification_accuracy_lo": [0.97, 0.63, 0.50],
        "verification_accuracy_hi": [0.99, 0.69, 0.60],
    }
)


PAPER_ACCURACIES = pd.DataFrame({"faces": ["modified", "original"], "verification_accuracy": [0.67, 0.95]})


NAN = math.nan


def test_each_study_has_its_shares_in_the_rows_of_the_questions() -> None:
    (axes,) = draw(plot_shares({"the paper": PAPER_ANSWERS, "ours": OUR_ANSWERS})).axes
    paper, ours = axes.containers
    assert paper[0].get_xdata().tolist() == [0.533, 0.1975, 0.8]
    assert np.round(np.asarray(paper[0].get_ydata(), float)).tolist() == [0, 1, 2]
    assert np.round(np.asarray(ours[0].get_ydata(), float)).tolist() == [0, 2]
    assert np.allclose([s[:, 0] for s in ours[2][0].get_segments()], [[0.5, 0.7], [0.7, 1.0]])
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert [label[:2] for label in labels] == ["Q1", "Q2", "Q3"]


def test_the_interval_over_participants_is_a_thin_line() -> None:
    (axes,) = draw(plot_shares({"ours": OUR_ANSWERS})).axes
    thin = axes.collections[-1]
    assert thin.get_segments()[0][:, 0].tolist() == [0.4, 0.8]
    assert thin.get_linewidth()[0] < 1


OUR_ANSWERS = pd.DataFrame(
    {
        "question": ["Q1", "Q3"],
        "share": [0.6, 1.0],
        "lo": [0.5, 0.7],
        "hi": [0.7, 1.0],
        "people_lo": [0.4, NAN],
        "people_hi": [0.8, NAN],
    }
)


PAPER_ANSWERS = pd.DataFrame(
    {
        "question": ["Q1", "Q2", "Q3"],
        "share": [0.533, 0.1975, 0.8],
        "lo": [0.47, 0.13, 0.49],
        "hi": [0.6, 0.3, 0.94],
        "people_lo": [NAN] * 3,
        "people_hi": [NAN] * 3,
    }
)

from __future__ import annotations

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from anonlib.viz.figures import plot_baselines, plot_before_after, plot_losses, plot_privacy_utility, plot_roc


def draw(figure: Figure) -> Figure:
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


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


def test_privacy_utility_draws_the_line_between_the_extremes() -> None:
    table = points().replace({"method": {"modifier": "unanonymized"}})
    figure = draw(plot_privacy_utility(table, line=True))
    (line,) = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert line.get_xydata().tolist() == [[0.3, 0.8], [0.5, 0.4]]


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


def test_baselines_put_methods_in_columns() -> None:
    faces = {"blur8": torch.zeros(2, 3, 8, 8), "mask": torch.ones(2, 3, 8, 8)}
    figure = draw(plot_baselines(faces))
    assert [axes.get_title() for axes in figure.axes] == ["Blur\n(8×8)", "Masked", "", ""]
    assert [axes.images[0].get_array().mean() for axes in figure.axes] == [0, 1, 0, 1]


@pytest.mark.parametrize("faces", [1, 2, 5])
def test_before_after_shows_every_pair_side_by_side(faces: int) -> None:
    before = torch.arange(faces).reshape(-1, 1, 1, 1).expand(-1, 3, 8, 8) / 8
    figure = draw(plot_before_after(before, before + 0.5, pairs=2))
    shown = [axes.images[0].get_array().mean() for axes in figure.axes if axes.images]
    np.testing.assert_allclose(shown, [v for i in range(faces) for v in (i / 8, min(1, i / 8 + 0.5))])


def test_losses_have_a_panel_each_and_marked_phases() -> None:
    history = pd.DataFrame({"step": [0, 1, 2], "l1": [0.3, 0.2, None], "detector": [3.0, 2.0, 1.0]})
    figure = draw(plot_losses(history, phases={"T1": 0, "T2": 2}, smooth=1))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["l1", "detector"]
    assert figure.axes[0].lines[1].get_ydata().tolist() == [0.3, 0.2]
    assert [text.get_text() for text in figure.axes[0].texts] == ["T1", "T2"]


@pytest.mark.parametrize("log", [False, True])
def test_roc_draws_each_curve(log: bool) -> None:
    figure = draw(plot_roc({"original": (np.array([0, 0, 1]), np.array([0, 1, 1]))}, log=log))
    assert figure.axes[0].get_xscale() == ("log" if log else "linear")
    assert [line.get_label() for line in figure.axes[0].lines] == ["chance", "original"]
    assert figure.axes[0].lines[1].get_ydata().tolist() == [0, 1, 1]


def test_no_figure_is_left_open() -> None:
    plot_roc({})
    plot_privacy_utility(points())
    assert plt.get_fignums() == []

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from anonlib.viz import plot_curves, plot_losses, plot_margin, plot_precision_recall, plot_roc
from anonlib.viz.styles import GREEN, ORANGE, SKY
from tests.viz.drawing import draw


def test_curves_keep_their_numbers_names_and_colours_apart() -> None:
    figure = plot_curves(
        [1, 2, 4],
        {"a": [0.1, 0.2, 0.3], "b": [0.3, np.nan, 0.1]},
        xlabel="x",
        ylabel="y",
        chance=0.5,
        mark=(2, "here"),
        log=True,
    )
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    axes = figure.axes[0]
    first, second = axes.lines[:2]
    np.testing.assert_allclose(first.get_xydata(), [[1, 0.1], [2, 0.2], [4, 0.3]])
    assert first.get_color() != second.get_color() and first.get_marker() != second.get_marker()
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["a", "b", "guessing"]
    assert axes.texts[0].get_text() == "here" and axes.get_xscale() == "log"
    assert {"1", "2", "4"} <= {label.get_text() for label in axes.get_xticklabels()}


def test_one_curve_needs_no_legend() -> None:
    figure = plot_curves([0, 1], {"a": [0.1, 0.2]}, xlabel="x", ylabel="y")
    assert not figure.legends and figure.axes[0].get_ylabel() == "y"


@pytest.mark.parametrize("log", [False, True])
def test_roc_draws_each_curve(log: bool) -> None:
    figure = draw(plot_roc({"original": (np.array([0, 0, 1]), np.array([0, 1, 1]))}, log=log))
    assert figure.axes[0].get_xscale() == ("log" if log else "linear")
    assert [line.get_label() for line in figure.axes[0].lines] == ["guessing", "original"]
    assert figure.axes[0].lines[1].get_ydata().tolist() == [0, 1, 1]


def test_roc_lists_the_highest_curve_first_and_shades_rates_of_few_pairs() -> None:
    rates = np.array([0, 0.1, 1])
    curves = {"low": (rates, np.array([0, 0.3, 1])), "high": (rates, np.array([0, 0.9, 1]))}
    figure = draw(plot_roc(curves, log=True, grey_below=0.01))
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["high", "low", "guessing"]
    assert "ten pairs" in figure.axes[0].texts[0].get_text()


def test_precision_is_raised_and_ends_at_the_last_recall() -> None:
    curve = ([1 / 3, 1 / 3, 2 / 3], [1, 1 / 2, 2 / 3])
    axes = draw(plot_precision_recall({"drink": curve}, points=True)).axes[0]
    raised, dots = axes.lines
    assert raised.get_label() == "drink"
    np.testing.assert_allclose(raised.get_xdata(), [0, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    np.testing.assert_allclose(raised.get_ydata(), [1, 1, 2 / 3, 2 / 3, 0])
    np.testing.assert_allclose(dots.get_ydata(), curve[1])


def test_margin_draws_each_curve_under_its_name() -> None:
    figure = draw(plot_margin([0, 90, 180], {"m = 1": [1, 0, -1], "m = 2": [1, -1, -3]}))
    first, second = figure.axes[0].lines[:2]
    np.testing.assert_array_equal(second.get_ydata(), [1, -1, -3])
    assert first.get_color() != second.get_color() and first.get_linestyle() != "--"
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["m = 1", "m = 2"]


HISTORY = pd.DataFrame({"step": [0, 10, 19], "D modified": [1.0, 2.0, 3.0], "L_det": [3.0, 2.0, 4.0]})


PHASES = {"M and D": 0, "A alone": 15}


def spans(figure: Figure) -> list[tuple[float, float]]:
    boxes = [patch.get_bbox() for patch in figure.axes[1].patches]
    return [(box.x0, box.x1) for box in boxes]


def test_each_phase_is_a_band_up_to_the_next_and_the_last_to_the_end() -> None:
    figure = draw(plot_losses(HISTORY, phases=PHASES))
    assert spans(figure) == [(0, 15), (15, 19)]
    colors = [patch.get_facecolor()[:3] for patch in figure.axes[0].patches]
    assert colors == [tuple(int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)) for c in (SKY, ORANGE)]


def test_bands_reach_as_far_as_the_training_will_go() -> None:
    figure = draw(plot_losses(HISTORY, phases=PHASES, steps=40))
    assert spans(figure) == [(0, 15), (15, 40)]
    assert figure.axes[0].get_xlim() == (0, 40)


def test_phases_are_named_once_over_the_middle_of_their_bands() -> None:
    first, second = draw(plot_losses(HISTORY, phases=PHASES)).axes
    assert [(text.get_text(), text.xy[0]) for text in first.texts] == [("M and D", 7.5), ("A alone", 17)]
    assert not second.texts


def test_a_phase_that_comes_again_has_its_colour_again() -> None:
    history = pd.DataFrame({"step": [0, 1, 2, 3], "loss": [3.0, 2.0, 1.0, 0.0]})
    figure = plot_losses(history, phases={"D": 0, "M": 1, "D again": 2})
    first, other, again = (band.get_facecolor() for band in figure.axes[0].patches)
    assert first == again != other


def test_a_method_has_its_colour_among_roc_curves() -> None:
    line = ([0.0, 1.0], [0.0, 1.0])
    figure = plot_roc({"mine": line, "Edge": line, "other": line})
    colors = {line.get_label(): line.get_color() for line in figure.axes[0].lines}
    assert colors["Edge"] == GREEN and len({colors[name] for name in ("mine", "Edge", "other")}) == 3


def test_the_losses_of_the_paper_have_its_names() -> None:
    figure = draw(plot_losses(HISTORY))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["D on modified faces, $L_D(M(f), i_f)$", "$L_{det}$, Eq. (1)"]
    assert not figure.axes[0].patches


def test_other_names_lose_their_underscores_but_not_in_formulas() -> None:
    history = pd.DataFrame({"step": [0, 1], "loss_box_reg": [1.0, 2.0], "$L_D$ of M": [1.0, 2.0]})
    titles = [axes.get_title(loc="left") for axes in draw(plot_losses(history)).axes]
    assert titles == ["loss box reg", "$L_D$ of M"]


def test_the_running_mean_is_centred_and_shorter_at_the_ends() -> None:
    mean = draw(plot_losses(HISTORY, smooth=3)).axes[0].lines[1]
    assert mean.get_ydata().tolist() == [1.5, 2, 2.5]


def test_a_history_that_has_not_begun_is_an_empty_panel() -> None:
    (axes,) = draw(plot_losses(pd.DataFrame({"step": []}), phases=PHASES, steps=20)).axes
    assert not axes.lines
    assert axes.get_xlim() == (0, 20)


def test_losses_have_a_panel_each_and_marked_phases() -> None:
    history = pd.DataFrame({"step": [0, 1, 2], "l1": [0.3, 0.2, None], "detector": [3.0, 2.0, 1.0]})
    figure = draw(plot_losses(history, phases={"T1": 0, "T2": 2}, smooth=1))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["l1", "detector"]
    assert figure.axes[0].lines[1].get_ydata().tolist() == [0.3, 0.2]
    assert [text.get_text() for text in figure.axes[0].texts] == ["T1", "T2"]

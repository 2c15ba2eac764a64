from __future__ import annotations

import io

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from anonlib.viz.recorded import (
    classes_of,
    plot_class_gains,
    plot_class_table,
    plot_figure4_panels,
    plot_kept,
)
from anonlib.viz.styles import BLUE, RED

TABLE = pd.DataFrame(
    {
        "method": ["mask", "modifier"],
        "catch": [0.5, 0.6],
        "wave": [0.1, 0.9],
        "walk": [0.5, 0.4],
        "map": [0.37, 0.63],
        "paper_map": [0.39, 0.52],
    }
)
POINTS = pd.DataFrame(
    {
        "method": ["mask", "modifier", "blur8"],
        "verification_error": [0.5, 0.3, None],
        "action_map": [0.2, 0.4, 0.3],
    }
)


def draw(figure: Figure) -> Figure:
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


def test_a_panel_a_source_without_points_that_lack_a_number() -> None:
    figure = draw(plot_figure4_panels({"ours": POINTS.dropna(), "paper": POINTS}))
    ours, paper = figure.axes
    assert (ours.get_title(), paper.get_title()) == ("ours", "paper")
    for axes in (ours, paper):
        assert [tuple(line.get_xydata()[0]) for line in axes.lines] == [(0.5, 0.2), (0.3, 0.4)]
        assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 0.4
    assert [t.get_text() for t in figure.legends[0].texts] == ["Masked", "Ours"]


def test_what_is_kept_stands_on_the_line_of_its_method() -> None:
    first = pd.Series({"mask": 0.5, "modifier": 0.9})
    second = pd.Series({"modifier": 0.95, "mask": 0.7, "edge": 0.1})
    (axes,) = draw(plot_kept({"drawn": first, "real": second})).axes
    drawn, real = axes.lines[:2]
    np.testing.assert_allclose(drawn.get_xdata(), [0.5, 0.9])
    np.testing.assert_allclose(real.get_xdata(), [0.7, 0.95])
    assert [t.get_text() for t in axes.get_yticklabels()] == ["Masked", "Ours"]


def test_classes_are_all_columns_but_the_mean_and_the_papers() -> None:
    assert classes_of(TABLE) == ["catch", "wave", "walk"]


def test_classes_that_are_set_apart_stand_first() -> None:
    (axes,) = draw(plot_class_table(TABLE, apart={"wave"})).axes
    assert [t.get_text() for t in axes.get_xticklabels()] == ["wave", "catch", "walk", "mAP"]
    assert [t.get_text() for t in axes.texts] == ["10", "50", "50", "37", "90", "60", "40", "63"]
    assert [t.get_color() for t in axes.texts][3:5] == ["black", "white"]
    assert [line.get_xdata()[0] for line in axes.lines] == [0.5, 2.5]


def test_gains_are_red_at_the_face_and_carry_their_notes() -> None:
    (axes,) = draw(plot_class_gains(TABLE, apart={"wave"}, notes={"wave": "(89%)"})).axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["walk", "catch", "wave (89%)"]
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [-0.1, 0.1, 0.8])
    assert [to_hex(bar.get_facecolor()).upper() for bar in axes.patches] == [BLUE, BLUE, RED]

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from anonlib.viz.table1 import plot_gains, plot_table1

TABLE = pd.DataFrame(
    {
        "method": ["mask", "modifier", "mine"],
        "lip": [0.25, 0.75, 0.5],
        "iron": [1.0, 0.9, 0.8],
        "map": [0.625, 0.825, 0.65],
        "paper_lip": [0.67, 0.89, None],
        "paper_iron": [0.73, 0.77, None],
        "paper_map": [0.70, 0.83, None],
    }
)


def draw(figure: Figure) -> Figure:
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


def test_every_cell_says_what_its_colour_says() -> None:
    ours, paper = draw(plot_table1(TABLE)).axes
    assert ours.images[0].get_array().tolist() == [[0.25, 1, 0.625], [0.75, 0.9, 0.825], [0.5, 0.8, 0.65]]
    assert [t.get_text() for t in ours.texts][:4] == ["25", "100", "62", "75"]
    assert [t.get_text() for t in paper.texts] == ["67", "73", "70", "89", "77", "83"]
    assert [t.get_text() for t in ours.get_xticklabels()] == ["lip", "iron", "mAP"]


def test_a_method_the_paper_does_not_have_is_only_in_our_half() -> None:
    ours, paper = plot_table1(TABLE).axes
    assert [t.get_text() for t in ours.get_yticklabels()] == ["Masked", "Ours", "mine"]
    assert [t.get_text() for t in paper.get_yticklabels()] == ["Masked", "Ours"]


def test_digits_are_white_on_dark_cells() -> None:
    ours, _ = plot_table1(TABLE).axes
    assert [t.get_color() for t in ours.texts][:2] == ["black", "white"]


def test_gains_are_differences_of_two_methods_the_largest_on_top() -> None:
    (axes,) = draw(plot_gains(TABLE)).axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["iron", "lip"]
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [-0.1, 0.5])
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [0.04, 0.22])


def test_gains_of_any_two_methods() -> None:
    (axes,) = draw(plot_gains(TABLE, method="mine", over="modifier")).axes
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [-0.25, -0.1])
    assert axes.get_xlabel() == "average precision: mine minus Ours"

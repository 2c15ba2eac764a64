from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from anonlib.viz import classes_of, plot_class_gains, plot_class_precision, plot_gains, plot_table1
from anonlib.viz.styles import BLUE, RED
from tests.viz.drawing import draw

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


CLASSES = pd.DataFrame(
    {
        "method": ["mask", "modifier"],
        "catch": [0.5, 0.6],
        "wave": [0.1, 0.9],
        "walk": [0.5, 0.4],
        "map": [0.37, 0.63],
        "paper_map": [0.39, 0.52],
    }
)


def test_classes_are_all_columns_but_the_mean_and_the_papers() -> None:
    assert classes_of(CLASSES) == ["catch", "wave", "walk"]


def test_gains_are_red_at_the_face_and_carry_their_notes() -> None:
    figure = draw(plot_class_gains(CLASSES, apart={"wave"}, notes={"wave": "(89%)"}))
    (axes,) = figure.axes
    assert [t.get_text() for t in figure.legends[0].texts] == [
        "hands or objects near the face",
        "other actions",
    ]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["walk", "catch", "wave (89%)"]
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [-0.1, 0.1, 0.8])
    assert [to_hex(bar.get_facecolor()).upper() for bar in axes.patches] == [BLUE, BLUE, RED]


def test_class_bars_put_the_face_related_first() -> None:
    clear, masked = {"iron": 0.9, "drink": 1.0}, {"iron": 0.8, "drink": 0.1}
    figure = draw(plot_class_precision({"ours": (clear, masked)}, related=("drink",)))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["drink", "iron"]
    first, second = axes.containers
    np.testing.assert_allclose([bar.get_width() for bar in first], [1.0, 0.9])
    np.testing.assert_allclose([bar.get_width() for bar in second], [0.1, 0.8])
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_sources_with_other_classes_have_names_of_their_own():
    panels = {"ours": ({"wave": 1.0}, {"wave": 0.5}), "paper": ({"lip": 1, "iron": 1},) * 2}
    ours, paper = draw(plot_class_precision(panels, related=("wave", "lip"))).axes
    assert [label.get_text() for label in ours.get_yticklabels()] == ["wave"]
    assert [label.get_text() for label in paper.get_yticklabels()] == ["lip", "iron"]
    assert len(paper.containers[0]) == 2

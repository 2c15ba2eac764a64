from __future__ import annotations

import io

import numpy as np

from anonlib.viz.curves import plot_curves


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

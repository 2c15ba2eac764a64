"""Figures about consistency show what they were given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from anonlib.viz.consistency import (
    HIGHEST,
    LOWEST,
    plot_consecutive,
    plot_people,
    plot_similarity,
    plot_similarity_spread,
    plot_strength,
)


def drawn(figure: Figure) -> Figure:
    figure.draw_without_rendering()
    return figure


def test_people_stand_in_rows_originals_left() -> None:
    before, after = torch.zeros(2, 3, 3, 4, 4), torch.ones(2, 3, 3, 4, 4)
    figure = drawn(plot_people(before, after, names=["Ann", "Bo"], after_title="modified"))
    shown = [axes.images[0].get_array().max() for axes in figure.axes if axes.images]
    assert shown == [0, 0, 0, 1, 1, 1] * 2
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert (titles[0], titles[4]) == ("original", "modified")
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["Ann", "Bo"]


def test_heat_maps_share_one_scale_and_part_people() -> None:
    matrix = np.eye(6)
    figure = drawn(plot_similarity({"one": matrix, "two": -matrix}, names=["A", "B"], images=3))
    maps = [axes for axes in figure.axes if axes.images and axes.get_title()]
    assert [axes.get_title() for axes in maps] == ["one", "two"]
    for axes in maps:
        assert axes.images[0].get_clim() == (LOWEST, HIGHEST)
        assert axes.get_xticks().tolist() == [1, 4]
        assert [line.get_xdata()[0] for line in axes.lines[1:]] == [2.5]
    np.testing.assert_array_equal(maps[1].images[0].get_array(), -matrix)


def test_spread_marks_the_means() -> None:
    within, between = np.array([0.5, 0.7]), np.array([0.0, 0.2])
    figure = drawn(plot_similarity_spread({"clear": (within, between)}))
    (axes,) = figure.axes
    marks = sorted(float(line.get_xdata()[0]) for line in axes.lines)
    np.testing.assert_allclose(marks, [0.1, 0.6])


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
    (axes,) = drawn(plot_strength(sweep)).axes
    curves = [list(line.get_ydata()) for line in axes.lines[:4]]
    assert curves == [[0.6, 0.4], [0.0, 0.2], [0.6, 0.1], [0.9, 0.7]]


def test_consecutive_curves_begin_at_the_second_frame_and_mark_one() -> None:
    curves = {"original": np.array([0.9, 0.8]), "modified": np.array([0.4, -0.3])}
    figure = drawn(plot_consecutive(curves, levels={"others": 0.2}, frame=1))
    (axes,) = figure.axes
    first, second, level, mark = axes.lines
    assert first.get_xdata().tolist() == second.get_xdata().tolist() == [2, 3]
    assert list(level.get_ydata()) == [0.2, 0.2]
    assert mark.get_xdata()[0] == 2
    assert axes.get_ylim()[0] < -0.3

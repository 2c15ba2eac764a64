from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from anonlib.viz import (
    plot_baselines,
    plot_before_after,
    plot_people,
    plot_pictures,
    plot_questions,
    plot_strip,
    plot_words,
)
from tests.viz.drawing import draw


def test_pictures_stand_in_order_under_their_names() -> None:
    red = torch.zeros(3, 4, 8)
    red[0] = 2.0  # cut to 1
    figure = plot_pictures({"red": red, "half": torch.full((1, 4, 4), 0.5)}, height=1.0)
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("red", "half")
    assert np.array_equal(left.images[0].get_array()[0, 0], [1, 0, 0])
    assert right.images[0].get_clim() == (0, 1)  # grey stays grey
    assert (right.images[0].get_array() == 0.5).all()
    width, height = (axes.get_window_extent().width for axes in (left, right))
    assert width > 1.8 * height


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


def test_people_stand_in_rows_originals_left() -> None:
    before, after = torch.zeros(2, 3, 3, 4, 4), torch.ones(2, 3, 3, 4, 4)
    figure = draw(plot_people(before, after, names=["Ann", "Bo"], after_title="modified"))
    shown = [axes.images[0].get_array().max() for axes in figure.axes if axes.images]
    assert shown == [0, 0, 0, 1, 1, 1] * 2
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert (titles[0], titles[4]) == ("original", "modified")
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["Ann", "Bo"]


def test_one_question_of_each_kind_is_shown() -> None:
    faces = torch.linspace(0, 1, 12).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)
    figure = draw(
        plot_questions(
            pair=faces[:2], people={"Ann": faces[3], "Bo": faces[4]}, face=faces[5], together=faces[:8]
        )
    )
    grid = np.array(figure.axes).reshape(4, 7)
    assert [[len(axes.images) for axes in row].count(1) for row in grid] == [2, 2, 1, 7]
    assert [axes.get_title() for axes in grid[1][:2]] == ["Ann", "Bo"]
    assert [row[0].get_title(loc="left")[:2] for row in grid] == ["Q1", "", "Q2", "Q3"]
    assert grid[2][0].images[0].get_array()[0, 0, 0] == np.float32(faces[5, 0, 0, 0])


def test_a_strip_has_a_row_a_name_and_a_column_a_title() -> None:
    rows = {"before": torch.zeros(3, 3, 8, 12), "mask": torch.ones(3, 3, 8, 12)}
    figure = plot_strip(rows, titles=["0 s", "1 s", "2 s"])
    assert [axes.get_title() for axes in figure.axes] == ["0 s", "1 s", "2 s", "", "", ""]
    assert [float(axes.images[0].get_array().max()) for axes in figure.axes] == [0] * 3 + [1] * 3  # type: ignore[union-attr]


def test_words_stand_in_for_a_picture() -> None:
    assert plot_words("no camera").texts[0].get_text() == "no camera"

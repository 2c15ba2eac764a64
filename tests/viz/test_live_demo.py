from __future__ import annotations

import numpy as np
import torch

from anonlib.viz.live_demo import plot_exposure, plot_strip, plot_words


def test_a_strip_has_a_row_a_name_and_a_column_a_title() -> None:
    rows = {"before": torch.zeros(3, 3, 8, 12), "mask": torch.ones(3, 3, 8, 12)}
    figure = plot_strip(rows, titles=["0 s", "1 s", "2 s"])
    assert [axes.get_title() for axes in figure.axes] == ["0 s", "1 s", "2 s", "", "", ""]
    assert [float(axes.images[0].get_array().max()) for axes in figure.axes] == [0] * 3 + [1] * 3  # type: ignore[union-attr]


def test_exposure_tells_absent_hidden_and_clear() -> None:
    left = np.array([[np.nan, 0.1, 0.9]])
    figure = plot_exposure({"a": left, "b": left}, clear=0.5)
    cells = np.asarray(figure.axes[0].collections[0].get_array()).ravel()
    assert cells.tolist() == [0, 1, 2]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b"]


def test_words_stand_in_for_a_picture() -> None:
    assert plot_words("no camera").texts[0].get_text() == "no camera"

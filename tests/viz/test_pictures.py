from __future__ import annotations

import io

import numpy as np
import torch

from anonlib.viz.pictures import plot_pictures


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

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from anonlib.viz.detection import ENLARGED, FOUND, TRUE, plot_face_steps, plot_faces

BOX = torch.tensor([[10.0, 10.0, 20.0, 30.0]])
LARGE = (7, 4, 16, 32)  # x, y, width and height of BOX grown 1.6 times about its centre
POINTS = torch.tensor([[[12.0, 15.0], [18.0, 15.0], [15.0, 20.0], [13.0, 26.0], [17.0, 26.0]]])


def draw(figure: Figure) -> Figure:
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


def rectangles(axes) -> dict[str, list[tuple[float, ...]]]:
    from matplotlib.colors import to_hex

    out: dict[str, list[tuple[float, ...]]] = {}
    for patch in axes.patches:
        assert isinstance(patch, Rectangle)
        where = (*patch.get_xy(), patch.get_width(), patch.get_height())
        out.setdefault(to_hex(patch.get_edgecolor()).upper(), []).append(where)
    return out


def test_each_kind_of_box_has_its_place_and_colour() -> None:
    frames = torch.rand(2, 3, 40, 60)
    figure = draw(
        plot_faces(
            frames,
            [BOX, torch.zeros(0, 4)],
            landmarks=[POINTS, POINTS[:0]],
            truth=[BOX + 1, BOX],
            enlarge=True,
            titles=["a", "b"],
        )
    )
    first, second = (rectangles(axes) for axes in figure.axes)
    assert first[FOUND] == [(10, 10, 10, 20)] and first[TRUE] == [(11, 11, 10, 20)]
    np.testing.assert_allclose(first[ENLARGED], [LARGE])
    assert second == {TRUE: [(10, 10, 10, 20)]}
    np.testing.assert_allclose(figure.axes[0].lines[0].get_xydata(), POINTS[0])
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]


def test_the_legend_names_only_what_is_drawn() -> None:
    def names(**also: object) -> list[str]:
        figure = draw(plot_faces(torch.rand(1, 3, 40, 60), [BOX], **also))
        return [text.get_text() for text in figure.legends[0].get_texts()]

    assert names() == ["found"]
    assert names(enlarge=True, landmarks=[POINTS]) == ["found", "enlarged 1.6×", "landmarks"]
    assert names(truth=[BOX]) == ["found", "true"]


@pytest.mark.parametrize(("count", "columns", "panels"), [(5, 3, 6), (2, 3, 2)])
def test_frames_fill_rows(count, columns, panels) -> None:
    figure = draw(plot_faces(torch.rand(count, 3, 20, 30), [BOX[:0]] * count, columns=columns))
    assert len(figure.axes) == panels
    assert sum(len(axes.images) for axes in figure.axes) == count


def test_a_face_goes_from_the_frame_to_the_classifier_in_five_steps() -> None:
    frame = torch.zeros(3, 40, 60)
    frame[:, 4:36, 7:23] = 1  # the enlarged box
    figure = draw(plot_face_steps(frame, BOX[0], POINTS[0], crop=16))
    assert len(figure.axes) == 5
    assert rectangles(figure.axes[1]) == {FOUND: [(10, 10, 10, 20)]}
    np.testing.assert_allclose(rectangles(figure.axes[2])[ENLARGED], [LARGE])
    region, aligned = (figure.axes[k].images[0].get_array() for k in (3, 4))
    assert region.shape == (16, 16, 3) and (region == 1).all()
    assert aligned.shape == (112, 96, 3)

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from anonlib.viz import plot_actions, plot_boxes, plot_exposure, plot_face_steps, plot_faces, plot_overlaps
from anonlib.viz.detection import ENLARGED, FOUND, RIGHT, TRUE, WRONG
from tests.viz.drawing import draw

BOX = torch.tensor([[10.0, 10.0, 20.0, 30.0]])


LARGE = (7, 4, 16, 32)  # x, y, width and height of BOX grown 1.6 times about its centre


POINTS = torch.tensor([[[12.0, 15.0], [18.0, 15.0], [15.0, 20.0], [13.0, 26.0], [17.0, 26.0]]])


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


NAMES = ("drink", "iron")


FRAMES = torch.zeros(2, 3, 12, 16)


def image(boxes, labels, scores=None):
    entry = {"boxes": torch.tensor(boxes).reshape(-1, 4), "labels": torch.tensor(labels)}
    return entry if scores is None else {**entry, "scores": torch.tensor(scores)}


TRUTH = [image([[1.0, 1, 5, 9]], [0]), image([[2.0, 2, 8, 10]], [1])]


def colors(axes) -> list[str]:
    return [to_hex(patch.get_edgecolor()) for patch in axes.patches]


def test_true_actions_are_named_where_nothing_is_detected() -> None:
    figure = draw(plot_actions(FRAMES, TRUTH, names=NAMES, titles=("a", "b")))
    first, second = figure.axes[:2]
    assert [text.get_text() for text in first.texts] == ["drink"]
    assert second.patches[0].get_bbox().extents.tolist() == [2, 2, 8, 10]
    assert (first.get_title(), second.get_title()) == ("a", "b") and not figure.legends


def test_detections_below_the_threshold_are_not_drawn_and_wrong_classes_stand_out() -> None:
    found = [
        image([[1.0, 1, 5, 8], [0.0, 0, 9, 9], [0.0, 0, 2, 2]], [0, 1, 0], [0.9, 0.5, 0.4]),
        image(torch.zeros(0, 4).tolist(), [], []),
    ]
    figure = draw(plot_actions(FRAMES, TRUTH, names=NAMES, detections=found, threshold=0.5))
    first, second = figure.axes[:2]
    assert colors(first) == [TRUE.lower(), RIGHT.lower(), WRONG.lower()]
    assert [text.get_text() for text in first.texts] == ["drink 0.90", "iron 0.50"]
    assert colors(second) == [TRUE.lower()] and len(figure.legends) == 1


def test_boxes_stand_in_their_own_panel() -> None:
    groups = {"one": torch.tensor([[0.0, 0, 4, 4]]), "none": torch.zeros(0, 4)}
    left, right = draw(plot_boxes(FRAMES[0], groups)).axes
    assert (len(left.patches), len(right.patches)) == (1, 0)
    assert (left.get_title(), right.get_title()) == ("one", "none")


def test_overlap_fills_what_both_boxes_share() -> None:
    boxes = {"half": (0, 0, 10, 5), "beside": (20, 0, 30, 10)}
    half, beside = draw(plot_overlaps((0, 0, 10, 10), boxes)).axes
    assert half.patches[-1].get_bbox().extents.tolist() == [0, 0, 10, 5]
    assert (len(half.patches), len(beside.patches)) == (3, 2)


def test_exposure_tells_absent_hidden_and_clear() -> None:
    left = np.array([[np.nan, 0.1, 0.9]])
    figure = plot_exposure({"a": left, "b": left}, clear=0.5)
    cells = np.asarray(figure.axes[0].collections[0].get_array()).ravel()
    assert cells.tolist() == [0, 1, 2]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b"]

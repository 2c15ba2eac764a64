from __future__ import annotations

import io

import numpy as np
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from anonlib.viz.actions import (
    RIGHT,
    TRUE,
    WRONG,
    plot_actions,
    plot_boxes,
    plot_class_precision,
    plot_overlaps,
    plot_precision_recall,
)

NAMES = ("drink", "iron")
FRAMES = torch.zeros(2, 3, 12, 16)


def draw(figure: Figure) -> Figure:
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


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


def test_precision_is_raised_and_ends_at_the_last_recall() -> None:
    curve = ([1 / 3, 1 / 3, 2 / 3], [1, 1 / 2, 2 / 3])
    axes = draw(plot_precision_recall({"drink": curve}, points=True)).axes[0]
    raised, dots = axes.lines
    assert raised.get_label() == "drink"
    np.testing.assert_allclose(raised.get_xdata(), [0, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    np.testing.assert_allclose(raised.get_ydata(), [1, 1, 2 / 3, 2 / 3, 0])
    np.testing.assert_allclose(dots.get_ydata(), curve[1])


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

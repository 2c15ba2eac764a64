"""What A sees, finds and gets right: boxes on frames, precision and recall, bars a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter

from anonlib.viz.pictures import show
from anonlib.viz.styles import BLACK, BLUE, GREEN, GREY, ORANGE, SKY, VERMILION

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike
    from torch import Tensor

_DARK = [withStroke(linewidth=2.6, foreground="black")]
WIDTH = 7.4
"""Of a row of frames, in inches."""
RIGHT, WRONG, TRUE = SKY, VERMILION, "#FFFFFF"


def plot_actions(
    frames: Tensor,
    truth: Sequence[Mapping[str, Tensor]],
    *,
    names: Sequence[str],
    detections: Sequence[Mapping[str, Tensor]] | None = None,
    threshold: float = 0.5,
    titles: Sequence[str] | None = None,
    columns: int = 3,
) -> Figure:
    """Frames with the true action boxes, dashed, and what A finds, with class and score.

    A detection has the colour for right if its class is the class of some true box of the frame.

    Args:
        frames: `(B, 3, H, W)` in [0, 1].
        truth: per frame `boxes` `(n, 4)` xyxy pixels and `labels` `(n,)`.
        names: of the classes.
        detections: per frame `boxes`, `labels` and `scores`; without them the truth is named.
        threshold: detections with `score >= threshold` are drawn.
        titles: one a frame.
        columns: frames in a row.
    """
    columns = min(columns, len(frames))
    rows = -(-len(frames) // columns)
    each = WIDTH / columns * frames.shape[2] / frames.shape[3] + (0.25 if titles else 0.05)
    figure = Figure(figsize=(WIDTH, rows * each + (0.3 if detections else 0)), layout="constrained")
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.set_axis_off()
    for i, (axes, frame) in enumerate(zip(figure.axes, frames, strict=False)):
        show(axes, frame)
        _true_boxes(axes, truth[i], names=names if detections is None else None)
        if detections is not None:
            _found_boxes(axes, detections[i], truth[i], names=names, threshold=threshold)
        if titles is not None:
            axes.set_title(titles[i], fontsize=9)
    if detections is not None:
        _legend(figure)
    return figure


def _true_boxes(axes: Axes, true: Mapping[str, Any], *, names: Sequence[str] | None) -> None:
    for box, label in zip(true["boxes"].tolist(), true["labels"].tolist(), strict=True):
        _box(axes, box, color=TRUE, dashed=True, text="" if names is None else names[label])


def _found_boxes(
    axes: Axes, found: Mapping[str, Any], true: Mapping[str, Any], *, names: Sequence[str], threshold: float
) -> None:
    there = set(true["labels"].tolist())
    columns = (found[key].tolist() for key in ("boxes", "labels", "scores"))
    for box, label, score in zip(*columns, strict=True):
        if score >= threshold:
            color = RIGHT if label in there else WRONG
            _box(axes, box, color=color, text=f"{names[label]} {score:.2f}")


def _box(axes: Axes, box: Sequence[float], *, color: str, dashed: bool = False, text: str = "") -> None:
    x0, y0, x1, y1 = box
    axes.add_patch(
        Rectangle(
            (x0, y0),
            x1 - x0,
            y1 - y0,
            fill=False,
            edgecolor=color,
            lw=1.5,
            ls="--" if dashed else "-",
            path_effects=_DARK,
        )
    )
    if text:
        axes.text(
            x0 + 2,
            max(y0, 0) + 2,
            text,
            ha="left",
            va="top",
            fontsize=8,
            clip_on=True,
            bbox={"facecolor": color, "edgecolor": "none", "pad": 1.2, "alpha": 0.85},
        )


def _legend(figure: Figure) -> None:
    looks = (("class is there", RIGHT, "-"), ("class is not there", WRONG, "-"), ("true box", TRUE, "--"))
    handles = [
        Line2D([], [], color=color, ls=dashes, lw=1.6, path_effects=_DARK, label=name)
        for name, color, dashes in looks
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)


def plot_boxes(frame: Tensor, boxes: Mapping[str, Tensor]) -> Figure:
    """One frame a panel, each with its own boxes in thin lines.

    Args:
        frame: `(3, H, W)` in [0, 1].
        boxes: title to `(n, 4)` xyxy pixels; what lies outside the frame is cut off.
    """
    height = WIDTH / len(boxes) * frame.shape[1] / frame.shape[2] + 0.3
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = figure.subplots(1, len(boxes), squeeze=False)[0]
    for axes, (title, group) in zip(panels, boxes.items(), strict=True):
        show(axes, frame)
        axes.set_title(title, fontsize=9)
        for x0, y0, x1, y1 in group.tolist():
            axes.add_patch(
                Rectangle(
                    (x0, y0),
                    x1 - x0,
                    y1 - y0,
                    fill=False,
                    edgecolor=TRUE,
                    lw=1.0,
                    path_effects=[withStroke(linewidth=1.8, foreground="black")],
                )
            )
    return figure


def plot_overlaps(truth: Sequence[float], boxes: Mapping[str, Sequence[float]]) -> Figure:
    """A true box and one detection a panel, what they share filled.

    Args:
        truth: xyxy of the true box.
        boxes: title to the xyxy of a detection.
    """
    corners = np.array([truth, *boxes.values()], dtype=float)
    low, high = corners[:, :2].min(0) - 1, corners[:, 2:].max(0) + 1
    figure = Figure(figsize=(2.1 * len(boxes), 2.3), layout="constrained")
    panels = figure.subplots(1, len(boxes), squeeze=False)[0]
    for axes, (title, box) in zip(panels, boxes.items(), strict=True):
        shared = (*np.maximum(truth[:2], box[:2]), *np.minimum(truth[2:], box[2:]))
        _outline(axes, truth, edgecolor=BLACK, ls="--")
        _outline(axes, box, edgecolor=BLUE)
        if shared[2] > shared[0] and shared[3] > shared[1]:
            _outline(axes, shared, facecolor=(SKY, 0.5), edgecolor="none")
        axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), aspect="equal")
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    return figure


def _outline(axes: Axes, box: Sequence[float], **look: object) -> None:
    x0, y0, x1, y1 = box
    style = {"facecolor": "none", "lw": 1.6} | look
    axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, **style))  # type: ignore[arg-type]


def plot_precision_recall(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]], *, points: bool = False
) -> Figure:
    """Precision over recall; the area under the raised curve is the average precision.

    Implements the curve behind Ren et al., section 5.1, Action Detection (VOC's, all points).
    Differs from the paper: none.

    Args:
        curves: name to (recall, precision), both `(T,)` by falling score.
        points: whether to draw each threshold's own precision, and the raised curve filled.
    """
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for (name, (recall, precision)), color in zip(
        curves.items(), (BLUE, VERMILION, GREEN, ORANGE), strict=False
    ):
        recall, precision = np.asarray(recall, float), np.asarray(precision, float)
        raised = np.maximum.accumulate(precision[::-1])[::-1]
        x = np.concatenate([[0], recall, recall[-1:]])
        y = np.concatenate([raised[:1], raised, [0]])
        axes.plot(x, y, color=color, lw=1.8, label=name, drawstyle="steps-pre")
        if points:
            axes.fill_between(x, y, step="pre", color=color, alpha=0.15, lw=0)
            axes.plot(
                recall, precision, ls="none", marker="o", ms=6, color=BLACK, label="precision at a threshold"
            )
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.03), ylim=(0, 1.05))
    axes.grid(alpha=0.25)
    figure.legend(loc="outside right center", frameon=False, fontsize=9)
    return figure


def plot_class_precision(
    panels: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]], *, related: Collection[str]
) -> Figure:
    """Average precision of each class on clear and on masked frames, a panel a source.

    Implements two rows of Ren et al., Table 1. Differs from the paper: drawn, not printed.

    Args:
        panels: title to (clear, masked), each class to AP in [0, 1]; sources may differ in classes.
        related: the classes whose evidence lies in the face box; they stand on top.
    """
    orders = [sorted(clear, key=lambda name: name not in related) for clear, _ in panels.values()]
    same = all(order == orders[0] for order in orders)
    figure = Figure(figsize=(3.1 * len(panels), 4.4), layout="constrained")
    grid = figure.subplots(1, len(panels), sharex=True, sharey=same, squeeze=False)[0]
    for axes, order, (title, (clear, masked)) in zip(grid, orders, panels.items(), strict=True):
        rows = np.arange(len(order))
        axes.barh(rows - 0.2, [clear[name] for name in order], 0.38, color=SKY)
        axes.barh(rows + 0.2, [masked[name] for name in order], 0.38, color=BLACK)
        axes.axhline(sum(name in related for name in order) - 0.5, color=GREY, lw=1, ls=":")
        axes.set_title(title, fontsize=9)
        axes.set_xlim(0, 1.02)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_axisbelow(True)
        axes.grid(alpha=0.25, axis="x")
        if axes is grid[0] or not same:
            axes.set_yticks(rows, order)
            axes.invert_yaxis()
    grid[0].set_ylabel("others          face-related", loc="center")
    handles = [Patch(color=SKY, label="clear"), Patch(color=BLACK, label="masked")]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure

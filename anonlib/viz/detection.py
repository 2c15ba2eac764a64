"""Boxes on frames: faces with landmarks, actions, overlaps, and which faces stay visible.

Frames are float RGB `(B, 3, H, W)` in [0, 1]; boxes are xyxy pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from anonlib.config import ENLARGE
from anonlib.geometry import ALIGNED_SIZE, align_faces, clip_boxes, crop_boxes, enlarge_boxes
from anonlib.viz.axes import DARK_EDGE, draw_box, legend_below, note, panels, show
from anonlib.viz.styles import BLACK, BLUE, GREY, ORANGE, SKY, VERMILION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from torch import Tensor

FOUND, ENLARGED, TRUE = VERMILION, BLUE, "#FFFFFF"
RIGHT, WRONG = SKY, VERMILION
ROW_WIDTH = 7.4
"""Width of a row of frames with actions, in inches."""
_HALO = [withStroke(linewidth=3, foreground="white")]


def plot_faces(
    frames: Tensor,
    boxes: Sequence[Tensor],
    *,
    landmarks: Sequence[Tensor] | None = None,
    truth: Sequence[Tensor] | None = None,
    enlarge: bool = False,
    titles: Sequence[str] | None = None,
    columns: int = 3,
) -> Figure:
    """Frames with a box around every detected face.

    Args:
        boxes: per frame `(n, 4)`.
        landmarks: per frame `(n, 5, 2)` xy pixels, drawn as dots.
        truth: per frame `(m, 4)` true boxes, drawn dashed.
        enlarge: also draw each box enlarged 1.6 times.
    """
    figure = _frame_grid(frames, titles, columns=columns, width=9, title_height=0.3, legend_height=0.35)
    for index, axes in enumerate(figure.axes[: len(frames)]):
        if truth is not None:
            _draw_boxes(axes, truth[index], color=TRUE, dashed=True)
        if enlarge:
            _draw_boxes(axes, enlarge_boxes(boxes[index].reshape(-1, 4)), color=ENLARGED)
        _draw_boxes(axes, boxes[index], color=FOUND)
        if landmarks is not None:
            _draw_points(axes, landmarks[index])
    handles = [Line2D([], [], color=FOUND, lw=1.6, label="found")]
    if enlarge:
        handles.append(Line2D([], [], color=ENLARGED, lw=1.6, label=f"enlarged {ENLARGE}×"))
    if landmarks is not None:
        handles += [Line2D([], [], ls="none", marker="o", ms=5, mfc=ORANGE, mec="black", label="landmarks")]
    if truth is not None:
        handles += [Line2D([], [], color=TRUE, ls="--", lw=1.4, path_effects=DARK_EDGE, label="true")]
    legend_below(figure, handles=handles)
    return figure


def plot_face_steps(frame: Tensor, box: Tensor, landmarks: Tensor, *, crop: int = 128) -> Figure:
    """The way of one face from the frame to the classifier, one panel per step.

    The box `(4,)` is not enlarged, the landmarks are `(5, 2)`, and `crop` is the side of the region
    that is cut out, in pixels.

    Implements Ren et al., sections 5.2 and 4 (enlarged box, alignment). Differs from the paper: none.
    """
    height, width = frame.shape[1:]
    large = enlarge_boxes(box[None])
    region = crop_boxes(frame[None], [clip_boxes(large, height=height, width=width)], crop)[0]
    aligned = align_faces(frame[None], landmarks[None])[0]
    steps = {
        "frame v": frame,
        "face box": frame,
        f"enlarged {ENLARGE}×": frame,
        "region r$_v$": region,
        "aligned for D": aligned,
    }
    ratios = [width / height] * 3 + [1, ALIGNED_SIZE[1] / ALIGNED_SIZE[0]]
    figure = panels(1.7 * sum(ratios) + 0.6, 2.0, columns=5, width_ratios=ratios)
    for axes, (title, picture) in zip(figure.axes, steps.items(), strict=True):
        show(axes, picture, title=title)
    for axes in figure.axes[:-1]:
        look = {"xycoords": "axes fraction", "ha": "center", "va": "center", "fontsize": 14}
        note(axes, "→", (1.01, 0.5), (9, 0), **look)
    figure.get_layout_engine().set(w_pad=0.09)  # type: ignore[union-attr, call-arg]
    _draw_boxes(figure.axes[1], box[None], color=FOUND)
    _draw_points(figure.axes[1], landmarks[None], size=2.2)
    _draw_boxes(figure.axes[2], box[None], color=FOUND)
    _draw_boxes(figure.axes[2], large, color=ENLARGED)
    return figure


def _frame_grid(
    frames: Tensor,
    titles: Sequence[str] | None,
    *,
    columns: int,
    width: float,
    title_height: float,
    legend_height: float,
) -> Figure:
    """Frames in rows; lengths are in inches."""
    columns = min(columns, len(frames))
    rows = -(-len(frames) // columns)
    row = width / columns * frames.shape[2] / frames.shape[3] + (title_height if titles else 0.05)
    figure = panels(width, rows * row + legend_height, rows=rows, columns=columns)
    for axes in figure.axes:
        axes.set_axis_off()
    for index, frame in enumerate(frames):
        show(figure.axes[index], frame, title=titles[index] if titles else "")
    return figure


def _draw_boxes(axes: Axes, boxes: Tensor, *, color: str, dashed: bool = False) -> None:
    look: dict[str, Any] = {"ls": "--", "path_effects": DARK_EDGE} if dashed else {"path_effects": _HALO}
    for box in boxes.reshape(-1, 4).tolist():
        draw_box(axes, box, edgecolor=color, lw=1.4, **look)


def _draw_points(axes: Axes, landmarks: Tensor, *, size: float = 3.2) -> None:
    x, y = landmarks.reshape(-1, 2).T.numpy()
    dot: dict[str, Any] = {"ls": "none", "marker": "o", "ms": size, "mfc": ORANGE, "mec": "black", "mew": 0.6}
    axes.plot(x, y, scalex=False, scaley=False, **dot)


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
    """Frames with the true action boxes (dashed) and the detections of A with class and score.

    A detection is drawn as right if some true box of the frame has its class.

    Args:
        truth: per frame `boxes` `(n, 4)` and `labels` `(n,)`.
        names: of the classes.
        detections: per frame `boxes`, `labels` and `scores`; without them, the true boxes are named.
        threshold: detections with `score >= threshold` are drawn.
    """
    legend_height = 0.3 if detections else 0
    figure = _frame_grid(
        frames, titles, columns=columns, width=ROW_WIDTH, title_height=0.25, legend_height=legend_height
    )
    for index, axes in enumerate(figure.axes[: len(frames)]):
        true = truth[index]
        labels = true["labels"].tolist()
        for box, label in zip(true["boxes"].tolist(), labels, strict=True):
            _action_box(axes, box, color=TRUE, text=names[label] if detections is None else "")
        if detections is not None:
            columns_of = (detections[index][key].tolist() for key in ("boxes", "labels", "scores"))
            for box, label, score in zip(*columns_of, strict=True):
                if score >= threshold:
                    color = RIGHT if label in labels else WRONG
                    _action_box(axes, box, color=color, text=f"{names[label]} {score:.2f}")
    if detections is not None:
        looks = (("class is there", RIGHT, "-"), ("class is not there", WRONG, "-"), ("true box", TRUE, "--"))
        handles = [
            Line2D([], [], color=color, ls=dashes, lw=1.6, path_effects=DARK_EDGE, label=name)
            for name, color, dashes in looks
        ]
        legend_below(figure, handles=handles)
    return figure


def _action_box(axes: Axes, box: Sequence[float], *, color: str, text: str) -> None:
    dashes = "--" if color == TRUE else "-"
    draw_box(axes, box, edgecolor=color, lw=1.5, ls=dashes, path_effects=DARK_EDGE)
    if text:
        x, y = box[0] + 2, max(box[1], 0) + 2
        ground = {"facecolor": color, "edgecolor": "none", "pad": 1.2, "alpha": 0.85}
        axes.text(x, y, text, ha="left", va="top", fontsize=10, clip_on=True, bbox=ground)


def plot_boxes(frame: Tensor, boxes: Mapping[str, Tensor]) -> Figure:
    """One frame `(3, H, W)`, repeated in one panel per group of boxes `(n, 4)`, cut off at its edge."""
    height = ROW_WIDTH / len(boxes) * frame.shape[1] / frame.shape[2] + 0.3
    figure = panels(ROW_WIDTH, height, columns=len(boxes))
    edge = [withStroke(linewidth=1.8, foreground="black")]
    for axes, (title, group) in zip(figure.axes, boxes.items(), strict=True):
        show(axes, frame, title=title)
        for box in group.tolist():
            draw_box(axes, box, edgecolor=TRUE, lw=1.0, path_effects=edge)
    return figure


def plot_overlaps(truth: Sequence[float], boxes: Mapping[str, Sequence[float]]) -> Figure:
    """One true box (dashed) and one detection per panel, with their intersection filled."""
    corners = np.array([truth, *boxes.values()], dtype=float)
    low, high = corners[:, :2].min(0) - 1, corners[:, 2:].max(0) + 1
    figure = panels(2.1 * len(boxes), 2.3, columns=len(boxes))
    for axes, (title, box) in zip(figure.axes, boxes.items(), strict=True):
        shared = (*np.maximum(truth[:2], box[:2]), *np.minimum(truth[2:], box[2:]))
        draw_box(axes, truth, edgecolor=BLACK, lw=1.6, ls="--")
        draw_box(axes, box, edgecolor=BLUE, lw=1.6)
        if shared[2] > shared[0] and shared[3] > shared[1]:
            draw_box(axes, shared, fill=True, facecolor=(SKY, 0.5), edgecolor="none", lw=1.6)
        axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), aspect="equal")
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
    return figure


def plot_exposure(left: Mapping[str, NDArray[np.float64]], *, clear: float) -> Figure:
    """Whether each person's face is hidden, clear or absent: one row per person, one column per frame.

    Args:
        left: title to `(P, T)`, the share of each face that stays visible; NaN where there is no face.
        clear: a face with a larger share counts as clear.
    """
    people = len(next(iter(left.values())))
    figure = panels(9, len(left) * (0.26 * people + 0.4) + 0.6, rows=len(left), sharex=True)
    colors = {"no face, or not seen yet": "#F2F2F2", "hidden": BLUE, "clear": VERMILION}
    colormap = ListedColormap(list(colors.values()))
    for axes, (title, shares) in zip(figure.axes, left.items(), strict=True):
        state = np.where(np.isnan(shares), 0, 1 + (shares > clear))
        axes.pcolormesh(state, cmap=colormap, vmin=0, vmax=2, edgecolors="white", linewidth=0.5)
        axes.set_yticks(np.arange(people) + 0.5, [f"person {k + 1}" for k in range(people)])
        axes.tick_params(length=0)
        axes.set_title(title, fontsize=10, loc="left")
        axes.invert_yaxis()
    axes.set_xlabel("frame")
    handles = [
        Patch(facecolor=color, edgecolor=GREY, label=name, hatch="///" * (name == "clear"))
        for name, color in colors.items()
    ]
    legend_below(figure, handles=handles, ncols=3)
    return figure

"""Frames with the faces in them: boxes, enlarged boxes, landmarks, and the way into D."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from anonlib.config import ENLARGE
from anonlib.geometry import ALIGNED_SIZE, align_faces, clip_boxes, crop_boxes, enlarge_boxes
from anonlib.viz.pictures import show
from anonlib.viz.styles import BLUE, GREY, ORANGE, VERMILION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from torch import Tensor

FOUND, ENLARGED, TRUE = VERMILION, BLUE, "#FFFFFF"
_HALO = [withStroke(linewidth=3, foreground="white")]
_DARK = [withStroke(linewidth=2.6, foreground="black")]


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
    """Frames with a box around every face that was found.

    Args:
        frames: `(B, 3, H, W)` in [0, 1].
        boxes: per frame `(n, 4)` xyxy pixels.
        landmarks: per frame `(n, 5, 2)` xy pixels, drawn as dots.
        truth: per frame `(m, 4)` true boxes, drawn dashed.
        enlarge: whether to draw each box enlarged 1.6 times as well.
        titles: one a frame.
        columns: frames in a row.
    """
    columns = min(columns, len(frames))
    rows = -(-len(frames) // columns)
    height, width = 9 / columns * frames.shape[2] / frames.shape[3], 0.3 if titles else 0.05
    figure = Figure(figsize=(9, rows * (height + width) + 0.35), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes in grid:
        axes.set_axis_off()
    for index, (axes, frame) in enumerate(zip(figure.axes, frames, strict=False)):
        show(axes, frame)
        if titles is not None:
            axes.set_title(titles[index], fontsize=9)
        if truth is not None:
            _draw_boxes(axes, truth[index], color=TRUE, dashed=True)
        if enlarge:
            _draw_boxes(axes, enlarge_boxes(boxes[index].reshape(-1, 4)), color=ENLARGED)
        _draw_boxes(axes, boxes[index], color=FOUND)
        if landmarks is not None:
            _draw_points(axes, landmarks[index])
    _legend(figure, truth=truth is not None, enlarge=enlarge, points=landmarks is not None)
    return figure


def plot_face_steps(frame: Tensor, box: Tensor, landmarks: Tensor, *, crop: int = 128) -> Figure:
    """One face from the frame to the classifier, a panel a step.

    Implements Ren et al., sections 5.2 and 4 (enlarged box, alignment). Differs from the paper:
    none.

    Args:
        frame: `(3, H, W)` in [0, 1].
        box: `(4,)` xyxy pixels, not enlarged.
        landmarks: `(5, 2)` xy pixels.
        crop: side in pixels of the region that is cut out.
    """
    height, width = frame.shape[1:]
    large = enlarge_boxes(box[None])
    region = crop_boxes(frame[None], [clip_boxes(large, height=height, width=width)], crop)[0]
    aligned = align_faces(frame[None], landmarks[None])[0]
    pictures = (frame, frame, frame, region, aligned)
    titles = ("frame v", "face box", f"enlarged {ENLARGE}×", "region r$_v$", "aligned for D")
    ratios = [width / height] * 3 + [1, ALIGNED_SIZE[1] / ALIGNED_SIZE[0]]
    figure = Figure(figsize=(1.7 * sum(ratios) + 0.6, 2.0), layout="constrained")
    panels = figure.subplots(1, 5, width_ratios=ratios)
    for axes, picture, title in zip(panels, pictures, titles, strict=True):
        show(axes, picture)
        axes.set_title(title, fontsize=9)
    for axes in panels[:-1]:
        axes.annotate(
            "→",
            (1.01, 0.5),
            xycoords="axes fraction",
            xytext=(9, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=14,
            color=GREY,
            annotation_clip=False,
        )
    figure.get_layout_engine().set(w_pad=0.09)  # type: ignore[union-attr, call-arg]
    _draw_boxes(panels[1], box[None], color=FOUND)
    _draw_points(panels[1], landmarks[None], size=2.2)
    _draw_boxes(panels[2], box[None], color=FOUND)
    _draw_boxes(panels[2], large, color=ENLARGED)
    return figure


def _draw_boxes(axes: Axes, boxes: Tensor, *, color: str, dashed: bool = False) -> None:
    for x0, y0, x1, y1 in boxes.reshape(-1, 4).tolist():
        axes.add_patch(
            Rectangle(
                (x0, y0),
                x1 - x0,
                y1 - y0,
                fill=False,
                edgecolor=color,
                lw=1.4,
                ls="--" if dashed else "-",
                path_effects=_DARK if dashed else _HALO,
            )
        )


def _draw_points(axes: Axes, landmarks: Tensor, *, size: float = 3.2) -> None:
    x, y = landmarks.reshape(-1, 2).T.numpy()
    axes.plot(
        x, y, ls="none", marker="o", ms=size, mfc=ORANGE, mec="black", mew=0.6, scalex=False, scaley=False
    )


def _legend(figure: Figure, *, truth: bool, enlarge: bool, points: bool) -> None:
    handles = [Line2D([], [], color=FOUND, lw=1.6, label="found")]
    if enlarge:
        handles.append(Line2D([], [], color=ENLARGED, lw=1.6, label=f"enlarged {ENLARGE}×"))
    if points:
        handles.append(
            Line2D([], [], ls="none", marker="o", ms=5, mfc=ORANGE, mec="black", label="landmarks")
        )
    if truth:
        line = Line2D([], [], color=TRUE, ls="--", lw=1.4, path_effects=_DARK, label="true")
        handles.append(line)
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)

"""The paper's figures, and the two every training run wants: losses and ROC.

Arrays and tables in, `matplotlib.figure.Figure` out. No figure is registered with pyplot, so
nothing is left open: save one with `figure.savefig(path)`, or let a notebook display it.
Images are float RGB `(B, 3, H, W)` in [0, 1] as everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.ticker import PercentFormatter

from anonlib.viz.losses import plot_losses as plot_losses
from anonlib.viz.styles import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, YELLOW, style

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from numpy.typing import ArrayLike
    from pandas import DataFrame, Series
    from torch import Tensor

LINES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
MEASURES = ("verification_error", "action_map")
BOTH = float(np.sqrt(-2 * np.log(0.05)) / 1.959964)
"""Reach of a 95% region of two independent normal numbers over that of a 95% interval of one."""


def plot_privacy_utility(
    figure4: DataFrame, *, paper: DataFrame | None = None, line: bool = False, highlight: str | None = None
) -> Figure:
    """Action mAP over verification error, one marker a method; better is up and to the right.

    Implements Ren et al., Fig. 4. Differs from the paper: an ellipse holds both true numbers of a
    method with 95% confidence. Faces and clips are different data, so its axes are parallel to
    the figure's; it reaches beyond the interval of each number alone, by `BOTH`.

    Args:
        figure4: columns `method`, `verification_error`, `action_map`, optionally each with `_lo`
            and `_hi`; fractions in [0, 1].
        paper: the published points in the same columns, drawn hollow where both numbers are known.
        line: whether to draw the line from `unanonymized` to `mask`; both must be in the table.
        highlight: a method to draw larger, with its name beside it.
    """
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.add_subplot()
    handles = [draw_method(axes, row, large=row["method"] == highlight) for _, row in figure4.iterrows()]
    if line:
        handles.append(_line_between_extremes(axes, figure4))
    if paper is not None:
        known = paper.dropna(subset=["verification_error", "action_map"])
        handles += [_paper_point(axes, row) for _, row in known.iterrows()]
    axes.set(xlabel="face verification error", ylabel="action detection mAP@0.5")
    axes.set_title("better ↗", loc="right", fontsize=9, color=GREY)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    axes.margins(0.08)
    axes.grid(alpha=0.25)
    figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=9, labelspacing=0.8)
    return figure


def draw_method(axes: Axes, row: Series, *, large: bool = False) -> Line2D:
    """One method of Fig. 4, with the 95% region of its two numbers where intervals are given."""
    look = style(row["method"])
    x, y = row["verification_error"], row["action_map"]
    face, edge, size = (YELLOW, BLACK, 14.0) if large else (look.color, "white", look.size)
    (line,) = axes.plot(
        x,
        y,
        label=look.label,
        zorder=4 if large else 3,
        linestyle="none",
        marker=look.marker,
        ms=size,
        mfc=face,
        mec=edge,
        mew=1.2 if large else 0.8,
    )
    if large:
        axes.annotate(look.label, (x, y), xytext=(10, 8), textcoords="offset points", weight="bold", zorder=5)
    if {f"{name}_{end}" for name in MEASURES for end in ("lo", "hi")} <= set(row.index):
        axes.add_patch(_ellipse(row, color=BLACK if large else look.color))
    return line


def _ellipse(row: Series, *, color: str) -> Ellipse:
    """The 95% region of both numbers; its shadow on an axis is the interval, `BOTH` times."""
    low, high = ([row[f"{name}_{end}"] for name in MEASURES] for end in ("lo", "hi"))
    width, height = (BOTH * (h - lo) for lo, h in zip(low, high, strict=True))
    centre = ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2)
    return Ellipse(centre, width, height, facecolor=(color, 0.12), edgecolor=(color, 0.6), lw=0.8, zorder=2)


def _line_between_extremes(axes: Axes, figure4: DataFrame) -> Line2D:
    ends = figure4.set_index("method").loc[["unanonymized", "mask"]]
    (line,) = axes.plot(
        ends["verification_error"],
        ends["action_map"],
        color=GREY,
        lw=1.2,
        ls="--",
        zorder=1,
        label="from one extreme\nto the other",
    )
    return line


def _paper_point(axes: Axes, row: Series) -> Line2D:
    look = style(row["method"])
    (line,) = axes.plot(
        row["verification_error"],
        row["action_map"],
        label=f"{look.label}, paper on DALY",
        linestyle="none",
        marker=look.marker,
        ms=look.size,
        mfc="none",
        mec=look.color,
        mew=1.2,
    )
    return line


def plot_baselines(faces: Mapping[str, Tensor]) -> Figure:
    """The same faces under every method: one column a method, one row a face.

    Implements Ren et al., Fig. 3. Differs from the paper: shows every method.

    Args:
        faces: method name to `(B, 3, H, W)` in [0, 1]; every B the same.
    """
    rows = len(next(iter(faces.values())))
    figure = Figure(figsize=(0.2 + 1.0 * len(faces), 0.5 + 1.0 * rows), layout="constrained")
    grid = figure.subplots(rows, len(faces), squeeze=False)
    for column, (method, images) in zip(grid.T, faces.items(), strict=True):
        column[0].set_title(style(method).label.replace(" (", "\n("), fontsize=8)
        for axes, image in zip(column, images, strict=True):
            _show(axes, image)
    return figure


def plot_before_after(
    before: Tensor,
    after: Tensor,
    *,
    pairs: int = 4,
    titles: tuple[str, str] = ("before", "after"),
    inches: float = 1.1,
) -> Figure:
    """Faces beside their modified selves.

    Implements Ren et al., Fig. 5. Differs from the paper: none.

    Args:
        before: original images, `(B, 3, H, W)` in [0, 1].
        after: the same images modified, `(B, 3, H, W)`.
        pairs: how many pairs stand in a row.
        titles: what stands over the two columns.
        inches: width of a picture; faces are small, frames want more.
    """
    pairs = min(pairs, len(before))
    rows = -(-len(before) // pairs)
    widths = [1, 1, 0.2] * pairs
    row = inches * (before.shape[2] / before.shape[3] + 0.06)
    height = row * rows + 0.3
    figure = Figure(figsize=(inches * sum(widths[:-1]), height))
    figure.subplots_adjust(0.01, 0.01, 0.99, 1 - 0.3 / height, wspace=0.04, hspace=0.06)
    grid = figure.subplots(rows, 3 * pairs - 1, squeeze=False, width_ratios=widths[:-1])
    for axes in grid.flat:
        axes.set_axis_off()
    for i, both in enumerate(zip(before, after, strict=True)):
        row, column = divmod(i, pairs)
        for side, (title, image) in enumerate(zip(titles, both, strict=True)):
            _show(grid[row, 3 * column + side], image)
            grid[0, 3 * column + side].set_title(title, fontsize=9)
    return figure


def _show(axes: Axes, image: Tensor) -> None:
    axes.imshow(image.detach().cpu().clamp(0, 1).permute(1, 2, 0).numpy())
    axes.set_axis_off()


def plot_roc(curves: Mapping[str, tuple[ArrayLike, ArrayLike]], *, log: bool = False) -> Figure:
    """True accept rate over false accept rate in face verification.

    Args:
        curves: name to (false accept rates, true accept rates), both ascending in [0, 1].
        log: a logarithmic x axis, to read the true accept rate at small false accept rates.
    """
    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    axes = figure.add_subplot()
    chance = np.geomspace(1e-4, 1, 200)
    axes.plot(chance, chance, color=GREY, lw=1, ls=":", label="chance")
    for (name, (false_accepts, true_accepts)), color in zip(
        curves.items(), LINES * len(curves), strict=False
    ):
        axes.plot(false_accepts, true_accepts, color=color, lw=1.8, label=name, drawstyle="steps-post")
    axes.set(xlabel="false accept rate", ylabel="true accept rate", ylim=(-0.02, 1.02))
    axes.set(xscale="log", xlim=(1e-3, 1)) if log else axes.set(xlim=(-0.02, 1.02))
    axes.grid(alpha=0.25)
    axes.legend(loc="upper left" if log else "lower right", frameon=False, fontsize=9)
    return figure

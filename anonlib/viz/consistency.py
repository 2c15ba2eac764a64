"""Figures about consistency (Fig. 6): people before and after, similarities, strengths, a clip.

Arrays in, `matplotlib.figure.Figure` out, as in `anonlib.viz.figures`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from anonlib.viz.styles import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from pandas import DataFrame
    from torch import Tensor

    Floats = NDArray[np.floating]

SIDE = 0.72
"""Inches that a face has a side."""
LOWEST, HIGHEST = -0.2, 1.0
"""Cosine similarities at the ends of the colour scale."""


def plot_people(
    before: Tensor, after: Tensor, *, names: Sequence[str], after_title: str = "modified"
) -> Figure:
    """One row a person: their pictures on the left, the same pictures modified on the right.

    Implements Ren et al., Fig. 6. Differs from the paper: shows the originals too.

    Args:
        before: `(P, K, 3, H, W)` in [0, 1]: K pictures of each of P people.
        after: the same shape.
        names: P names, written beside the rows.
        after_title: what stands over the right half.
    """
    people, images = before.shape[:2]
    figure = Figure(figsize=(0.55 + SIDE * (2 * images + 0.3), 0.3 + SIDE * people))
    height = 1 - 0.3 / figure.get_figheight()
    left = 0.55 / figure.get_figwidth()
    grid = figure.subplots(
        people,
        2 * images + 1,
        squeeze=False,
        width_ratios=[1] * images + [0.3] + [1] * images,
        gridspec_kw={
            "left": left,
            "right": 0.995,
            "bottom": 0.005,
            "top": height,
            "wspace": 0.05,
            "hspace": 0.05,
        },
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for row, one, other, name in zip(grid, before, after, names, strict=True):
        for axes, image in zip((*row[:images], *row[images + 1 :]), (*one, *other), strict=True):
            axes.imshow(image.detach().cpu().clamp(0, 1).permute(1, 2, 0).numpy())
        row[0].text(-0.08, 0.5, name, transform=row[0].transAxes, ha="right", va="center", fontsize=9)
    grid[0, 0].set_title("original", loc="left", fontsize=9)
    grid[0, images + 1].set_title(after_title, loc="left", fontsize=9)
    return figure


def plot_similarity(matrices: Mapping[str, Floats], *, names: Sequence[str], images: int) -> Figure:
    """Heat maps of the similarity of every picture to every other, people framed in white.

    Args:
        matrices: title to `(P * K, P * K)` cosine similarities, person by person.
        names: P names.
        images: K, pictures of each person.
    """
    figure = Figure(figsize=(0.7 + 2.35 * len(matrices), 2.6))
    panels = figure.subplots(
        1,
        len(matrices),
        squeeze=False,
        gridspec_kw={"left": 0.07, "right": 0.9, "bottom": 0.1, "top": 0.86, "wspace": 0.25},
    )[0]
    for axes, (title, matrix) in zip(panels, matrices.items(), strict=True):
        shown = axes.imshow(matrix, cmap="cividis", vmin=LOWEST, vmax=HIGHEST)
        _frame_people(axes, names, images)
        axes.set_title(title, fontsize=9)
    top = panels[-1].get_position()
    scale = figure.add_axes((0.92, top.y0, 0.018, top.height))
    figure.colorbar(shown, cax=scale, extend="min").ax.tick_params(labelsize=8)
    scale.set_title("cosine", fontsize=8, loc="left")
    return figure


def _frame_people(axes: Axes, names: Sequence[str], images: int) -> None:
    """Ticks with a name in the middle of each person's pictures, and lines between people."""
    middle = np.arange(len(names)) * images + (images - 1) / 2
    axes.set_xticks(middle, names, fontsize=8)
    axes.set_yticks(middle, names, fontsize=8)
    axes.tick_params(length=0, pad=2)
    for edge in np.arange(1, len(names)) * images - 0.5:
        axes.axhline(edge, color="white", lw=1.5)
        axes.axvline(edge, color="white", lw=1.5)


def plot_similarity_spread(groups: Mapping[str, tuple[Floats, Floats]]) -> Figure:
    """How similarities of pairs are spread, within people and between them; one panel a state.

    Args:
        groups: title to (similarities within people, similarities between people), any lengths.
    """
    figure = Figure(figsize=(7.2, 1.5 * len(groups) + 0.5), layout="constrained")
    panels = figure.subplots(len(groups), 1, squeeze=False, sharex=True)[:, 0]
    bins = np.linspace(-0.5, 1, 61)
    for axes, (title, (within, between)) in zip(panels, groups.items(), strict=True):
        for values, color, hatch, name in (
            (between, ORANGE, "///", "two people"),
            (within, BLUE, None, "one person"),
        ):
            axes.hist(
                values,
                bins=bins,
                density=True,
                color=color,
                alpha=0.55,
                label=name,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.3,
            )
            axes.axvline(float(np.mean(values)), color=color, lw=2)
        axes.set_title(title, loc="left", fontsize=9)
        axes.set(yticks=[], xlim=(-0.5, 1))
    panels[0].legend(frameon=False, fontsize=9, loc="upper left")
    panels[-1].set_xlabel("cosine similarity of two pictures (upright line: the mean)")
    return figure


def plot_strength(sweep: DataFrame) -> Figure:
    """What a classifier makes of faces, over the strength of their modification.

    Args:
        sweep: the columns of `anonlib.experiment.consistency.strength_sweep`.
    """
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for column, name, color, marker in (
        ("within", "modified, same person", BLUE, "o"),
        ("between", "modified, two people", ORANGE, "^"),
        ("to_original", "modified and original, same person", GREEN, "s"),
        ("recognised", "people told apart (1 − EER)", BLACK, "*"),
    ):
        axes.plot(sweep["strength"], sweep[column], color=color, marker=marker, label=name)
    axes.axhline(0.5, color=GREY, lw=1, ls=":")
    axes.annotate(
        "1 − EER of guessing",
        (1, 0.5),
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=GREY,
    )
    axes.set(xlabel="strength s of f + s (M(f) − f)", ylabel="cosine similarity, 1 − EER")
    axes.grid(alpha=0.25)
    figure.legend(loc="outside right center", frameon=False, fontsize=9)
    return figure


def plot_consecutive(
    curves: Mapping[str, Floats], *, levels: Mapping[str, float] | None = None, frame: int | None = None
) -> Figure:
    """Similarity of each frame's face to that of the frame before it.

    Args:
        curves: name to `(T - 1,)` similarities; the first is drawn black, as the original.
        levels: name to a similarity to compare with, drawn level in the colour of its curve.
        frame: the frame to mark, counted from 0.
    """
    levels = levels or {}
    figure = Figure(figsize=(7.2, 2.4))
    axes = figure.add_axes((0.07, 0.2, 0.6, 0.67))
    colors = (BLACK, VERMILION, BLUE, GREEN)
    for (name, values), color, marker in zip(curves.items(), colors, "o^sD", strict=False):
        frames = np.arange(2, len(values) + 2)
        axes.plot(frames, values, color=color, marker=marker, ms=4, lw=1.5, label=name)
    for (name, level), color in zip(levels.items(), colors, strict=False):
        axes.axhline(level, color=color, lw=1, ls="--", label=name)
    if frame is not None:
        axes.axvline(frame + 1, color=GREY, lw=5, alpha=0.35)
    lowest = min(0.95, *(float(v.min()) for v in curves.values()), *levels.values())
    axes.set(xlabel="frame", ylim=(lowest - 0.08, 1.03), xlim=(0.5, len(values) + 1.5))
    axes.set_title("cosine similarity to the face in the frame before", loc="left", fontsize=9)
    axes.grid(alpha=0.25)
    figure.legend(loc="center left", bbox_to_anchor=(0.68, 0.53), fontsize=8, frameon=False)
    return figure

"""The live demo as a picture, and who was to be seen when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from anonlib.viz.pictures import show
from anonlib.viz.styles import BLUE, GREY, VERMILION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor


def plot_strip(rows: Mapping[str, Tensor], *, titles: Sequence[str]) -> Figure:
    """Frames under one another: one row for `before`, one for `after`, or only one of them.

    Args:
        rows: name to `(N, 3, H, W)` in [0, 1], the same N in all.
        titles: N names, over the columns.
    """
    first = next(iter(rows.values()))
    height = 9 / len(titles) * first.shape[2] / first.shape[3] + 0.05
    figure = Figure(figsize=(9.3, len(rows) * height + 0.3), layout="constrained")
    grid = figure.subplots(len(rows), len(titles), squeeze=False)
    for panels, (name, frames) in zip(grid, rows.items(), strict=True):
        for axes, frame in zip(panels, frames, strict=True):
            show(axes, frame)
        panels[0].text(
            -0.02, 0.5, name, transform=panels[0].transAxes, rotation=90, fontsize=9, ha="right", va="center"
        )
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=9)
    return figure


def plot_words(words: str) -> Figure:
    """A sentence in the place of a picture."""
    figure = Figure(figsize=(9, 0.5))
    figure.text(0.01, 0.5, words, va="center", fontsize=10)
    return figure


def plot_exposure(left: Mapping[str, NDArray[np.float64]], *, clear: float) -> Figure:
    """One row a person, one column a frame: hidden, clear, or no face there.

    Args:
        left: title to `(P, T)` shares of a face that are to be seen, NaN without a face.
        clear: share above which a face counts as clear.
    """
    people = len(next(iter(left.values())))
    figure = Figure(figsize=(9, len(left) * (0.22 * people + 0.4) + 0.5), layout="constrained")
    panels = figure.subplots(len(left), 1, squeeze=False, sharex=True)[:, 0]
    colors = ("#F2F2F2", BLUE, VERMILION)
    for axes, (title, shares) in zip(panels, left.items(), strict=True):
        state = np.where(np.isnan(shares), 0, 1 + (shares > clear))
        axes.pcolormesh(state, cmap=ListedColormap(colors), vmin=0, vmax=2, edgecolors="white", linewidth=0.5)
        axes.set_yticks(np.arange(people) + 0.5, [f"person {k + 1}" for k in range(people)])
        axes.tick_params(labelsize=8, length=0)
        axes.set_title(title, fontsize=9, loc="left")
        axes.invert_yaxis()
    panels[-1].set_xlabel("frame", fontsize=9)
    names = ("no face, or not seen yet", "hidden", "clear")
    figure.legend(
        handles=[
            Patch(facecolor=c, edgecolor=GREY, label=n, hatch="///" * (n == "clear"))
            for c, n in zip(colors, names, strict=True)
        ],
        loc="outside lower center",
        ncols=3,
        fontsize=8,
        frameon=False,
    )
    return figure

"""Table 1 as pictures: every class under every method, and what one keeps that another loses.

Tables in, `matplotlib.figure.Figure` out, as in `anonlib.viz.figures`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from anonlib.viz.styles import GREY, RED, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from pandas import DataFrame

PAPER = "paper_"
DARK = 0.6
"""Value from which a cell is dark enough for white digits."""


def plot_table1(table: DataFrame) -> Figure:
    """Average precision of every class under every method, in colour; the paper's below ours.

    Implements Ren et al., Table 1. Differs from the paper: colours, the darker the better.

    Args:
        table: columns `method`, one a class and `map`, and those again with the prefix `paper_`;
            fractions in [0, 1]; a method that the paper does not have has no numbers there.
    """
    classes = [c for c in table.columns if f"{PAPER}{c}" in table.columns]
    methods = [style(method).label for method in table["method"]]
    figure = Figure(figsize=(7.2, 0.55 * len(methods) + 1.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    _heat(upper, table[classes].to_numpy(float), methods, "ours, synthetic clips")
    published = table[[f"{PAPER}{c}" for c in classes]].to_numpy(float)
    known = ~np.isnan(published).all(axis=1)
    rows = [m for m, k in zip(methods, known, strict=True) if k]
    _heat(lower, published[known], rows, "the paper, DALY")
    upper.set_xticks(range(len(classes)), ["mAP" if c == "map" else c for c in classes])
    upper.tick_params(labeltop=True, labelbottom=False)
    lower.tick_params(labelbottom=False)
    return figure


def _heat(axes: Axes, values: NDArray[np.float64], methods: list[str], title: str) -> None:
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value > DARK else "black"
        axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=8, color=color)
    axes.axvline(values.shape[1] - 1.5, color="white", lw=4)
    axes.set_yticks(range(len(methods)), methods, fontsize=8)
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)
    axes.set_ylabel(title, fontsize=9)


def plot_gains(table: DataFrame, *, method: str = "modifier", over: str = "mask") -> Figure:
    """What each class gains when faces are hidden by one method rather than by another.

    Args:
        table: as for `plot_table1`; both methods must be in it.
        method: whose gain is drawn.
        over: what it is compared with.
    """
    classes = [c for c in table.columns if f"{PAPER}{c}" in table.columns and c != "map"]
    rows = table.set_index("method")
    gain = (rows.loc[method, classes] - rows.loc[over, classes]).astype(float).sort_values()
    papers = [f"{PAPER}{c}" for c in gain.index]
    published = (rows.loc[method, papers] - rows.loc[over, papers]).to_numpy(float)
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    axes = figure.add_subplot()
    heights = np.arange(len(gain))
    axes.barh(heights, gain.to_numpy(), height=0.55, color=RED, alpha=0.75, label="ours")
    axes.plot(published, heights, ls="none", marker="s", ms=8, mfc="none", mec="black", label="the paper")
    axes.axvline(0, color=GREY, lw=1)
    axes.set_yticks(heights, list(gain.index))
    axes.set_xlabel(f"average precision: {style(method).label} minus {style(over).label}")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.25, axis="x")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    return figure

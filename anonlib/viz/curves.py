"""Named curves over one quantity that a reader turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from anonlib.viz.styles import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

LINES = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "D"), (PURPLE, "^"), (ORANGE, "v"), (BLACK, "P"))


def plot_curves(
    x: ArrayLike, curves: Mapping[str, ArrayLike], *, xlabel: str, ylabel: str,
    chance: float | None = None, mark: tuple[float, str] | None = None, log: bool = False,
) -> Figure:  # fmt: skip
    """Fractions over one quantity, each with its name, colour and marker.

    Args:
        x: `(K,)` values of the quantity.
        curves: name to `(K,)` fractions in [0, 1]; NaN leaves a gap.
        xlabel: what the quantity is.
        ylabel: what the fractions are of.
        chance: a dotted line at what guessing reaches.
        mark: a value of the quantity to point out, and what to write there.
        log: whether the quantity doubles from point to point.
    """
    figure = Figure(figsize=(6.2, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for (name, values), (color, marker) in zip(curves.items(), LINES, strict=False):
        axes.plot(x, values, color=color, marker=marker, ms=4, lw=1.6, label=name)
    if chance is not None:
        axes.axhline(chance, color=GREY, ls=":", lw=1.2, label="guessing")
    if log:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.margins(y=0.08)
    axes.grid(alpha=0.25)
    if mark is not None:
        axes.axvline(mark[0], color=GREY, lw=1)
        axes.annotate(
            mark[1], (mark[0], 1), xycoords=("data", "axes fraction"), xytext=(-4, -4), color=GREY,
            textcoords="offset points", ha="right", va="top", fontsize=9,
        )  # fmt: skip
    if len(curves) > 1 or chance is not None:
        figure.legend(loc="outside right center", frameon=False, fontsize=9)
    return figure

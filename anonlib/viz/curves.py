"""Named curves over one quantity that a reader turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from anonlib.viz.styles import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pandas import DataFrame


LINES = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "D"), (PURPLE, "^"), (ORANGE, "v"), (BLACK, "P"))


def plot_curves(
    x: ArrayLike,
    curves: Mapping[str, ArrayLike],
    *,
    xlabel: str,
    ylabel: str,
    chance: float | None = None,
    mark: tuple[float, str] | None = None,
    log: bool = False,
) -> Figure:
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
            mark[1],
            (mark[0], 1),
            xycoords=("data", "axes fraction"),
            xytext=(-4, -4),
            color=GREY,
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=9,
        )
    if len(curves) > 1 or chance is not None:
        figure.legend(loc="outside right center", frameon=False, fontsize=9)
    return figure


LOOKS = ((VERMILION, "o"), (BLUE, "^"), (GREEN, "D"), (ORANGE, "v"), (BLACK, "s"))
ACCURACY = "verification_accuracy"


def plot_accuracies(experiments: Mapping[str, DataFrame]) -> Figure:
    """One row for each kind of faces, in it one marker an experiment; chance is dotted.

    Implements Ren et al., section 5.6, Does the face classifier remain accurate?
    Differs from the paper: which gives two of these numbers in its text, without intervals.

    Args:
        experiments: by name, the columns of ablation_classifier.csv: `faces`,
            `verification_accuracy` and, where they are known, its `_lo` and `_hi`; fractions.
    """
    kinds = list(dict.fromkeys(kind for table in experiments.values() for kind in table["faces"]))
    figure = Figure(figsize=(7.2, 0.9 + 0.6 * len(kinds)), layout="constrained")
    axes = figure.add_subplot()
    shifts = np.linspace(-0.25, 0.25, len(experiments)) if len(experiments) > 1 else [0.0]
    for (name, table), shift, (color, marker) in zip(
        experiments.items(), shifts, LOOKS * len(experiments), strict=False
    ):
        accuracy = table[ACCURACY].to_numpy(float)
        lo, hi = (table.get(f"{ACCURACY}_{end}", table[ACCURACY]) for end in ("lo", "hi"))
        reach = np.clip([accuracy - lo, hi - accuracy], 0, None)
        heights = [kinds.index(kind) + shift for kind in table["faces"]]
        axes.errorbar(
            accuracy,
            heights,
            xerr=reach,
            ls="none",
            marker=marker,
            ms=6,
            color=color,
            label=name,
            elinewidth=1.2,
        )
    axes.axvline(0.5, color=GREY, lw=1, ls=":")
    axes.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds])
    axes.set(ylim=(len(kinds) - 0.5, -0.5), xlabel="verification accuracy (dotted: chance)")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.25, axis="x")
    figure.legend(loc="outside right center", frameon=False, fontsize=9)
    return figure

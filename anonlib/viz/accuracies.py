"""Verification accuracies of several experiments beside each other, with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from anonlib.viz.styles import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pandas import DataFrame

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
            accuracy, heights, xerr=reach, ls="none", marker=marker, ms=6, color=color, label=name,
            elinewidth=1.2,
        )  # fmt: skip
    axes.axvline(0.5, color=GREY, lw=1, ls=":")
    axes.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds])
    axes.set(ylim=(len(kinds) - 0.5, -0.5), xlabel="verification accuracy (dotted: chance)")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.25, axis="x")
    figure.legend(loc="outside right center", frameon=False, fontsize=9)
    return figure

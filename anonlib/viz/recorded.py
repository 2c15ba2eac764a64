"""Recorded runs beside the paper: Fig. 4 in panels, what each method keeps, classes set apart.

Tables in, `matplotlib.figure.Figure` out, as in `anonlib.viz.figures`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from anonlib.viz.figures import draw_method
from anonlib.viz.styles import BLUE, GREY, RED, VERMILION, style

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pandas import DataFrame, Series

DARK = 0.6
"""Value from which a cell is dark enough for white digits."""
MARKERS = "sovD^"


def plot_figure4_panels(tables: Mapping[str, DataFrame]) -> Figure:
    """Fig. 4 once a source; the heights differ, so look at the shapes.

    Implements Ren et al., Fig. 4. Differs from the paper: points whose two numbers are not both
    printed are left out.

    Args:
        tables: title to columns `method`, `verification_error`, `action_map`, optionally each with
            `_lo` and `_hi`; fractions in [0, 1].
    """
    figure = Figure(figsize=(2.6 * len(tables) + 1.6, 3.4), layout="constrained")
    grid = figure.subplots(1, len(tables), sharex=True, squeeze=False)[0]
    handles = {}
    for axes, (title, table) in zip(grid, tables.items(), strict=True):
        for _, row in table.dropna(subset=["verification_error", "action_map"]).iterrows():
            handles[row["method"]] = draw_method(axes, row)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("verification error", fontsize=9)
        axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid(alpha=0.25)
    grid[0].set_ylabel("action detection mAP@0.5", fontsize=9)
    figure.legend(
        handles=list(handles.values()),
        loc="outside right center",
        frameon=False,
        fontsize=8,
        labelspacing=0.8,
    )
    return figure


def plot_kept(shares: Mapping[str, Series]) -> Figure:
    """What each method keeps of the mAP on clear frames, a marker a source.

    Args:
        shares: source to a series of fractions by method; the order of the first is drawn.
    """
    methods = list(next(iter(shares.values())).index)
    figure = Figure(figsize=(7.2, 0.3 * len(methods) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    colors = (RED, BLUE, GREY, VERMILION, "black")
    for (source, share), marker, color in zip(shares.items(), MARKERS, colors, strict=False):
        axes.plot(
            share.reindex(methods),
            np.arange(len(methods)),
            ls="none",
            marker=marker,
            ms=7,
            mfc="none",
            mec=color,
            mew=1.5,
            label=source,
        )
    axes.axvline(1, color=GREY, lw=1, ls=":")
    axes.set_yticks(range(len(methods)), [style(m).label for m in methods], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel("mAP over that of un-anonymized frames")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.25)
    figure.legend(loc="outside right center", frameon=False, fontsize=9)
    return figure


def classes_of(table: DataFrame) -> list[str]:
    """The classes of a table1.csv: its columns but the method's, the mean's and the paper's."""
    return [c for c in table.columns if c not in ("method", "map") and not c.startswith("paper_")]


def plot_class_table(table: DataFrame, *, apart: Collection[str]) -> Figure:
    """Average precision of every class under every method, in colour; the darker, the better.

    Implements Ren et al., Table 1. Differs from the paper: any classes, some of them set apart.

    Args:
        table: columns `method`, one a class and `map`; fractions in [0, 1].
        apart: classes that stand to the left of a gap.
    """
    classes = sorted(classes_of(table), key=lambda name: name not in apart)
    first = sum(name in apart for name in classes)
    values = table[[*classes, "map"]].to_numpy(float)
    figure = Figure(
        figsize=(max(7.2, 0.42 * values.shape[1] + 1.4), 0.27 * len(table) + 1.2), layout="constrained"
    )
    axes = figure.add_subplot()
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value > DARK else "black"
        axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=8, color=color)
    for edge in (first, len(classes)):
        axes.axvline(edge - 0.5, color="white", lw=5)
    axes.set_yticks(range(len(table)), [style(m).label for m in table["method"]], fontsize=8)
    axes.set_xticks(
        range(values.shape[1]), [*classes, "mAP"], fontsize=8, rotation=60, ha="left", rotation_mode="anchor"
    )
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    return figure


def plot_class_gains(
    table: DataFrame,
    *,
    method: str = "modifier",
    over: str = "mask",
    apart: Collection[str],
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """What each class gains when faces are hidden by one method rather than by another.

    Args:
        table: as for `plot_class_table`; both methods must be in it.
        method: whose gain is drawn.
        over: what it is compared with.
        apart: classes that stand above the others, in red.
        notes: what stands behind the name of a class.
    """
    rows = table.set_index("method")
    gain = (rows.loc[method] - rows.loc[over])[classes_of(table)].astype(float).sort_values()
    order = _parted(list(gain.index), apart)
    places = np.arange(len(order)) + np.array([name in apart for name in order]) * 0.6
    colors = [RED if name in apart else BLUE for name in order]
    figure = Figure(figsize=(7.2, 0.24 * len(order) + 1.0), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(places, gain[order], height=0.65, color=colors, alpha=0.8)
    axes.axvline(0, color=GREY, lw=1)
    labels = [f"{name} {(notes or {}).get(name, '')}".strip() for name in order]
    axes.set_yticks(places, labels, fontsize=8)
    axes.set_xlabel(f"average precision: {style(method).label} minus {style(over).label}")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.25, axis="x")
    axes.set_axisbelow(True)
    return figure


def _parted(classes: Sequence[str], apart: Collection[str]) -> list[str]:
    return sorted(classes, key=lambda name: name in apart)

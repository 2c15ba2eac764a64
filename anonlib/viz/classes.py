"""Average precision per action class: Table 1 in colour, and differences between methods.

Tables are like table1.csv: columns `method`, one per class, and `map`; fractions in [0, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Patch

from anonlib.viz.axes import draw_heat, legend_below, panel, panels, percent
from anonlib.viz.styles import BLACK, BLUE, GREY, RED, SKY, style

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series


def classes_of(table: DataFrame) -> list[str]:
    """The class columns of a table1.csv, without those of the paper."""
    return [c for c in table.columns if c not in ("method", "map") and not c.startswith("paper_")]


def plot_table1(table: DataFrame) -> Figure:
    """Average precision of every class under every method, in colour; the paper's numbers below ours.

    The paper's numbers have the prefix `paper_`, and are empty for a method that the paper lacks.

    Implements Ren et al., Table 1. Differs from the paper: colours; a darker cell is better.
    """
    classes = [*classes_of(table), "map"]
    methods = [style(method).label for method in table["method"]]
    figure = panels(9.0, 0.55 * len(methods) + 1.6, rows=2, sharex=True)
    upper, lower = figure.axes
    published = table[[f"paper_{c}" for c in classes]].to_numpy(float)
    known = ~np.isnan(published).all(axis=1)
    draw_heat(upper, table[classes].to_numpy(float), rows=methods)
    draw_heat(lower, published[known], rows=[m for m, k in zip(methods, known, strict=True) if k])
    for axes, source in ((upper, "ours, synthetic clips"), (lower, "the paper, DALY")):
        axes.axvline(len(classes) - 1.5, color="white", lw=4)
        axes.tick_params(labelsize=10)
        axes.set_ylabel(source, fontsize=10)
    upper.set_xticks(range(len(classes)), [*classes[:-1], "mAP"])
    upper.tick_params(labeltop=True, labelbottom=False)
    lower.tick_params(labelbottom=False)
    return figure


def plot_gains(table: DataFrame, *, method: str = "modifier", over: str = "mask") -> Figure:
    """The gain of each class with `method` instead of `over`, and the paper's; see `plot_table1`."""
    gain = _gains(table, method, over, classes_of(table)).sort_values()
    published = _gains(table, method, over, [f"paper_{c}" for c in gain.index])
    figure, axes = panel(7.2, 3.4)
    heights = np.arange(len(gain))
    axes.barh(heights, gain.to_numpy(), height=0.55, color=RED, alpha=0.75, label="ours")
    axes.plot(published, heights, ls="none", marker="s", ms=8, mfc="none", mec="black", label="the paper")
    axes.set_yticks(heights, list(gain.index))
    _label_gains(axes, method, over)
    axes.legend(loc="lower right", frameon=False, fontsize=10)
    return figure


def plot_class_gains(
    table: DataFrame,
    *,
    method: str = "modifier",
    over: str = "mask",
    apart: Collection[str],
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """The gain of each class with `method` instead of `over`.

    Args:
        apart: classes in which hands or objects come near the face; above the others, in red.
        notes: class to a text that follows its name.
    """
    gain = _gains(table, method, over, classes_of(table)).sort_values()
    order = sorted(gain.index, key=lambda name: name in apart)
    places = np.arange(len(order)) + np.array([name in apart for name in order]) * 0.6
    figure, axes = panel(7.2, 0.26 * len(order) + 1.3)
    colors = [RED if name in apart else BLUE for name in order]
    axes.barh(places, gain[order], height=0.65, color=colors, alpha=0.8)
    labels = [f"{name} {(notes or {}).get(name, '')}".strip() for name in order]
    axes.set_yticks(places, labels)
    _label_gains(axes, method, over)
    axes.set_axisbelow(True)
    groups = {"hands or objects near the face": RED, "other actions": BLUE}
    legend_below(figure, handles=[Patch(color=c, alpha=0.8, label=name) for name, c in groups.items()])
    return figure


def _gains(table: DataFrame, method: str, over: str, columns: list[str]) -> Series:
    rows = table.set_index("method")
    return (rows.loc[method, columns] - rows.loc[over, columns]).astype(float)


def _label_gains(axes: Axes, method: str, over: str) -> None:
    axes.axvline(0, color=GREY, lw=1)
    axes.set_xlabel(f"average precision: {style(method).label} minus {style(over).label}")
    percent(axes.xaxis)
    axes.grid(alpha=0.25, axis="x")


def plot_class_precision(
    sources: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]], *, related: Collection[str]
) -> Figure:
    """Average precision of each class on clear and on masked frames, one panel per source.

    Implements two rows of Ren et al., Table 1. Differs from the paper: a figure, not a table.

    Args:
        sources: title to (clear, masked), each class to AP in [0, 1]; sources may differ in classes.
        related: classes that are recognised by the face; they are placed on top.
    """
    orders = [sorted(clear, key=lambda name: name not in related) for clear, _ in sources.values()]
    same = all(order == orders[0] for order in orders)
    figure = panels(3.1 * len(sources), 4.4, columns=len(sources), sharex=True, sharey=same)
    for axes, order, (title, (clear, masked)) in zip(figure.axes, orders, sources.items(), strict=True):
        rows = np.arange(len(order))
        axes.barh(rows - 0.2, [clear[name] for name in order], 0.38, color=SKY)
        axes.barh(rows + 0.2, [masked[name] for name in order], 0.38, color=BLACK)
        axes.axhline(sum(name in related for name in order) - 0.5, color=GREY, lw=1, ls=":")
        axes.set_title(title, fontsize=9)
        axes.set_xlim(0, 1.02)
        percent(axes.xaxis)
        axes.set_axisbelow(True)
        axes.grid(alpha=0.25, axis="x")
        if axes is figure.axes[0] or not same:
            axes.set_yticks(rows, order)
            axes.invert_yaxis()
    figure.axes[0].set_ylabel("others          face-related", loc="center")
    handles = [Patch(color=SKY, label="clear"), Patch(color=BLACK, label="masked")]
    legend_below(figure, handles=handles, ncols=2)
    return figure

"""How well methods hide people from the strongest attacker, and what they keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anonlib.viz.axes import panels, percent
from anonlib.viz.styles import BLACK, GREY, YELLOW, style

if TYPE_CHECKING:
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

SIDES = {
    "accuracy": "pairs judged right by the strongest attacker\n(ring: naive; dotted: guessing)",
    "kept": "state of the face that is left\n(pose and expression)",
}
"""The panels: columns of the leaderboard, and what they mean."""


def plot_leaderboard(board: DataFrame, *, highlight: str | None = None) -> Figure:
    """One row per method, the best hidden on top, with 95% intervals. Left is better, then right.

    Differs from the paper: in Fig. 4 the attacker is naive, and actions are measured instead of the state.

    Args:
        board: columns of results/leaderboard/methods.csv, shares in [0, 1].
        highlight: a method that is drawn in yellow and named in bold.
    """
    board = board.sort_values(["accuracy", "naive"]).reset_index(drop=True)
    figure = panels(9.6, 0.32 * len(board) + 1.1, columns=2, sharey=True)
    for axes, (column, meaning) in zip(figure.axes, SIDES.items(), strict=True):
        for height, row in board.iterrows():
            _draw_row(axes, row, column, height, large=row["method"] == highlight)
        axes.set_xlabel(meaning, fontsize=10)
        percent(axes.xaxis)
        axes.grid(alpha=0.25)
    left, right = figure.axes
    left.plot(
        board["naive"], board.index, ls="none", marker="o", ms=8, mfc="none", mec=GREY, mew=1.3, zorder=2
    )
    left.axvline(0.5, color=GREY, lw=1.2, ls=":")
    right.set_xlim(-0.03, 1.03)
    left.set_yticks(board.index, [style(method).label for method in board["method"]], fontsize=10)
    left.set_ylim(len(board) - 0.5, -0.5)
    for text, method in zip(left.get_yticklabels(), board["method"], strict=True):
        text.set_fontweight("bold" if method == highlight else "normal")
    return figure


def _draw_row(axes: Axes, row: Series, column: str, height: Any, *, large: bool) -> None:
    """One marker with its interval."""
    look, value = style(row["method"]), row[column]
    reach = np.clip([[value - row[f"{column}_lo"]], [row[f"{column}_hi"] - value]], 0, None)
    color, face = (BLACK, YELLOW) if large else (look.color, look.color)
    size = 11.0 if large else min(look.size, 9.0)
    marker: dict[str, Any] = {"marker": look.marker, "ms": size, "mfc": face, "mec": color, "zorder": 3}
    axes.errorbar([value], [height], xerr=reach, color=color, elinewidth=1.4, ls="none", **marker)

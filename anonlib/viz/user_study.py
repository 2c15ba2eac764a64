"""The user study: what is asked, and the shares that come out with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from anonlib.viz.pictures import show
from anonlib.viz.styles import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pandas import DataFrame
    from torch import Tensor

LOOKS = ((BLACK, "*"), (BLUE, "o"), (VERMILION, "^"), (GREEN, "D"), (ORANGE, "v"))
ASKED = {
    "Q1": "Q1: same person?\n(share right)",
    "Q2": "Q2: who is it?\n(share right of those known)",
    "Q3": "Q3: would you trust it?\n(share of yes)",
}
SIDE = 6
"""Faces of Q3 in a row."""


def plot_questions(*, pair: Tensor, people: Mapping[str, Tensor], face: Tensor, together: Tensor) -> Figure:
    """One question of each kind, with the people who are introduced before the second.

    Args:
        pair: `(2, 3, H, W)` modified faces in [0, 1].
        people: name to a clear picture `(3, H, W)`; maybe nobody.
        face: a modified one `(3, H, W)`.
        together: `(N, 3, H, W)` modified faces, six or more.
    """
    figure = Figure(figsize=(7.4, 5.4))
    panels = figure.subplots(
        4,
        SIDE + 1,
        gridspec_kw={
            "left": 0.005,
            "right": 0.995,
            "bottom": 0.005,
            "top": 0.93,
            "wspace": 0.06,
            "hspace": 0.3,
        },
    )
    for axes in panels.flat:
        axes.set_axis_off()
    titled = {
        "Q1: do both faces show the same person?   [same] [different]": pair,
        "Q2: who is this?": face[None],
        "Q3: would you feel protected?   [yes] [no]": together,
    }
    rows = ((panels[0], pair), (panels[2], face[None]), (panels[3], together[: SIDE + 1]))
    for (row, pictures), title in zip(rows, titled, strict=True):
        row[0].set_title(title, loc="left", fontsize=9)
        for axes, picture in zip(row, pictures, strict=False):
            show(axes, picture)
    for axes, (name, picture) in zip(panels[1], people.items(), strict=False):
        axes.set_title(name, fontsize=9)
        show(axes, picture)
    return figure


def plot_shares(studies: Mapping[str, DataFrame]) -> Figure:
    """One row a question, in it one marker a study with its Wilson interval; Q1's chance is dotted.

    Where the interval over participants is known, it is a thin line under the other.

    Implements Ren et al., section 5.5. Differs from the paper: which gives its shares in the text.

    Args:
        studies: by name, the columns of `anonlib.study.statistics.Share`.
    """
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    axes = figure.add_subplot()
    kinds = list(ASKED)
    shifts = np.linspace(-0.22, 0.22, len(studies)) if len(studies) > 1 else [0.0]
    for (name, table), shift, (color, marker) in zip(
        studies.items(), shifts, LOOKS * len(studies), strict=False
    ):
        share, lo, hi = (table[column].to_numpy(float) for column in ("share", "lo", "hi"))
        heights = [kinds.index(kind) + shift for kind in table["question"]]
        reach = np.clip([share - lo, hi - share], 0, None)
        axes.errorbar(
            share, heights, xerr=reach, ls="none", marker=marker, ms=7, color=color, label=name, elinewidth=2
        )
        ends = (table[f"people_{end}"].to_numpy(float) for end in ("lo", "hi"))
        axes.hlines(np.add(heights, 0.08), *ends, color=color, lw=0.8)
    axes.plot([0.5, 0.5], [-0.4, 0.4], color=GREY, lw=1.2, ls=":")
    axes.set_yticks(range(len(kinds)), ASKED.values())
    axes.set(xlim=(-0.02, 1.02), ylim=(len(kinds) - 0.5, -0.5))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.25, axis="x")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure

"""Named curves: fractions over a quantity, ROC, precision over recall, the angular margin, losses."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from anonlib.viz.axes import legend_right, note, panel, percent
from anonlib.viz.styles import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, line_colors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure
    from matplotlib.lines import Line2D
    from numpy.typing import ArrayLike
    from pandas import DataFrame

MARKED = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "D"), (PURPLE, "^"), (ORANGE, "v"), (BLACK, "P"))
MARGINS = ((BLUE, "-"), (GREEN, "--"), (ORANGE, "-."), (VERMILION, "-"), (PURPLE, ":"))
LOSSES = (BLUE, VERMILION, GREEN, PURPLE, BLACK)
PHASES = (SKY, ORANGE, GREEN, PURPLE)
MOST_TICKS = 8
"""So many whole numbers on the x axis of `plot_curves` have a tick each."""
AGAIN = " again"
"""Ends the name of a phase that has the colour of an earlier one."""
TITLES = {
    "D modified": "D on modified faces, $L_D(M(f), i_f)$",
    "D clear": "D on clear faces, $L_D(f, i_f)$",
    "L_det": "$L_{det}$, Eq. (1)",
    "L_adv": "what M minimises of $L_{adv}$, Eq. (2)",
    "L_l1": "$L_{l1}$, Eq. (3)",
}
"""The logged losses of Algorithm 1 in the paper's notation."""


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
    """Fractions over one quantity, in percent.

    Args:
        x: `(K,)` values of the quantity.
        curves: name to `(K,)` fractions in [0, 1]; NaN leaves a gap.
        chance: what guessing reaches, drawn as a dotted line.
        mark: a value of the quantity to mark, and the text beside it.
        log: use a logarithmic x axis with base 2.
    """
    figure, axes = panel(6.2, 3.4)
    for (name, values), (color, marker) in zip(curves.items(), MARKED, strict=False):
        axes.plot(x, values, color=color, marker=marker, ms=4, lw=1.6, label=name)
    if chance is not None:
        axes.axhline(chance, color=GREY, ls=":", lw=1.2, label="guessing")
    if log:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    elif len(points := np.asarray(x)) <= MOST_TICKS and np.issubdtype(points.dtype, np.integer):
        axes.set_xticks(points)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    percent(axes.yaxis)
    axes.margins(y=0.08)
    axes.grid(alpha=0.25)
    if mark is not None:
        axes.axvline(mark[0], color=GREY, lw=1)
        left = axes.transAxes.inverted().transform(axes.transData.transform((mark[0], 0)))[0] > 0.5
        side = {"ha": "right" if left else "left", "va": "top", "xycoords": ("data", "axes fraction")}
        note(axes, mark[1], (mark[0], 1), (-4 if left else 4, -4), **side)
    if len(curves) > 1 or chance is not None:
        legend_right(figure)
    return figure


def plot_roc(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]], *, log: bool = False, grey_below: float | None = None
) -> Figure:
    """True accept rate over false accept rate in face verification.

    Args:
        curves: name to (false accept rates, true accept rates), both ascending in [0, 1]; the label of a
            method has its colour.
        log: use a logarithmic x axis, to read the true accept rate at small false accept rates.
        grey_below: false accept rates below this one rest on too few pairs, and are shaded.
    """
    figure, axes = panel(7.2, 4.2)
    chance = np.geomspace(1e-4, 1, 200)
    axes.plot(chance, chance, color=GREY, lw=1, ls=":", label="guessing")
    colors = line_colors(list(curves))
    for (name, (false_accepts, true_accepts)), color in zip(curves.items(), colors, strict=True):
        axes.plot(false_accepts, true_accepts, color=color, lw=1.8, label=name, drawstyle="steps-post")
    axes.set(xlabel="false accept rate", ylabel="true accept rate", ylim=(-0.02, 1.02))
    axes.set(xscale="log", xlim=(1e-3, 1)) if log else axes.set(xlim=(-0.02, 1.02))
    percent(axes.yaxis)
    axes.xaxis.set_major_formatter(lambda rate, _: f"{100 * rate:g}%")
    if grey_below is not None:
        axes.axvspan(0, grey_below, color=GREY, alpha=0.2, lw=0)
        look = {"xycoords": ("data", "axes fraction"), "ha": "right", "va": "center", "color": BLACK}
        note(axes, "fewer than\nten pairs", (grey_below, 0.65), (-4, 0), **look)
    axes.grid(alpha=0.25)
    legend_right(figure, handles=_from_above(axes, at=0.1))
    return figure


def _from_above(axes: Axes, *, at: float) -> list[Line2D]:
    """The named lines of a panel by their height at one x, the highest first, as the reader sees them."""
    lines = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    heights = [float(np.interp(at, *np.asarray(line.get_data(), float))) for line in lines]
    return [lines[n] for n in np.argsort(heights)[::-1]]


def plot_precision_recall(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]], *, points: bool = False
) -> Figure:
    """Precision over recall; the area below an interpolated curve is the average precision.

    Precision is interpolated as in PASCAL VOC: at each recall, it is the highest precision at that
    recall or a larger one.

    Implements the curve behind Ren et al., section 5.1, Action Detection. Differs from the paper: none.

    Args:
        curves: name to (recall, precision), both `(T,)`, by falling score.
        points: also draw the measured precision at each threshold, and fill the area.
    """
    figure, axes = panel(5.6, 3.6)
    colors = (BLUE, VERMILION, GREEN, ORANGE)
    for (name, pair), color in zip(curves.items(), colors, strict=False):
        recall, precision = (np.asarray(values, float) for values in pair)
        interpolated = np.maximum.accumulate(precision[::-1])[::-1]
        x = np.concatenate([[0], recall, recall[-1:]])
        y = np.concatenate([interpolated[:1], interpolated, [0]])
        axes.plot(x, y, color=color, lw=1.8, label=name, drawstyle="steps-pre")
        if points:
            axes.fill_between(x, y, step="pre", color=color, alpha=0.15, lw=0)
            dots: dict[str, Any] = {"ls": "none", "marker": "o", "ms": 6, "color": BLACK}
            axes.plot(recall, precision, label="precision at a threshold", **dots)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.03), ylim=(0, 1.05))
    axes.grid(alpha=0.25)
    legend_right(figure)
    return figure


def plot_margin(degrees: ArrayLike, curves: Mapping[str, ArrayLike]) -> Figure:
    """The function psi of the angular softmax loss, one curve per margin, over `(K,)` angles, 0 to 180."""
    figure, axes = panel(6.4, 3.6)
    for (name, values), (color, dashes) in zip(curves.items(), MARGINS, strict=False):
        axes.plot(degrees, values, color=color, ls=dashes, lw=1.8, label=name)
    axes.axhline(0, color=GREY, lw=0.8)
    axes.set(xlabel="angle θ between face and person, degrees", ylabel="ψ(θ)", xlim=(0, 180))
    axes.set_xticks(range(0, 181, 45))
    axes.grid(alpha=0.25)
    legend_right(figure)
    return figure


def plot_losses(
    history: DataFrame,
    *,
    phases: Mapping[str, float] | None = None,
    smooth: int = 25,
    steps: float | None = None,
) -> Figure:
    """Every logged loss over the steps, one panel each, with the phases of Algorithm 1 shaded.

    Args:
        history: column `step`, and one column per loss; NaN where a loss was not computed.
        phases: name to the first step of the phase, in order; `X again` has the colour of `X`.
        smooth: length of the running mean in logged values; 1 draws the logged values alone.
        steps: end of the last phase; by default the last logged step.
    """
    panels = max(1, len(history.columns) - 1)
    figure = Figure(figsize=(7.2, 0.7 + 1.2 * panels), layout="constrained")
    draw_losses(figure, history, phases=phases or {}, smooth=smooth, steps=steps)
    return figure


def draw_losses(
    figure: Figure | SubFigure,
    history: DataFrame,
    *,
    phases: Mapping[str, float],
    smooth: int,
    steps: float | None = None,
) -> None:
    """Draw `plot_losses` into an existing figure or a part of one."""
    names = [c for c in history.columns if c != "step"]
    panels = figure.subplots(max(1, len(names)), 1, sharex=True, squeeze=False)[:, 0]
    end = float(history["step"].max()) if steps is None else steps
    spans = list(pairwise([*phases.values(), end]))
    players = list(dict.fromkeys(name.removesuffix(AGAIN) for name in phases))
    for axes in panels:
        for name, span in zip(phases, spans, strict=True):
            color = PHASES[players.index(name.removesuffix(AGAIN)) % len(PHASES)]
            axes.axvspan(*span, color=color, alpha=0.16, lw=0)
        if phases and end > min(phases.values()):
            axes.set_xlim(min(phases.values()), end)
        axes.grid(alpha=0.25)
    for axes, name, color in zip(panels, names, LOSSES * len(names), strict=False):
        _draw_loss(axes, history[["step", name]].dropna(), color, smooth)
        title = name if "$" in name else TITLES.get(name, name.replace("_", " "))
        axes.set_title(title, loc="left", fontsize=10)
    for name, span in zip(phases, spans, strict=True):
        look = {"xycoords": ("data", "axes fraction"), "ha": "center", "color": "black"}
        note(panels[0], name, (sum(span) / 2, 1), (0, 20), **look)
    panels[-1].set_xlabel("step")


def _draw_loss(axes: Axes, known: DataFrame, color: str, smooth: int) -> None:
    steps, values = known.iloc[:, 0], known.iloc[:, 1]
    mean = values.rolling(smooth, min_periods=1, center=True).mean()
    axes.plot(steps, values, color=color, alpha=0.25 if smooth > 1 else 0, lw=0.8)
    axes.plot(steps, mean, color=color, lw=1.5, marker="o" if len(steps) == 1 else "", ms=3)

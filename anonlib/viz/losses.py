"""Losses over the steps of a training, with the phases of Algorithm 1 as coloured bands."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from anonlib.viz.styles import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure
    from pandas import DataFrame

LINES = (BLUE, VERMILION, GREEN, PURPLE, BLACK)
BANDS = (SKY, ORANGE, GREEN, PURPLE)
TITLES = {
    "D modified": "D on modified faces, $L_D(M(f), i_f)$",
    "D clear": "D on clear faces, $L_D(f, i_f)$",
    "L_det": "$L_{det}$, Eq. (1)",
    "L_adv": "what M minimises of $L_{adv}$, Eq. (2)",
    "L_l1": "$L_{l1}$, Eq. (3)",
}
"""The losses of Algorithm 1 as the paper writes them."""


def plot_losses(
    history: DataFrame,
    *,
    phases: Mapping[str, float] | None = None,
    smooth: int = 25,
    steps: float | None = None,
) -> Figure:
    """Every logged loss over the steps, one panel each, with the phases of Algorithm 1 shaded.

    Args:
        history: column `step`, and one column a loss; NaN where a loss was not computed.
        phases: the step at which each phase starts, by its name, in order.
        smooth: logged values in the running mean drawn over the raw ones; 1 draws these alone.
        steps: where the last phase ends; by default at the last step there is.
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
    """`plot_losses` into a figure that is there already, or into a part of one."""
    names = [c for c in history.columns if c != "step"]
    panels = figure.subplots(max(1, len(names)), 1, sharex=True, squeeze=False)[:, 0]
    end = float(history["step"].max()) if steps is None else steps
    for axes in panels:
        _shade(axes, phases, end)
        axes.grid(alpha=0.25)
    for axes, name, color in zip(panels, names, LINES * len(names), strict=False):
        _curve(axes, history[["step", name]].dropna(), color, smooth)
        title = name if "$" in name else TITLES.get(name, name.replace("_", " "))
        axes.set_title(title, loc="left", fontsize=9)
    _name(panels[0], phases, end)
    panels[-1].set_xlabel("step")


def _curve(axes: Axes, known: DataFrame, color: str, smooth: int) -> None:
    steps, values = known.iloc[:, 0], known.iloc[:, 1]
    mean = values.rolling(smooth, min_periods=1, center=True).mean()
    axes.plot(steps, values, color=color, alpha=0.25 if smooth > 1 else 0, lw=0.8)
    axes.plot(steps, mean, color=color, lw=1.5, marker="o" if len(steps) == 1 else "", ms=3)


def _shade(axes: Axes, phases: Mapping[str, float], end: float) -> None:
    for (start, stop), color in zip(_bands(phases, end), BANDS * len(phases), strict=False):
        axes.axvspan(start, stop, color=color, alpha=0.16, lw=0)
    if phases and end > min(phases.values()):
        axes.set_xlim(min(phases.values()), end)


def _name(axes: Axes, phases: Mapping[str, float], end: float) -> None:
    """Writes the name of each phase over the middle of its band."""
    for name, (start, stop) in zip(phases, _bands(phases, end), strict=True):
        axes.annotate(
            name,
            ((start + stop) / 2, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 20),
            textcoords="offset points",
            fontsize=9,
            ha="center",
            annotation_clip=False,
        )


def _bands(phases: Mapping[str, float], end: float) -> list[tuple[float, float]]:
    """Each phase from its start to the start of the next."""
    return list(pairwise([*phases.values(), end]))

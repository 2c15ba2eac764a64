"""How D is trained and measured: the angular margin, similarities of pairs, folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Wedge
from matplotlib.ticker import PercentFormatter

from anonlib.viz.styles import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

MARGINS = ((BLUE, "-"), (GREEN, "--"), (ORANGE, "-."), (VERMILION, "-"), (PURPLE, ":"))
SAME, DIFFERENT = BLUE, ORANGE


def plot_margin(degrees: ArrayLike, curves: Mapping[str, ArrayLike]) -> Figure:
    """psi over the angle between a face and its person, one curve a margin.

    Args:
        degrees: `(K,)` angles from 0 to 180.
        curves: name to `(K,)` values of psi.
    """
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for (name, values), (color, dashes) in zip(curves.items(), MARGINS, strict=False):
        axes.plot(degrees, values, color=color, ls=dashes, lw=1.8, label=name)
    axes.axhline(0, color=GREY, lw=0.8)
    axes.set(xlabel="angle θ between face and person, degrees", ylabel="ψ(θ)", xlim=(0, 180))
    axes.set_xticks(range(0, 181, 45))
    axes.grid(alpha=0.25)
    figure.legend(loc="outside right center", frameon=False, fontsize=9)
    return figure


def plot_decisions(between: float, *, margins: Sequence[int]) -> Figure:
    """Where a feature may point so that softmax with a margin is content, for two persons.

    A feature between the weight vectors counts as person 1's if m theta_1 < theta_2 and as
    person 2's if m theta_2 < theta_1, so each owns `between / (m + 1)` on its side; with m > 1 a
    gap is left, in which training pushes on.

    Implements the decision boundary of A-Softmax (Liu et al., CVPR 2017), used in Ren et al.,
    Eq. (2). Differs from the paper: none.

    Args:
        between: degrees between the two weight vectors, 0 to 180.
        margins: values of m, a panel each.
    """
    figure = Figure(figsize=(3.3 * len(margins), 2.9), layout="constrained")
    panels = figure.subplots(1, len(margins), squeeze=False)[0]
    for axes, margin in zip(panels, margins, strict=True):
        middle, own = 90.0, between / (margin + 1)
        low, high = middle - between / 2, middle + between / 2
        _sector(axes, (low, low + own), color=BLUE, name="person 1's")
        _sector(axes, (high - own, high), color=ORANGE, name="person 2's")
        if high - low - 2 * own > 1e-6:
            _sector(axes, (low + own, high - own), color=GREY, name="neither's")
        _arrow(axes, low, "W$_1$", beside=low - 14)
        _arrow(axes, high, "W$_2$", beside=high + 14)
        axes.set_title(f"m = {margin}", fontsize=10)
        axes.set(xlim=(-1.35, 1.35), ylim=(-0.12, 1.4), aspect="equal")
        axes.set_axis_off()
    return figure


def _sector(axes: Axes, span: tuple[float, float], *, color: str, name: str) -> None:
    axes.add_patch(Wedge((0, 0), 1, *span, facecolor=color, alpha=0.3, edgecolor="white"))
    angle = np.radians(sum(span) / 2)
    axes.text(
        1.2 * np.cos(angle),
        1.15 * np.sin(angle),
        f"{name}\n{span[1] - span[0]:.0f}°",
        ha="center",
        va="center",
        fontsize=8,
    )


def _arrow(axes: Axes, degrees: float, name: str, *, beside: float) -> None:
    x, y = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    axes.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "color": BLACK, "lw": 1.5})
    x, y = 0.7 * np.cos(np.radians(beside)), 0.7 * np.sin(np.radians(beside))
    axes.text(x, y, name, ha="center", va="center", fontsize=10)


def plot_similarities(scores: ArrayLike, same: ArrayLike, *, threshold: float | None = None) -> Figure:
    """Cosine similarities of pairs of one person and of two, and where the line is drawn.

    Args:
        scores: `(P,)` cosine similarities.
        same: `(P,)` whether the pair shows one person.
        threshold: pairs at it or above count as one person.
    """
    scores, same = np.asarray(scores), np.asarray(same, dtype=bool)
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    axes = figure.add_subplot()
    bins = np.linspace(min(-0.2, float(scores.min())), 1, 61).tolist()
    for name, chosen, color, hatch in (
        ("two people", ~same, DIFFERENT, "///"),
        ("one person", same, SAME, ""),
    ):
        axes.hist(
            scores[chosen],
            bins,
            color=(color, 0.55),
            edgecolor=color,
            lw=0.6,
            hatch=hatch,
            label=f"{name}, {chosen.sum()} pairs",
        )
    if threshold is not None:
        axes.axvline(threshold, color=BLACK, lw=1.4, label=f"threshold {threshold:.2f}")
    axes.set(xlabel="cosine similarity of the two features", ylabel="pairs")
    figure.legend(loc="outside right center", frameon=False, fontsize=9)
    return figure


def plot_folds(
    per_fold: ArrayLike, thresholds: ArrayLike, *, mean: float, interval: tuple[float, float]
) -> Figure:
    """The accuracy of each fold with mean and interval, and the threshold it was judged by.

    Implements Ren et al., section 5.1, Face Recognition. Differs from the paper: which reports
    the mean alone.

    Args:
        per_fold: `(F,)` accuracies.
        thresholds: `(F,)` thresholds, each chosen on the other folds.
        mean: accuracy over the folds.
        interval: confidence interval of the mean.
    """
    per_fold, thresholds = np.asarray(per_fold, float), np.asarray(thresholds, float)
    numbers = np.arange(1, len(per_fold) + 1)
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.axhspan(*interval, color=BLUE, alpha=0.15, lw=0, label="95% interval of the mean")
    left.axhline(mean, color=BLUE, lw=1.4, label=f"mean {mean:.1%}")
    left.plot(numbers, per_fold, ls="none", marker="o", ms=6, color=BLACK)
    left.set(title="accuracy of the fold", xlabel="fold")
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    left.margins(y=0.15)
    left.set_ylim(top=min(left.get_ylim()[1], 1.002))
    right.plot(numbers, thresholds, ls="none", marker="D", ms=5, color=VERMILION)
    middle, reach = float(thresholds.mean()), max(0.05, 2 * float(np.ptp(thresholds)))
    right.set(title="its threshold, from the others", xlabel="fold")
    right.set_ylim(middle - reach, middle + reach)
    for axes in (left, right):
        axes.set_xticks(numbers)
        axes.grid(alpha=0.25)
        axes.title.set_fontsize(10)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure

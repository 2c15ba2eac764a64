"""Figures about the face classifier D: its decision, similarities of pairs, folds, consistency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Wedge

from anonlib.viz.axes import legend_below, legend_right, note, panel, panels, percent
from anonlib.viz.styles import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray
    from pandas import DataFrame

    Floats = NDArray[np.floating]

LOWEST, HIGHEST = -0.2, 1.0
"""Cosine similarities at the two ends of the colour scale."""
GROUPS = (("two people", ORANGE, "///"), ("one person", BLUE, ""))
"""Name, colour and hatch of the pairs of pictures in a histogram."""


def plot_decisions(between: float, *, margins: Sequence[int]) -> Figure:
    """The decision regions of softmax with an angular margin, for two people.

    A feature between the weight vectors belongs to person 1 if m theta_1 < theta_2, and to
    person 2 if m theta_2 < theta_1. So each region is `between / (m + 1)` wide. With m > 1, features
    in the gap between the regions still cause a loss.

    Implements the decision boundary of A-Softmax (Liu et al., CVPR 2017), used in Ren et al.,
    Eq. (2). Differs from the paper: none.

    Args:
        between: degrees between the two weight vectors, 0 to 180.
        margins: values of m, one panel each.
    """
    figure = panels(3.3 * len(margins), 2.9, columns=len(margins))
    low, high = 90.0 - between / 2, 90.0 + between / 2
    for axes, margin in zip(figure.axes, margins, strict=True):
        own = between / (margin + 1)
        _sector(axes, low, low + own, color=BLUE, name="person 1's")
        _sector(axes, high - own, high, color=ORANGE, name="person 2's")
        if high - low - 2 * own > 1e-6:
            _sector(axes, low + own, high - own, color=GREY, name="neither's")
        for degrees, name, beside in ((low, "W$_1$", low - 14), (high, "W$_2$", high + 14)):
            tip, at = _on_circle(1, degrees), _on_circle(0.7, beside)
            axes.annotate("", tip, (0, 0), arrowprops={"arrowstyle": "->", "color": BLACK, "lw": 1.5})
            axes.text(*at, name, ha="center", va="center", fontsize=10)
        axes.set_title(f"m = {margin}", fontsize=10)
        axes.set(xlim=(-1.35, 1.35), ylim=(-0.12, 1.4), aspect="equal")
        axes.set_axis_off()
    return figure


def _sector(axes: Axes, start: float, end: float, *, color: str, name: str) -> None:
    axes.add_patch(Wedge((0, 0), 1, start, end, facecolor=color, alpha=0.3, edgecolor="white"))
    x, y = _on_circle(1, (start + end) / 2)
    axes.text(1.2 * x, 1.15 * y, f"{name}\n{end - start:.0f}°", ha="center", va="center", fontsize=8)


def _on_circle(radius: float, degrees: float) -> tuple[float, float]:
    angle = np.radians(degrees)
    return radius * float(np.cos(angle)), radius * float(np.sin(angle))


def plot_similarities(scores: ArrayLike, same: ArrayLike, *, threshold: float | None = None) -> Figure:
    """Histograms of the `(P,)` cosine similarities of pairs of one person (`same`) and of two people.

    Pairs with `score >= threshold` count as one person.
    """
    scores, same = np.asarray(scores), np.asarray(same, dtype=bool)
    figure, axes = panel(7.2, 3.0)
    bins = np.linspace(min(-0.2, float(scores.min())), 1, 61).tolist()
    for (name, color, hatch), chosen in zip(GROUPS, (~same, same), strict=True):
        look: dict[str, Any] = {"color": (color, 0.55), "edgecolor": color, "lw": 0.6, "hatch": hatch}
        axes.hist(scores[chosen], bins, label=f"{name}, {chosen.sum()} pairs", **look)
    if threshold is not None:
        axes.axvline(threshold, color=BLACK, lw=1.4, label=f"threshold {threshold:.2f}")
    axes.set(xlabel="cosine similarity of the two features", ylabel="pairs")
    legend_right(figure)
    return figure


def plot_folds(
    per_fold: ArrayLike, thresholds: ArrayLike, *, mean: float, interval: tuple[float, float]
) -> Figure:
    """The accuracy of each fold with mean and interval, and the threshold used for the fold.

    Accuracies and thresholds are `(F,)`; the interval is that of the mean.

    Implements Ren et al., section 5.1, Face Recognition. Differs from the paper: it gives only the mean.
    """
    per_fold, thresholds = np.asarray(per_fold, float), np.asarray(thresholds, float)
    numbers = np.arange(1, len(per_fold) + 1)
    figure = panels(7.2, 3.0, columns=2)
    left, right = figure.axes
    left.axhspan(*interval, color=BLUE, alpha=0.15, lw=0, label="95% interval of the mean")
    left.axhline(mean, color=BLUE, lw=1.4, label=f"mean {mean:.1%}")
    left.plot(numbers, per_fold, ls="none", marker="o", ms=6, color=BLACK)
    left.set(title="accuracy of the fold", xlabel="fold")
    percent(left.yaxis)
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
    legend_below(figure, ncols=2)
    return figure


def plot_similarity(matrices: Mapping[str, Floats], *, names: Sequence[str], images: int) -> Figure:
    """Heat maps of the similarity of every picture to every other; white lines separate people.

    The matrices are `(P * K, P * K)`, sorted by person: P names, and K `images` of each person.
    """
    figure = Figure(figsize=(0.7 + 2.35 * len(matrices), 2.6))
    place: dict[str, Any] = {"left": 0.07, "right": 0.9, "bottom": 0.1, "top": 0.86, "wspace": 0.25}
    figure.subplots(1, len(matrices), gridspec_kw=place)
    centres = np.arange(len(names)) * images + (images - 1) / 2
    for axes, (title, matrix) in zip(figure.axes, matrices.items(), strict=True):
        shown = axes.imshow(matrix, cmap="cividis", vmin=LOWEST, vmax=HIGHEST)
        axes.set_xticks(centres, names)
        axes.set_yticks(centres, names)
        axes.tick_params(length=0, pad=2)
        for edge in np.arange(1, len(names)) * images - 0.5:
            axes.axhline(edge, color="white", lw=1.5)
            axes.axvline(edge, color="white", lw=1.5)
        axes.set_title(title, fontsize=10)
    last = axes.get_position()
    scale = figure.add_axes((0.912, last.y0, 0.018, last.height))
    figure.colorbar(shown, cax=scale, extend="min")
    scale.set_title("cosine", fontsize=10, loc="left", pad=9)
    return figure


def plot_strength(sweep: DataFrame) -> Figure:
    """The table of `anonlib.experiment.strength_sweep`: similarities and accuracy, by strength."""
    figure, axes = panel(7.2, 3.4)
    for column, name, color, marker in (
        ("within", "modified, same person", BLUE, "o"),
        ("between", "modified, two people", ORANGE, "^"),
        ("to_original", "modified and original, same person", GREEN, "s"),
        ("recognised", "people told apart (1 − EER)", BLACK, "*"),
    ):
        axes.plot(sweep["strength"], sweep[column], color=color, marker=marker, label=name)
    axes.axhline(0.5, color=GREY, lw=1, ls=":")
    note(axes, "1 − EER of guessing", (1, 0.5), (-2, -13), ha="right")
    axes.set(xlabel="strength s of f + s (M(f) − f)", ylabel="cosine similarity, 1 − EER")
    axes.grid(alpha=0.25)
    legend_right(figure)
    return figure


def plot_consecutive(
    curves: Mapping[str, Floats], *, levels: Mapping[str, float] | None = None, frame: int | None = None
) -> Figure:
    """Similarity of the face in each frame of a clip to the face in the frame before.

    Args:
        curves: name to `(T - 1,)` similarities; the first curve is black.
        levels: name to a similarity for comparison, drawn as a dashed line in the colour of the
            curve at the same place.
        frame: the frame to mark, counted from 0.
    """
    levels = levels or {}
    figure = Figure(figsize=(7.2, 2.4))
    axes = figure.add_axes((0.07, 0.2, 0.6, 0.67))
    colors = (BLACK, VERMILION, BLUE, GREEN)
    for (name, values), color, marker in zip(curves.items(), colors, "o^sD", strict=False):
        frames = np.arange(2, len(values) + 2)
        axes.plot(frames, values, color=color, marker=marker, ms=4, lw=1.5, label=name)
    for (name, level), color in zip(levels.items(), colors, strict=False):
        axes.axhline(level, color=color, lw=1, ls="--", label=name)
    if frame is not None:
        axes.axvline(frame + 1, color=GREY, lw=5, alpha=0.35)
    lowest = min(0.95, *(float(v.min()) for v in curves.values()), *levels.values())
    axes.set(xlabel="frame", ylim=(lowest - 0.08, 1.03), xlim=(0.5, len(values) + 1.5))
    axes.set_title("cosine similarity to the face in the frame before", loc="left", fontsize=10)
    axes.grid(alpha=0.25)
    figure.legend(loc="center left", bbox_to_anchor=(0.68, 0.53), fontsize=10, frameon=False)
    return figure


def plot_tries(panes: Mapping[str, Floats], right: ArrayLike) -> Figure:
    """What an attacker sees who tries every password on each of N hidden faces.

    Args:
        panes: the meaning of a score, one panel each, to the `(N, passwords)` scores.
        right: `(N,)` number of the right password.
    """
    figure = panels(4.8 * len(panes), 3.6, columns=len(panes))
    for axes, (meaning, scores) in zip(figure.axes, panes.items(), strict=True):
        faces = np.arange(len(scores))
        wrong = np.ma.masked_array(scores, np.arange(scores.shape[1]) == np.asarray(right)[:, None])
        low, high = np.asarray(wrong.min(1)), np.asarray(wrong.max(1))
        axes.vlines(faces + 1, low, high, color=GREY, lw=5, label="all wrong passwords")
        found: dict[str, Any] = {"ls": "none", "marker": "D", "ms": 6.5, "color": VERMILION, "mec": "white"}
        axes.plot(faces + 1, scores[faces, np.asarray(right)], label="the right password", **found)
        axes.set_title(meaning, fontsize=10, loc="left")
        axes.set_xlabel("hidden face")
        axes.grid(alpha=0.25, axis="y")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    legend_below(figure, handles=handles, labels=labels)
    return figure

"""Results of methods and experiments as markers: Fig. 4, accuracies and answers with intervals.

Tables hold fractions in [0, 1]; a column `x_lo` and a column `x_hi` are the interval of `x`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Ellipse

from anonlib.viz.axes import legend_below, legend_right, panel, panels, percent, shifts
from anonlib.viz.styles import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILION, YELLOW, style

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from pandas import DataFrame, Series

MEASURES = ["verification_error", "action_map"]
MIXTURES = {"person": ("--", "mask some people"), "picture": (":", "mask some pictures")}
"""Line style and name of each curve of `anonlib.experiment.mixtures`."""
JOINT = float(np.sqrt(-2 * np.log(0.05)) / 1.959964)
"""Size of the joint 95% region of two independent normal numbers, relative to the 95% interval of one."""
EXPERIMENTS = ((VERMILION, "o"), (BLUE, "^"), (GREEN, "D"), (ORANGE, "v"), (BLACK, "s"))
STUDIES = ((BLACK, "*"), (BLUE, "o"), (VERMILION, "^"), (GREEN, "D"), (ORANGE, "v"))
ASKED = {
    "Q1": "Q1: same person?\n(share right)",
    "Q2": "Q2: who is it?\n(share right of those known)",
    "Q3": "Q3: would you trust it?\n(share of yes)",
}


def plot_privacy_utility(
    figure4: DataFrame,
    *,
    paper: DataFrame | None = None,
    mixtures: DataFrame | None = None,
    highlight: str | None = None,
    attacker: str = "naive attacker",
    front: Collection[str] = (),
) -> Figure:
    """Action mAP over verification error, one marker per method; better is up and to the right.

    Implements Ren et al., Fig. 4. Differs from the paper: an ellipse holds both true numbers of a
    method with 95% confidence. The two numbers come from different data, so they are independent and
    the ellipse is parallel to the axes.

    Args:
        figure4: columns `method`, `verification_error`, `action_map`, optionally with intervals.
        paper: published points in the same columns; points with both numbers are drawn hollow.
        mixtures: the curves of masking only some people or pictures, as in mixtures.csv of a run.
        highlight: a method to draw larger, with its name beside it.
        attacker: who judged the pairs, for the x axis. A naive one is not trained on the finished method.
        front: methods with their names beside them.
    """
    figure, axes = panel(7.6, 4.6)
    handles = [_draw_method(axes, row, large=row["method"] == highlight) for _, row in figure4.iterrows()]
    handles += _draw_mixtures(axes, mixtures)
    if paper is not None:
        handles += _draw_published(axes, paper, note=", paper on DALY")
    axes.set(xlabel=f"face verification error, {attacker}", ylabel="action detection mAP@0.5")
    axes.set_title("better ↗", loc="right", fontsize=10, color=GREY)
    percent(axes.xaxis, axes.yaxis)
    axes.margins(0.08)
    axes.grid(alpha=0.25)
    legend_right(figure, handles=handles, labelspacing=0.8)
    named = figure4[figure4["method"].isin([*front, *([highlight] if highlight else [])])]
    _name_points(axes, {row["method"]: tuple(row[MEASURES]) for _, row in named.iterrows()}, bold=highlight)
    return figure


def _name_points(axes: Axes, points: Mapping[str, tuple[float, float]], *, bold: str | None) -> None:
    """Writes the name of each method beside its marker, where most room is to other markers and names."""
    axes.autoscale_view()
    place = axes.transData.transform
    scale = 72 / axes.get_figure(root=True).dpi  # type: ignore[union-attr]
    markers = [line.get_xydata()[0] for line in axes.lines if len(line.get_xdata()) == 1]  # type: ignore
    taken = [place(at) * scale for at in markers]  # in points
    edges = axes.transAxes.transform([(0, 0), (1, 1)])
    for method, at in points.items():
        text = style(method).label
        reach = 9 + 3.2 * len(text)  # half of the text's width, and a gap
        ways = [(reach + 3, 0), (-reach - 3, 0), (0, 15), (0, -15), (reach, 12), (-reach, 12)]
        ways += [(reach, -12), (-reach, -12)]
        ways += [(side * (reach - 25), up) for up in (15, -15) for side in (1, -1)]
        spots = [place(at) * scale + way for way in ways]
        inside = [_inside(spot, reach, *(edges * scale)) for spot in spots]
        room = [
            ok * min(_gap(spot, other, reach) for other in taken)
            for spot, ok in zip(spots, inside, strict=True)
        ]
        best = int(np.argmax(room))
        weight = "bold" if method == bold else "normal"
        look: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "center", "zorder": 5}
        axes.annotate(text, at, xytext=ways[best], fontsize=10, weight=weight, **look)
        taken += [spots[best] + (shift, 0) for shift in (-reach / 2, 0, reach / 2)]


def _inside(text: Any, reach: float, low: Any, high: Any) -> bool:
    """Whether a text of this half width around its middle is inside the panel."""
    return bool(np.all(np.subtract(text, (reach, 7)) >= low) and np.all(np.add(text, (reach, 7)) <= high))


def _gap(text: Any, marker: Any, reach: float) -> float:
    """How far a marker is from a text of this half width around its middle, in points."""
    across, up = np.abs(np.subtract(text, marker))
    return float(np.hypot(max(0.0, across - reach), up))


def plot_by_attacker(
    strongest: DataFrame, figure4: DataFrame, *, mixtures: DataFrame | None = None
) -> Figure:
    """Fig. 4 by the strongest attacker on each method, and by the naive one, who was not retrained.

    Implements Ren et al., Fig. 4. Differs from the paper: its attacker is the naive one.

    Args:
        strongest: columns of strongest.csv of a run; methods that Fig. 4 lacks are left out.
        figure4: as for `plot_privacy_utility`.
        mixtures: as for `plot_privacy_utility`; drawn for the naive attacker, by whom they were measured.
    """
    figure = panels(9.6, 4.2, columns=2, sharex=True, sharey=True)
    left, right = figure.axes
    known = strongest[strongest["method"].isin(figure4["method"])]
    handles = [_draw_method(left, row) for _, row in known.iterrows()]
    for _, row in figure4.iterrows():
        _draw_method(right, row)
    handles += _draw_mixtures(right, mixtures)
    for axes, title in ((left, "strongest attacker"), (right, "naive attacker, as in the paper")):
        axes.set_title(title, fontsize=11)
        axes.set_xlabel(f"face verification error, {title.split(',')[0]}")
        axes.grid(alpha=0.25)
    left.set_ylabel("action detection mAP@0.5")
    percent(left.xaxis, right.xaxis, left.yaxis)
    legend_right(figure, handles=handles, labelspacing=0.8)
    return figure


def plot_figure4_panels(tables: Mapping[str, DataFrame], *, paper: tuple[str, DataFrame]) -> Figure:
    """Fig. 4 for several sources, one panel each; the y axes have different scales.

    Tables are as for `plot_privacy_utility`. `paper` is the title and the table of the published points; the
    last panel shows them hollow.

    Implements Ren et al., Fig. 4. Differs from the paper: methods without both numbers are left out.
    """
    figure = panels(2.8 * len(tables) + 4.6, 3.8, columns=len(tables) + 1, sharex=True)
    handles: dict[str, Line2D] = {}
    for axes, table in zip(figure.axes, tables.values(), strict=False):
        for _, row in table.dropna(subset=MEASURES).iterrows():
            handles[row["method"]] = _draw_method(axes, row)
    _draw_published(figure.axes[-1], paper[1])
    for axes, title in zip(figure.axes, [*tables, paper[0]], strict=True):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("verification error")
        percent(axes.xaxis, axes.yaxis)
        axes.margins(0.08)
        axes.grid(alpha=0.25)
    figure.axes[0].set_ylabel("action detection mAP@0.5")
    legend_right(figure, handles=list(handles.values()), labelspacing=0.8)
    return figure


def _draw_published(axes: Axes, paper: DataFrame, *, note: str = "") -> list[Line2D]:
    """The paper's points for which both numbers are known, hollow; `note` follows the name in the legend."""
    lines: list[Line2D] = []
    for _, row in paper.dropna(subset=MEASURES).iterrows():
        look = style(row["method"])
        hollow: dict[str, Any] = {"ls": "none", "mfc": "none", "mec": look.color, "mew": 1.2}
        hollow |= {"marker": look.marker, "ms": look.size, "label": look.label + note}
        lines += axes.plot(*row[MEASURES], **hollow)
    return lines


def _draw_mixtures(axes: Axes, mixtures: DataFrame | None) -> list[Line2D]:
    """The curves of `MIXTURES`, if there are any."""
    lines: list[Line2D] = []
    for what, curve in () if mixtures is None else mixtures.groupby("masked"):
        points = curve.sort_values("share")[MEASURES].to_numpy(float).T
        dashes, label = MIXTURES[what]
        lines += axes.plot(*points, color=GREY, lw=1.4, ls=dashes, zorder=1, label=label)
    return lines


def _draw_method(axes: Axes, row: Series, *, large: bool = False) -> Line2D:
    """One method of Fig. 4, with the joint 95% region of its two numbers if the row has intervals."""
    look = style(row["method"])
    x, y = row[MEASURES]
    marker: dict[str, Any] = {"ms": look.size, "mfc": look.color, "mec": "white", "mew": 0.8}
    if large:
        marker |= {"ms": 14.0, "mfc": YELLOW, "mec": BLACK, "mew": 1.2}
    marker |= {"marker": look.marker, "ls": "none", "label": look.label}
    (line,) = axes.plot(x, y, zorder=4 if large else 3, **marker)
    if {f"{name}_{end}" for name in MEASURES for end in ("lo", "hi")} <= set(row.index):
        low, high = (row[[f"{name}_{end}" for name in MEASURES]].to_numpy(float) for end in ("lo", "hi"))
        color = BLACK if large else look.color
        fill: dict[str, Any] = {"facecolor": (color, 0.12), "edgecolor": (color, 0.6), "lw": 0.8, "zorder": 2}
        axes.add_patch(Ellipse(tuple((low + high) / 2), *(JOINT * (high - low)), **fill))
    return line


def plot_kept(shares: Mapping[str, Series]) -> Figure:
    """The share of the mAP on clear frames that remains under each method, one marker per source.

    Series are indexed by method; the first one sets the order, and what it lacks follows.
    """
    methods = list(dict.fromkeys(method for share in shares.values() for method in share.index))
    figure, axes = panel(7.2, 0.3 * len(methods) + 1.2)
    for (source, share), (color, marker) in zip(shares.items(), EXPERIMENTS, strict=False):
        look: dict[str, Any] = {"marker": marker, "ms": 7, "mfc": "none", "mec": color, "mew": 1.5}
        axes.plot(share.reindex(methods), np.arange(len(methods)), ls="none", label=source, **look)
    axes.axvline(1, color=GREY, lw=1, ls=":")
    axes.set_yticks(range(len(methods)), [style(m).label for m in methods])
    axes.invert_yaxis()
    axes.set_xlabel("mAP over that of un-anonymized frames")
    percent(axes.xaxis)
    axes.grid(alpha=0.25)
    legend_right(figure)
    return figure


def plot_accuracies(experiments: Mapping[str, DataFrame]) -> Figure:
    """Verification accuracies of several experiments, one row per kind of faces.

    Tables have the columns of ablation_classifier.csv: `faces`, `verification_accuracy`, and
    optionally its interval.

    Implements Ren et al., section 5.6, Does the face classifier remain accurate?
    Differs from the paper: it gives two of these numbers in the text, without intervals.
    """
    kinds = list(dict.fromkeys(kind for table in experiments.values() for kind in table["faces"]))
    figure, axes = panel(7.2, 0.9 + 0.6 * len(kinds))
    places = zip(experiments.items(), shifts(experiments, 0.25), EXPERIMENTS * len(experiments), strict=False)
    for (name, table), shift, (color, marker) in places:
        value = table["verification_accuracy"]
        low, high = (table.get(f"verification_accuracy_{end}", value) for end in ("lo", "hi"))
        heights = [kinds.index(kind) + shift for kind in table["faces"]]
        look: dict[str, Any] = {"marker": marker, "ms": 6, "color": color, "elinewidth": 1.2}
        _draw_intervals(axes, value, low, high, heights, label=name, **look)
    axes.axvline(0.5, color=GREY, lw=1, ls=":")
    axes.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds])
    axes.set(ylim=(len(kinds) - 0.5, -0.5), xlabel="verification accuracy (dotted: chance)")
    percent(axes.xaxis)
    axes.grid(alpha=0.25, axis="x")
    legend_right(figure)
    return figure


def plot_shares(studies: Mapping[str, DataFrame]) -> Figure:
    """Answers of several user studies (`anonlib.study.Share`) with Wilson intervals, a row per question.

    The thin line below a marker is the interval over participants, if known. The dotted line is the
    share that guessing reaches in Q1.

    Implements Ren et al., section 5.5. Differs from the paper: it gives its shares in the text.
    """
    figure, axes = panel(7.2, 3.2)
    kinds = list(ASKED)
    places = zip(studies.items(), shifts(studies, 0.22), STUDIES * len(studies), strict=False)
    for (name, table), shift, (color, marker) in places:
        heights = [kinds.index(kind) + shift for kind in table["question"]]
        look: dict[str, Any] = {"marker": marker, "ms": 7, "color": color, "elinewidth": 2}
        _draw_intervals(axes, table["share"], table["lo"], table["hi"], heights, label=name, **look)
        ends = (table[f"people_{end}"].to_numpy(float) for end in ("lo", "hi"))
        axes.hlines(np.add(heights, 0.08), *ends, color=color, lw=0.8)
    axes.plot([0.5, 0.5], [-0.4, 0.4], color=GREY, lw=1.2, ls=":")
    axes.set_yticks(range(len(kinds)), ASKED.values())
    axes.set(xlim=(-0.02, 1.02), ylim=(len(kinds) - 0.5, -0.5))
    percent(axes.xaxis)
    axes.grid(alpha=0.25, axis="x")
    legend_below(figure, ncols=3)
    return figure


def _draw_intervals(
    axes: Axes, value: Series, low: Series, high: Series, heights: list[float], **look: object
) -> None:
    """Markers at `value` with horizontal bars from `low` to `high`."""
    x = value.to_numpy(float)
    reach = np.clip([x - low, high - x], 0, None)
    axes.errorbar(x, heights, xerr=reach, ls="none", **look)  # type: ignore[arg-type]

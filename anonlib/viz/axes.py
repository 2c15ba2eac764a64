"""Steps that several figures share: panels, percent axes, legends, pictures, boxes, heat maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from anonlib.viz.styles import GREY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from numpy.typing import NDArray
    from torch import Tensor

DARK_EDGE = [withStroke(linewidth=2.6, foreground="black")]
"""A path effect that keeps light lines visible on a light picture."""


def panels(width: float, height: float, *, rows: int = 1, columns: int = 1, **options: Any) -> Figure:
    """A figure of this size in inches; its panels are `figure.axes`. `options` go to `subplots`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.subplots(rows, columns, **options)
    return figure


def panel(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of this size in inches with one panel."""
    figure = panels(width, height)
    return figure, figure.axes[0]


def percent(*axes: Axis) -> None:
    """Label these x or y axes, which hold fractions, in percent."""
    for axis in axes:
        axis.set_major_formatter(lambda share, _: f"{round(100 * share, 6):g}%")


def legend_right(figure: Figure, **options: Any) -> None:
    """Place the legend to the right of the panels."""
    figure.legend(**{"loc": "outside right center", "frameon": False, "fontsize": 10} | options)


def legend_below(figure: Figure, **options: Any) -> None:
    """Place the legend below the panels in one row."""
    figure.legend(**{"loc": "outside lower center", "frameon": False, "fontsize": 10, "ncols": 4} | options)


def show(axes: Axes, picture: Tensor, *, title: str = "", interpolation: str = "nearest") -> None:
    """Draw one picture `(3, H, W)` or `(1, H, W)` in [0, 1] without ticks; pixel k spans k to k + 1."""
    height, width = picture.shape[1:]
    array = picture.detach().cpu().clamp(0, 1).permute(1, 2, 0).numpy()
    extent = (0, width, height, 0)
    axes.imshow(array, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation=interpolation)
    axes.set_axis_off()
    if title:
        axes.set_title(title, fontsize=10)


def note(axes: Axes, text: str, at: tuple[float, float], shift: tuple[float, float], **look: Any) -> None:
    """Write small grey text, shifted by some points from a place in the panel."""
    look = {"fontsize": 10, "color": GREY, "annotation_clip": False, **look}
    axes.annotate(text, at, xytext=shift, textcoords="offset points", **look)


def draw_box(axes: Axes, box: Iterable[float], **look: Any) -> None:
    """Draw the outline of an xyxy box; `look` goes to `matplotlib.patches.Rectangle`."""
    x0, y0, x1, y1 = box
    axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, **{"fill": False} | look))


def draw_heat(axes: Axes, values: NDArray[np.float64], *, rows: list[str]) -> None:
    """Draw fractions in [0, 1] as a blue heat map with percent in the cells and named rows."""
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value > 0.6 else "black"
        axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=10, color=color)
    axes.set_yticks(range(len(rows)), rows, fontsize=10)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def shifts(series: Mapping[str, Any], reach: float) -> NDArray[np.float64]:
    """Vertical offsets that keep the markers of several series in one row apart."""
    return np.linspace(-reach, reach, len(series)) if len(series) > 1 else np.zeros(1)

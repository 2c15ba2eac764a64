"""A row of pictures with their names above them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from torch import Tensor


def plot_pictures(pictures: Mapping[str, Tensor], *, height: float = 1.6) -> Figure:
    """Pictures side by side, all equally high, each under its name.

    Args:
        pictures: name to `(3, H, W)` or `(1, H, W)` in [0, 1]; one channel is drawn in grey.
        height: of a picture in inches.
    """
    widths = [picture.shape[2] / picture.shape[1] for picture in pictures.values()]
    lines = 1 + max(name.count("\n") for name in pictures)
    size = (height * sum(widths) + 0.1 * len(widths), height + 0.2 * lines)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
    for axes, (name, picture) in zip(panels, pictures.items(), strict=True):
        axes.set_title(name, fontsize=9)
        show(axes, picture)
    return figure


def show(axes: Axes, picture: Tensor) -> None:
    """One picture `(3, H, W)` or `(1, H, W)` in [0, 1], without axes; pixel k spans k to k + 1."""
    height, width = picture.shape[1:]
    array = picture.detach().cpu().clamp(0, 1).permute(1, 2, 0).numpy()
    axes.imshow(array, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0), interpolation="nearest")
    axes.set_axis_off()

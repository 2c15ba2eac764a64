"""Rotated square windows of pictures: cuts them out for a network, and maps its points back."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_CLOSE = 0.15
"""Largest difference of close windows: place and size as a share of the side, angle in radians."""


class Window(NamedTuple):
    """A turned square in a picture, in pixels and radians clockwise."""

    x: float
    y: float
    angle: float
    side: float

    def axes(self) -> Tensor:
        """`(2, 2)`: a step right and a step down in the window, as columns, in steps of the picture.

        >>> Window(0.0, 0.0, 0.0, 1.0).axes()
        tensor([[1., -0.],
                [0., 1.]])
        """
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return torch.tensor([[cos, -sin], [sin, cos]])

    def close(self, other: Window) -> bool:
        """Whether it shows nearly the same as the other.

        >>> Window(50.0, 50.0, 0.0, 100.0).close(Window(60.0, 50.0, 0.1, 90.0))
        True
        """
        off = math.hypot(self.x - other.x, self.y - other.y) / self.side
        turn = math.remainder(self.angle - other.angle, math.tau)
        return max(off, abs(turn), abs(math.log(self.side / other.side))) < _CLOSE

    def placed(self, points: Tensor, pixels: int) -> Tensor:
        """Points `(..., 2 or 3)` of a window that has so many pixels a side, in pixels of the picture.

        >>> Window(50.0, 50.0, 0.0, 100.0).placed(torch.tensor([[0.0, 5.0, 1.0]]), 10)
        tensor([[ 0., 50., 10.]])
        """
        scale = self.side / pixels
        flat = (points[..., :2] - pixels / 2) * scale @ self.axes().T
        return torch.cat([flat + torch.tensor([self.x, self.y]), points[..., 2:] * scale], -1)


def view(picture: Tensor, window: Window, pixels: int) -> Tensor:
    """The window of a picture `(3, h, w)` with a side of so many pixels, bilinear.

    Outside the picture its border is repeated. Large windows are averaged first, against aliasing.
    """
    factor = max(1, min(round(window.side / pixels), *picture.shape[1:]))
    if factor > 1:
        picture, window = _part(picture, window, factor)
    small = F.avg_pool2d(picture[None].float(), factor) if factor > 1 else picture[None].float()
    height, width = small.shape[2:]
    scale = 2 / (torch.tensor([width, height]) * factor)  # the sides of what was averaged are 2
    right, down = window.axes().T * scale * window.side
    steps = (torch.arange(pixels)[:, None] + 0.5) / pixels - 0.5
    row = torch.tensor([window.x, window.y]) * scale - 1 + steps * right
    grid = (row + (steps * down)[:, None])[None].to(small)
    return F.grid_sample(small, grid, padding_mode="border", align_corners=False)[0]


def _part(picture: Tensor, window: Window, step: int) -> tuple[Tensor, Window]:
    """The part of a picture `(3, h, w)` that a window shows, and the window in it.

    The part begins at multiples of `step`. It is the whole picture if the window lies beside it.
    """
    reach = window.side / math.sqrt(2) + 2 * step
    spans = []
    for middle, side in ((window.y, picture.shape[1]), (window.x, picture.shape[2])):
        low = max(0, int((middle - reach) // step)) * step
        spans.append((low, min(side, int((middle + reach) // step + 1) * step)))
    if any(high - low < step for low, high in spans):
        return picture, window
    (top, bottom), (left, right) = spans
    shown = window._replace(x=window.x - left, y=window.y - top)
    return picture[:, top:bottom, left:right], shown

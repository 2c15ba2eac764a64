"""The region in which an old head is taken away."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers.swap.head_frame import ABOVE, SIDE, places, step

ANGLES = 48
"""Directions in which the reach of the old head is measured, seen from `CENTRE`."""
CENTRE = -0.05
"""Below the point between the ears, in heights of the face."""
FARTHEST, MARGIN = 1.5, 0.05
"""Largest reach, and how much is added, in heights of the face."""
LEAST = (0.62, 0.8)
"""Half axes of the ellipse that is always taken away, in heights of the face."""


def reach(parts: Tensor) -> Tensor:
    """How far the old head reaches in each direction, `(1, 1, 1, ANGLES)`, smoothed."""
    hair, skin = parts[:, :1], parts[:, 1:2]
    _, y = places(parts.shape[-1])
    head = hair + skin * (1 - step(y, 0.62, 0.8))
    angle = (torch.arange(ANGLES) + 0.5) * 2 * math.pi / ANGLES - math.pi
    radius = torch.linspace(0, FARTHEST, 40)[:, None]
    x, y = radius * angle.sin(), radius * angle.cos() + CENTRE
    grid = torch.stack([2 * x / SIDE, 2 * (y + ABOVE) / SIDE - 1], -1)[None]
    seen = (F.grid_sample(head, grid, align_corners=False) > 0.3).float()
    seen = F.max_pool2d(seen, (3, 1), 1, (1, 0)).cumprod(2)  # up to the first gap: not the head behind
    found = (seen * radius).amax(2, keepdim=True) + MARGIN
    below = angle.cos() > 0  # jaw and neck are narrower than hair and ears
    wide, high = torch.where(below, 0.52, LEAST[0]), torch.where(below, 0.62, LEAST[1])
    ellipse = 1 / ((angle.sin() / wide) ** 2 + (angle.cos() / high) ** 2).sqrt()
    reach = F.pad(found.maximum(ellipse), (6, 6, 0, 0), mode="circular")
    reach = F.max_pool2d(reach, (1, 5), 1)
    return F.avg_pool2d(F.avg_pool2d(reach, (1, 5), 1), (1, 5), 1)


class Hole:
    """The region that is taken away, in a frame of `side` pixels."""

    def __init__(self, side: int, reach: Tensor) -> None:
        """`reach` as from `_reach`."""
        x, y = places(side)
        y = y - CENTRE
        radius = (x**2 + y**2).sqrt().clamp(min=1e-4)
        turn = torch.atan2(x, y) / math.pi * ANGLES / (ANGLES + 2)
        row = F.pad(reach, (1, 1, 0, 0), mode="circular")
        place = torch.stack([turn, torch.zeros_like(turn)], -1)[None]
        far = F.grid_sample(row, place, padding_mode="border", align_corners=False)[0, 0]
        self.inward = (far - radius)[None, None]
        """Distance from the edge `(1, 1, side, side)`, positive inside."""
        self.depth = step(self.inward, 0.0, 0.07)
        """Opacity of the new surrounding `(1, 1, side, side)`."""
        across = torch.where(radius < far, 2 * far - radius, radius) / radius
        x, y = 2 * x * across / SIDE, 2 * (y * across + CENTRE + ABOVE) / SIDE - 1
        self.mirror = torch.stack([x, y], -1)[None]
        """Grid for `grid_sample` that mirrors what is outside into the hole."""

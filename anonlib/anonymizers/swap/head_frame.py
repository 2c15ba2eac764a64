"""A square frame around a head, turned and scaled with the head, so that the head is upright in it."""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor

SIDE = 2.5
"""Side of the frame, in heights of the face."""
ABOVE = 1.1
"""How far the frame reaches above the point between the ears, in heights of the face."""


class HeadFrame(NamedTuple):
    """Where a head is: what passes from the mesh of the real face is place, size, roll, yaw and pitch."""

    origin: Tensor
    """`(2,)` xy pixels of the point between the ears."""
    unit: Tensor
    """Height of the face in pixels, measured in three dimensions."""
    roll: Tensor
    yaw: Tensor
    pitch: Tensor
    """Radians: clockwise, to the image's right, down."""

    @classmethod
    def of(cls, points: Tensor) -> HeadFrame:
        """The frame of a mesh `(468, 3)` in pixels."""
        top, chin, right, left = points[[10, 152, 234, 454]]
        unit = ((top - chin).norm() + 1.2 * (right - left).norm()) / 2
        eyes = points[263] - points[33]
        roll = torch.atan2(eyes[1], eyes[0])
        across, down = left - right, chin - top
        cos, sin = roll.cos(), roll.sin()
        yaw = torch.atan2(across[2], cos * across[0] + sin * across[1])
        pitch = torch.atan2(down[2], cos * down[1] - sin * down[0])
        return cls((right + left)[:2] / 2, unit, roll, yaw, pitch)

    def of_picture(self, points: Tensor) -> Tensor:
        """Points `(P, 3)` of the picture in the frame, `(P, 2)`, as those of `places`."""
        x, y = ((points[:, :2] - self.origin) / self.unit).unbind(1)
        cos, sin = self.roll.cos(), self.roll.sin()
        return torch.stack([cos * x + sin * y, cos * y - sin * x], 1)

    def to_frame(self, side: int, *, height: int, width: int) -> Tensor:
        """Grid for `grid_sample` that cuts the frame from a picture: `(1, side, side, 2)`."""
        x, y = places(side)
        x, y = x * self.unit, y * self.unit
        cos, sin = self.roll.cos(), self.roll.sin()
        x, y = self.origin[0] + cos * x - sin * y, self.origin[1] + sin * x + cos * y
        return torch.stack([2 * x / width - 1, 2 * y / height - 1], -1)[None]

    def to_picture(self, *, height: int, width: int) -> Tensor:
        """Grid for `grid_sample` that puts the frame into a picture: `(1, height, width, 2)`."""
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        x, y = (x - self.origin[0]) / self.unit, (y - self.origin[1]) / self.unit
        cos, sin = self.roll.cos(), self.roll.sin()
        x, y = cos * x + sin * y, cos * y - sin * x
        return torch.stack([2 * x / SIDE, 2 * (y + ABOVE) / SIDE - 1], -1)[None]


@functools.lru_cache(16)
def places(side: int) -> tuple[Tensor, Tensor]:
    """x and y of the pixel centres of a frame, in heights of the face from the point between the ears."""
    centres = (torch.arange(side) + 0.5) * SIDE / side
    y, x = torch.meshgrid(centres - ABOVE, centres - SIDE / 2, indexing="ij")
    return x, y


def step(x: Tensor, low: float, high: float) -> Tensor:
    """0 below `low`, 1 above `high`, smooth between."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)

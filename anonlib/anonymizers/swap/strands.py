"""Strands of hair: noise that is smeared along their direction (line integral convolution)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers.swap.head_frame import places


def comb(side: int, generator: torch.Generator) -> Tensor:
    """Fine and coarse strands `(1, 2, side, side)` of mean 0 and variance 1.

    They fall from a random parting on the crown, with a random swirl and wobble.
    """
    parting, swirl = torch.rand(2, generator=generator).mul(2).sub(1).tolist()
    x, y = places(side)
    x, y = x - 0.25 * parting, y + 0.98
    angle = torch.atan2(y, x) + (0.5 * swirl - 0.3 * parting) * torch.exp(-y.clamp(min=0) / 0.7)
    angle = angle + 0.3 * _larger(torch.randn(1, 1, 10, 10, generator=generator), side)[0, 0]
    fine = torch.randn(1, 1, side, side, generator=generator)
    coarse = _larger(torch.randn(1, 1, side // 4, side // 4, generator=generator), side)
    both = _smear(torch.cat([fine, coarse], 1), angle)
    return (both - both.mean((2, 3), keepdim=True)) / both.std((2, 3), keepdim=True)


def _smear(noise: Tensor, angle: Tensor, *, step: float = 1.6, steps: int = 9) -> Tensor:
    """Mean of the noise along the curve through each pixel, with weights that fall to both ends."""
    side = noise.shape[-1]
    centres = (torch.arange(side) + 0.5) * 2 / side - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    along = torch.stack([angle.cos(), angle.sin()])[None]
    total = noise.clone()
    for sign in (1.0, -1.0):
        place, last = torch.stack([x, y], -1)[None], sign * along[0]
        for k in range(steps):
            move = F.grid_sample(along, place, padding_mode="border", align_corners=False)[0]
            move = torch.where((move * last).sum(0) < 0, -move, move)  # an angle has no sign
            place = place + (2 * step / side) * move.permute(1, 2, 0)
            seen = F.grid_sample(noise, place, padding_mode="reflection", align_corners=False)
            total, last = total + (1 - k / steps) * seen, move
    return total


def _larger(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)

"""Strands of hair: noise that is smeared along their direction (line integral convolution)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers.swap.surrounding import blur


def comb(direction: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Fine and coarse strands `(1, 2, side, side)` of mean 0 and variance 1.

    `direction` `(1, 2, n, n)` is cosine and sine of twice the angle; a random wobble is added.
    """
    doubled = _larger(blur(direction, 1.5), side)
    angle = 0.5 * torch.atan2(doubled[0, 1], doubled[0, 0])
    angle = angle + 0.25 * _larger(torch.randn(1, 1, 12, 12, generator=generator), side)[0, 0]
    fine = torch.randn(1, 1, side, side, generator=generator)
    coarse = _larger(torch.randn(1, 1, side // 5, side // 5, generator=generator), side)
    smeared = [_smear(noise, angle, step=step) for noise, step in ((fine, 1.3), (coarse, 2.2))]
    return torch.cat([(x - x.mean()) / x.std() for x in smeared], 1)


def _smear(noise: Tensor, angle: Tensor, *, step: float, steps: int = 14) -> Tensor:
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

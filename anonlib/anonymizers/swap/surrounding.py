"""What stood behind a head that is taken away: a smooth guess from what is around it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def fill(values: Tensor, known: Tensor) -> Tensor:
    """Values `(B, C, n, n)`, smoothly continued where `known` `(B, 1, n, n)` is 0.

    Push and pull: halve the picture until one pixel is left, then fill each size from the next smaller.

    >>> fill(torch.ones(1, 1, 4, 4), torch.eye(4)[None, None]).unique()
    tensor([1.])
    """
    sums, weights = [values * known], [known]
    while sums[-1].shape[-1] > 1:
        total, weight = (F.avg_pool2d(x, 2, ceil_mode=True) for x in (sums[-1], weights[-1]))
        grown = (4 * weight).clamp(max=1)
        sums.append(total * grown / weight.clamp(min=1e-6))
        weights.append(grown)
    x = sums[-1] / weights[-1].clamp(min=1e-6)
    for total, weight in zip(sums[-2::-1], weights[-2::-1], strict=True):
        x = F.interpolate(x, size=total.shape[2:], mode="bilinear", align_corners=False)
        x = total + (1 - weight) * x
    return x


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of `(B, C, H, W)`, borders repeated."""
    reach = int(3 * sigma) + 1
    weights = torch.exp(-((torch.arange(2 * reach + 1.0) - reach) ** 2) / (2 * sigma**2))
    weights = (weights / weights.sum()).expand(x.shape[1], 1, 1, -1)
    x = F.pad(x, (reach,) * 4, mode="replicate")
    x = F.conv2d(x, weights, groups=x.shape[1])
    return F.conv2d(x, weights.mT, groups=x.shape[1])


def grain_like(picture: Tensor, where: Tensor, generator: torch.Generator) -> Tensor:
    """Noise `(1, 1, n, n)` as strong as that of a picture where it is smooth.

    `where` `(1, 1, n, n)` chooses the pixels to be measured; the noise is at most 0.015.
    """
    detail = (picture - blur(picture, 1.0)).abs().mean(1, keepdim=True)
    smooth = detail[where > 0.9][::7]
    level = 2.2 * float(smooth.quantile(0.3)) if smooth.numel() > 50 else 0.0  # the lowest third has no edges
    noise = torch.randn(1, 1, *picture.shape[2:], generator=generator)
    noise = noise + F.avg_pool2d(noise, 3, 1, 1)
    return 0.7 * min(level, 0.015) * noise

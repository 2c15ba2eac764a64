"""Ears, and the shadow of the jaw, which the shader of a new head does not draw."""

from __future__ import annotations

import torch
from torch import Tensor

from anonlib.anonymizers.swap.head_frame import places, step


def ears(seen: Tensor, yaw: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Distance into the ears `(side, side)`, in heights of the face, and how dark they are (log).

    `seen` `(2, 2)`: where they are attached, in the frame. The far ear of a turned head is hidden.
    """
    x, y = places(side)
    inside, dark = torch.full_like(x, -1.0), torch.zeros_like(x)
    for out, (left, top) in zip((-1.0, 1.0), seen.tolist(), strict=True):
        wide = min(max(0.06 - 0.12 * out * float(yaw), 0.0), 0.11)
        if wide < 0.015:
            continue
        across = (x - left - out * 0.6 * wide) * out - 0.12 * (top - y)
        round_ = ((across / wide) ** 2 + ((y - top + 0.01) / (0.15 - 0.04 * (y - top))) ** 2).sqrt()
        inside = inside.maximum((1 - round_) * wide)
        dark = dark + 0.3 * (1 - step(round_, 0.1, 0.8))
    return inside, dark


def under_jaw(seen: Tensor, side: int) -> Tensor:
    """The shadow of the jaw on the neck (log), `(side, side)`; `seen` `(3, 2)`: both sides and the chin."""
    x, y = places(side)
    (right, chin, left) = seen
    bend = (2 * (x - chin[0]) / (left[0] - right[0]).abs().clamp(min=0.2)).square()
    below = y - chin[1] + (chin[1] - (right[1] + left[1]) / 2) * bend
    return 0.45 * step(below, -0.01, 0.05) * (1 - 0.6 * step(below, 0.08, 0.35))

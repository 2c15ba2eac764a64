"""Crops of canonical faces like those of a detector: the enlarged box, made square."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.geometry import warp_affine

CENTRE = (0.5, 0.526)
"""Middle of MTCNN's box in a canonical crop, in shares of its side."""
REACH = (0.773, 1.03)
"""Width and height of the box, enlarged 1.6x, in the same shares."""


def box_views(
    images: Tensor,
    landmarks: Tensor,
    *,
    size: int,
    jitter: float = 1.0,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Faces as M meets them in frames: not upright, not centred, stretched to a square.

    A canonical crop holds the whole head upright. A detector's box is upright in the frame, its
    sides are not equal, and it is off by some pixels; M must take every such view.

    Implements Ren et al., section 5.2 (boxes enlarged 1.6x, resized to the input of M).
    Differs from the paper: the views are drawn from canonical crops.

    Args:
        images: `(B, 3, S, S)` in [0, 1], canonical crops.
        landmarks: `(B, 5, 2)` xy pixels in them.
        size: side of the views.
        jitter: 0 for the box itself, 1 for turns of up to 25 degrees, shifts of up to 5% and
            scales of up to 15%.
        generator: of the jitter.

    Returns:
        `(B, 3, size, size)` in [0, 1], and the landmarks in the views, `(B, 5, 2)`.

    >>> faces = torch.rand(1, 3, 32, 32)
    >>> views, points = box_views(faces, torch.full((1, 5, 2), 16.0), size=16, jitter=0)
    >>> views.shape, points[0, 0].round().tolist()
    (torch.Size([1, 3, 16, 16]), [8.0, 8.0])
    """
    count, side = len(images), images.shape[-1]

    def draw() -> Tensor:
        return jitter * (2 * torch.rand(count, generator=generator) - 1)

    turn, scale = torch.deg2rad(25 * draw() * draw().abs()), torch.exp(0.15 * draw())
    width = REACH[0] * side * scale * torch.exp(0.08 * draw())
    height = REACH[1] * side * scale
    centre = torch.tensor(CENTRE) * side + 0.05 * side * torch.stack([draw(), draw()], dim=1)
    rotation = torch.stack(
        [torch.stack([turn.cos(), -turn.sin()], 1), torch.stack([turn.sin(), turn.cos()], 1)], 1
    )  # (B, 2, 2)
    linear = rotation * torch.stack([size / width, size / height], dim=1)[:, :, None]
    shift = size / 2 - linear @ centre[:, :, None]
    matrices = torch.cat([linear, shift], dim=2)  # canonical pixels to pixels of the view
    margin = side // 4
    padded = F.pad(images, (margin,) * 4, mode="replicate")
    inside = torch.cat([linear, shift - linear @ torch.full((2, 1), float(margin))], dim=2)
    views = warp_affine(padded, inside, (size, size)).clamp(0, 1)
    points = landmarks @ matrices[:, :, :2].transpose(1, 2) + matrices[:, None, :, 2]
    return views, points

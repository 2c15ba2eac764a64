"""What live de-identification is trained on: aligned faces, and distorted ones as inputs."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers.aligned import aligned_window
from anonlib.detection.windows import view
from anonlib.networks.live import SIZE
from anonlib.types import FaceImages

SCALE, TURN, BEND = 0.1, 10.0, 3.0
"""Largest change of size, largest angle in degrees, and reach in pixels of the elastic deformation."""
_KNOTS = 4


def aligned_crops(faces: FaceImages) -> Tensor:
    """All faces on the mean face, `(N, 3, SIZE, SIZE)` uint8, by their own landmarks."""
    crops = [
        view(faces.images[[row]][0].float(), aligned_window(points), SIZE).round().to(torch.uint8)
        for row, points in enumerate(faces.landmarks)
    ]
    return torch.stack(crops)


def distorted(faces: Tensor) -> Tensor:
    """Faces `(B, 3, S, S)`, each at a random size and angle and bent at random; the border is repeated.

    Implements the distortion of Gafni et al. (ICCV 2019), section 4. Differs from the paper: the amounts are
    ours, the paper's are not known to us.
    """
    count, side = len(faces), faces.shape[-1]
    size = 1 + SCALE * (2 * torch.rand(count) - 1)
    angle = math.radians(TURN) * (2 * torch.rand(count) - 1)
    cos, sin, zero = size * angle.cos(), size * angle.sin(), torch.zeros(count)
    turn = torch.stack([cos, -sin, zero, sin, cos, zero], 1).reshape(-1, 2, 3)
    grid = F.affine_grid(turn, [count, 1, side, side], align_corners=False)
    knots = (2 * torch.rand(count, 2, _KNOTS, _KNOTS) - 1) * (2 * BEND / side)
    bend = F.interpolate(knots, size=(side, side), mode="bicubic", align_corners=True)
    return F.grid_sample(faces, grid + bend.movedim(1, 3), padding_mode="border", align_corners=False)

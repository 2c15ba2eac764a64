"""Which meshes of a face are trusted; a face whose mesh is not is veiled."""

from __future__ import annotations

from torch import Tensor, tensor

SURE, STILL_SURE = 0.8, 0.5
"""Smallest score of the mesh network at which its points are trusted: for a new face, and for a face that was
found in the frame before."""
MOST_AWAY, LEAST_SHARE, MOST_SHARE = 0.25, 0.2, 0.95
"""Limits for a trusted mesh, in sides of the crop: largest distance of its middle from the crop's middle,
smallest and largest height."""
SMALLEST = 16.0
"""Smallest height in pixels of a face that is replaced; smaller ones are veiled."""
MOST_TURN, STILL_TURN = 0.7, 0.8
"""Largest yaw in radians of a face that is replaced: for a new face, and for one that was found before."""


def trusted(points: Tensor, score: float, yaw: float, crop: Tensor, *, known: bool) -> bool:
    """Whether a mesh is trusted, and its face is large enough and not turned too far.

    Args:
        points: `(468, 3)` in pixels of the crop.
        score: of the mesh network, in [0, 1].
        yaw: absolute, in radians.
        crop: `(3, h, w)`.
        known: the face was found in the frame before; then the limits are wider.
    """
    height = float(points[:, 1].max() - points[:, 1].min())
    if score < (STILL_SURE if known else SURE) or height < SMALLEST or not in_the_middle(points, crop):
        return False
    return yaw <= (STILL_TURN if known else MOST_TURN)


def in_the_middle(points: Tensor, crop: Tensor) -> bool:
    """Whether a mesh `(468, 3)` can be that of the face in the middle of the crop `(3, h, w)`."""
    height, width = crop.shape[1:]
    low, high = points[:, :2].amin(0), points[:, :2].amax(0)
    away = ((low + high) / 2 / tensor([width, height]) - 0.5).abs().max()
    share = float(high[1] - low[1]) / height
    return float(away) <= MOST_AWAY and LEAST_SHARE <= share <= MOST_SHARE

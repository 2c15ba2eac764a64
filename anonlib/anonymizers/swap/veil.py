"""The veil: where a face cannot be replaced, its skin is filled smoothly from coarse cells.

What passes from the real face to the result is the mean colour about each of 4x4 cells and, if a mask
is given, what lies in front of the face.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.geometry import resize

CELLS = 4
"""Cells along each side of the hidden ellipse. One is 0.33 sides of the detector's box, where one of
`blur8` is 0.2 (crop of 1.6x) or 0.25 (2x)."""
REACH = 1.3
"""Axes of the ellipse that is hidden, in sides of the detector's box: from the hairline to the chin."""
EDGE = 0.12
"""Width of the soft edge, all of it outside the ellipse, as a part of the axes."""
_LEAST = 1e-3


def veil_ellipse(height: int, width: int, *, enlarge: float) -> Tensor:
    """How much of each pixel of a crop is hidden, `(1, 1, height, width)`; 1 in the ellipse.

    The crop is the detector's box enlarged by this factor.

    >>> hidden = veil_ellipse(40, 40, enlarge=2.0)[0, 0]
    >>> hidden[20, [0, 7, 20, 32, 39]].tolist()  # the box reaches from 10 to 30, the ellipse from 7 to 33
    [0.0, 1.0, 1.0, 1.0, 0.0]
    """
    y, x = (((torch.arange(n) + 0.5) / n * 2 - 1) * enlarge / REACH for n in (height, width))
    away = torch.hypot(y[:, None], x[None])
    return ((1 + EDGE - away) / EDGE).clamp(0, 1)[None, None]


def veil(faces: Tensor, *, enlarge: float, keep: Tensor | None = None) -> Tensor:
    """Crops `(B, 3, H, W)` in [0, 1] whose faces are filled with the mean colours of coarse cells.

    Each crop is the detector's box enlarged by this factor. The means are of what is
    hidden alone, so neither the background nor what is in front of the face bleeds into the fill.
    Outside the soft edge nothing changes.

    Args:
        keep: `(B, 1, H, W)` in [0, 1], 1 where something in front of the face stays as it is.

    >>> faces = torch.rand(1, 3, 40, 40)
    >>> torch.equal(veil(faces, enlarge=2.0)[..., :4], faces[..., :4])
    True
    """
    height, width = faces.shape[2:]
    hidden = veil_ellipse(height, width, enlarge=enlarge).to(faces).expand(len(faces), -1, -1, -1)
    if keep is not None:
        hidden = hidden * (1 - keep)
    rows, columns = _inner(height, enlarge), _inner(width, enlarge)
    inside = hidden[..., rows, columns]
    means = _means(faces[..., rows, columns], inside)
    fill = F.interpolate(means, inside.shape[2:], mode="bicubic").clamp(0, 1)
    out = faces.clone()
    part = out[..., rows, columns]
    part += inside * (fill - part)
    return out


def _inner(side: int, enlarge: float) -> slice:
    """The pixels of the ellipse and its edge along one side of a crop."""
    margin = max(0, int(side * (1 - REACH * (1 + EDGE) / enlarge) / 2))
    return slice(margin, side - margin)


def _means(colours: Tensor, weights: Tensor) -> Tensor:
    """`(B, 3, 4, 4)` weighted mean about each cell; one without weight gets the mean of all."""
    total = resize(colours * weights, (CELLS, CELLS))
    weight = resize(weights, (CELLS, CELLS))
    mean = total.mean((2, 3), keepdim=True) / weight.mean((2, 3), keepdim=True).clamp(min=_LEAST)
    return (total + _LEAST * mean) / (weight + _LEAST)

"""Gives the drawn face the light and colour of the picture, on a coarse scale.

The light field is the picture, blurred inside the face by a Gaussian with a standard deviation of `SCALE`
heights of the face, about half the distance of the eyes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SCALE = 0.16
"""Standard deviation of the blur in heights of the face."""
COLOURED = 0.03
"""Colour difference of the light field from which the skin has its full colours; grey pictures stay grey."""
_GRID = 24
"""Side in pixels of the small picture that is blurred."""
_TO_LUMA = torch.tensor([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
_TO_RGB = torch.tensor([[1.0, 0.0, 1.402], [1.0, -0.344, -0.714], [1.0, 1.772, 0.0]])


def light_field(picture: Tensor, weight: Tensor, *, sigma: float) -> Tensor:
    """The picture `(3, h, w)` blurred inside a mask `(h, w)`, extended smoothly beyond it.

    Args:
        weight: at least 0; pixels that do not count have 0.
        sigma: standard deviation of the blur in pixels.
    """
    height, width = weight.shape
    both = torch.cat([picture * weight, weight[None]])[None]
    small = F.interpolate(both, (min(_GRID, height), min(_GRID, width)), mode="area")
    for axis, side in ((2, height), (3, width)):
        cells = small.shape[axis]
        index = torch.arange(cells, dtype=torch.float32)
        kernel = torch.exp(-0.5 * ((index[:, None] - index) * side / cells / sigma).square()) + 1e-6
        small = torch.einsum("bchw,hk->bckw" if axis == 2 else "bchw,wk->bchk", small, kernel)
    field = small[:, :3] / small[:, 3:].clamp(min=1e-12)
    return F.interpolate(field, (height, width), mode="bilinear")[0]


def lit(skin: Tensor, field: Tensor) -> Tensor:
    """RGB `(3, h, w)` of drawn skin, see `MeshModel.texture`, under a light field `(3, h, w)`."""
    colour = torch.einsum("ij,jhw->ihw", _TO_LUMA.to(field), field)
    grey = (colour[1:].abs().amax(0) / COLOURED).clamp(max=1)
    detail = torch.cat([skin[:1], skin[1:] * grey]) * colour[:1]
    return torch.einsum("ij,jhw->ihw", _TO_RGB.to(field), colour + detail).clamp(0, 1)

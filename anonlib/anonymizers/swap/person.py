"""Draws people who do not exist, such that they go with what stays visible around the face.

A beard under a woman's hair or a pale face on a dark neck would look wrong. So the most likely look is
predicted from the surroundings of the face at 24x24 pixels, in which the face has its mean colour only.
The rest of the person is random. The surroundings stay visible, so an attacker has them anyway.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers.swap.model import MeshModel
from anonlib.anonymizers.swap.render import fill_polygon
from anonlib.anonymizers.swap.state import State

CONTEXT = 24
"""Side of the surroundings in pixels."""
WINDOW = 6.0
"""Side of the surroundings in units of the mesh model; a face is about 3 high."""
_SPREAD = 0.85
_LARGEST = 2.0


class Person(NamedTuple):
    """Somebody who does not exist."""

    shape: Tensor
    """`(468, 3)` at mean expression, in units of the mesh model."""
    texture: Tensor
    """`(3, H, W)`, see `MeshModel.texture`."""


def draw_person(model: MeshModel, surroundings: Tensor, generator: np.random.Generator) -> Person:
    """A random person with a look that goes with the surroundings, the output of `context`."""
    shape = torch.from_numpy(generator.standard_normal(len(model.shapes))).float()
    skin = torch.from_numpy(generator.standard_normal(len(model.looks))).float()
    return person_of(model, surroundings, shape=shape, skin=skin)


def person_of(model: MeshModel, surroundings: Tensor, *, shape: Tensor, skin: Tensor) -> Person:
    """The person of normal numbers for shape `(S,)` and skin `(K,)`; larger ones than 2 are clipped."""
    expected = model.look[:, 0] + model.look[:, 1:] @ surroundings
    components = expected + _SPREAD * model.looks * skin.clamp(-_LARGEST, _LARGEST)
    moved = torch.einsum("s,spi->pi", shape.clamp(-_LARGEST, _LARGEST), model.shapes)
    return Person(model.rest + moved, model.texture(components))


def context(crop: Tensor, outline: Tensor, state: State) -> Tensor:
    """The surroundings of a face without the face; `(3 * 24 * 24,)` in [0, 1].

    Args:
        crop: `(3, h, w)` in [0, 1].
        outline: `(36, 2)` of the face in pixels; what is inside gets its mean colour.
        state: of this face.
    """
    height, width = crop.shape[1:]
    inside = fill_polygon(outline, height=height, width=width)
    colour = crop[:, inside].mean(1) if inside.any() else crop.mean((1, 2))
    flat = torch.where(inside, colour[:, None, None], crop)
    roll = torch.atan2(state.rotation[0, 1, 0], state.rotation[0, 1, 1])
    side = WINDOW * float(state.scale[0])
    pixels = max(1, min(round(side / CONTEXT / 2), height, width))
    small = F.avg_pool2d(flat[None], pixels)
    size = torch.tensor([small.shape[3], small.shape[2]]) * pixels
    cos, sin = roll.cos() * side, roll.sin() * side
    axes = torch.stack([torch.stack([cos, -sin]), torch.stack([sin, cos])]) / size[:, None]
    middle = 2 * state.place[0, :2] / size - 1
    grid = F.affine_grid(
        torch.cat([axes, middle[:, None]], 1)[None], [1, 3, 2 * CONTEXT, 2 * CONTEXT], align_corners=False
    )
    seen = F.grid_sample(small, grid, padding_mode="border", align_corners=False)
    return F.avg_pool2d(seen, 2).flatten()

"""What passes from the real face to the drawn one: where it is, how it is turned, its expression.

These are 14 numbers: three angles, a size, a place (3) and seven measures of the expression. Everything
else of the 1,404 numbers of the mesh, the shape of this person's face, is dropped here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from anonlib.anonymizers.swap.model import MeshModel, expression_measures

KEPT = (1.0, 1.0, 1.0, 0.65, 0.65, 0.5, 0.5)
"""Share of each measure's difference from the mean that is kept: the share of its variance that lies
within people. The mouth's measures are kept whole, so that a closed mouth stays closed."""
USUAL_OPENING = 0.31
"""Mean height by width of an eye, as `detection.eyes.eye_opening` measures it, on training people."""
_CLOSING = 0.6
"""Below this share of the usual opening an eye closes faster, so that a closed eye is drawn closed."""
ROUNDS = 2


class State(NamedTuple):
    """The states of N faces. A shape c is seen at `scale * c @ rotation.T + place`."""

    rotation: Tensor
    """`(N, 3, 3)`."""
    scale: Tensor
    """`(N,)` pixels for one unit of the mesh model."""
    place: Tensor
    """`(N, 3)` pixels."""
    expression: Tensor
    """`(N, 7)` differences from the mean measures."""


def read_state(points: Tensor, model: MeshModel, *, openings: Tensor | None = None) -> State:
    """The states of meshes `(N, 468, 3)` in pixels, as `detection.MeshLandmarks` finds them.

    Args:
        openings: `(N, 2)` height by width of both eyes; the mesh itself hardly sees whether they are open.
    """
    target = model.rest.expand_as(points)
    for _ in range(ROUNDS):
        rotation, scale, place = similarity(target.double(), points.double())
        upright = (points.double() - place[:, None]) @ rotation / scale[:, None, None]
        change = expression_measures(upright.float()) - model.measures
        target = model.rest + torch.einsum("ne,epi->npi", change, model.expression)
    state = State(rotation.float(), scale.float(), place.float(), change * torch.tensor(KEPT))
    return state if openings is None else with_eyes(state, openings, model)


def with_eyes(state: State, openings: Tensor, model: MeshModel) -> State:
    """The states with other openings of the eyes `(N, 2)`, height by width."""
    share, opening = openings / USUAL_OPENING, KEPT[3]
    faster = (1 - opening) / _CLOSING * (_CLOSING - share).clamp(min=0)
    kept = state.expression.clone()
    kept[:, 3:5] = model.measures[3:5] * (opening * (share - 1) - faster)
    return state._replace(expression=kept)


def turn(state: State) -> Tensor:
    """Yaw (nose to the image's right), pitch (nose down) and roll (clockwise) in radians, `(N, 3)`."""
    r = state.rotation
    roll = torch.atan2(r[:, 1, 0], r[:, 0, 0])
    cos, sin = roll.cos(), roll.sin()
    right, down = cos * r[:, 0, 2] + sin * r[:, 1, 2], cos * r[:, 1, 2] - sin * r[:, 0, 2]
    return torch.stack([torch.atan2(-right, r[:, 2, 2]), torch.asin((-down).clamp(-1, 1)), roll], 1)


def similarity(shape: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotation, scale and place from each shape to the seen points, by least squares (Umeyama, 1991)."""
    a, b = shape.mean(1, keepdim=True), seen.mean(1, keepdim=True)
    u, s, vt = torch.linalg.svd((seen - b).transpose(1, 2) @ (shape - a))
    flip = torch.ones_like(s)
    flip[:, 2] = torch.linalg.det(u @ vt).sign()
    rotation = (u * flip[:, None]) @ vt
    scale = (s * flip).sum(1) / (shape - a).square().sum((1, 2))
    place = b[:, 0] - scale[:, None] * (a @ rotation.transpose(1, 2))[:, 0]
    return rotation, scale, place

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers.swap.model import MeshModel
from anonlib.world.face_model import FaceModel


@pytest.fixture(scope="session")
def model() -> MeshModel:
    return MeshModel.load()


@pytest.fixture(scope="session")
def crops() -> Tensor:
    """Two drawn people before grey, the face half as high as the crop, `(2, 3, 256, 256)`."""
    world = FaceModel.load()
    pose, expression = torch.tensor([[0.0, 0, 0], [1, 1, 0]]), torch.tensor([[0.0, 0], [1, 1]])
    heads = world.render(
        world.identity([1, 2]), pose=pose, expression=expression, illumination=torch.zeros(2, 3), size=192
    )
    return F.pad(heads.rgb * heads.alpha + 0.5 * (1 - heads.alpha), (32, 32, 32, 32), value=0.5)


def turned(*, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Tensor:
    """The rotation `(3, 3)` of a head: nose to the image's right, nose down, clockwise."""

    def about(axis: int, angle: float) -> Tensor:
        cos, sin = math.cos(angle), math.sin(angle)
        matrix = torch.eye(3)
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        matrix[i, i] = matrix[j, j] = cos
        matrix[i, j], matrix[j, i] = -sin, sin
        return matrix

    return about(2, roll) @ about(1, -yaw) @ about(0, pitch)


def posed(
    shape: Tensor, rotation: Tensor, *, scale: float = 40.0, place: tuple[float, float] = (128, 120)
) -> Tensor:
    """A shape `(468, 3)` seen in a picture, in pixels."""
    return scale * shape @ rotation.T + torch.tensor([*place, 0.0])

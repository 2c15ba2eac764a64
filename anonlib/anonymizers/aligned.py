"""Faces turned and scaled onto a mean face, as live de-identification sees them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from anonlib.detection.windows import Window
from anonlib.geometry import CANONICAL_LANDMARKS, similarity_transform
from anonlib.networks.live import SIZE

_CLOSER = 1.15
"""How much larger the face is than in a canonical crop."""
TEMPLATE = ((CANONICAL_LANDMARKS - torch.tensor([0.5, 0.56])) * _CLOSER + 0.5) * SIZE
"""`(5, 2)` pixels of the landmarks of the mean face in an aligned crop."""
_EYES = ((33, 133), (362, 263))
_NOSE, _MOUTH = 4, (61, 291)


def five_points(mesh: Tensor) -> Tensor:
    """The landmarks `(5, 2)` of mesh points `(468, 2 or 3)`."""
    eyes = [mesh[list(corners), :2].mean(0) for corners in _EYES]
    return torch.stack([*eyes, mesh[_NOSE, :2], *mesh[list(_MOUTH), :2]])


def aligned_window(landmarks: Tensor) -> Window:
    """The square that shows a face with landmarks `(5, 2)` as the mean face, in the pixels of the landmarks.

    Implements the similarity transform to a mean face of Gafni et al. (ICCV 2019). Differs from the paper:
    five points, not dlib's 68.

    >>> aligned_window(TEMPLATE)
    Window(x=32.0, y=32.0, angle=-0.0, side=64.0)
    """
    matrix = similarity_transform(landmarks[None].double(), TEMPLATE.double())[0]
    linear, shift = matrix[:, :2], matrix[:, 2]
    a, b = linear[:, 0].tolist()
    x, y = (torch.linalg.inv(linear) @ (SIZE / 2 - shift)).tolist()
    return Window(x, y, math.atan2(-b, a), SIZE / math.hypot(a, b))

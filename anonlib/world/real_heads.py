"""Heads of real people for drawn clips, cut out of face crops."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.errors import FaceDatasetError
from anonlib.geometry import warp_affine
from anonlib.types import FaceImages, Heads
from anonlib.world.hair import pixel_centres

# The shape of a head, in fractions of the crop's side.
_CENTRE = (0.5, 0.47)
_RADII = (0.31, 0.42)
_HALF_NECK = 0.15
_FEATHER = 0.05
"""Width of the soft edge."""


class FolderPeople:
    """A `HeadSource` of real people.

    One picture of a person is used for a whole clip. A still picture has one expression, so only
    position, size and tilt vary within a clip.
    """

    def __init__(self, splits: Mapping[str, FaceImages]) -> None:
        """Numbers the people of all splits without gaps.

        Args:
            splits: canonical crops of each split that is used. Labels count from 0 in each split;
                nobody may be in two splits.
        """
        self._splits = dict(splits)
        self._numbers: dict[str, range] = {}
        start = 0
        for split, faces in self._splits.items():
            count = int(faces.labels.max()) + 1 if len(faces) else 0
            self._numbers[split] = range(start, start + count)
            start += count

    def people(self, split: str) -> Sequence[int]:
        """Person numbers of a split.

        Raises:
            FaceDatasetError: there is no such split.
        """
        if split not in self._numbers:
            given = ", ".join(self._numbers) or "no split"
            raise FaceDatasetError(f"no real people for '{split}': give face images for it, not only {given}")
        return self._numbers[split]

    def heads(self, person: int, *, seed: int, frames: int, size: int) -> Heads:
        """One person in the frames of one clip.

        `seed` chooses the picture and the motion; `size` is the side of the crops.

        Raises:
            FaceDatasetError: nobody has that number.
        """
        rng = np.random.default_rng([seed, person])
        image, landmarks = self._picture(person, rng)
        scale = size / image.shape[-1]
        image = F.interpolate(image[None], (size, size), mode="bilinear", antialias=True)
        head = torch.cat([image, head_alpha(size)[None]], dim=1)
        matrices = _sway(rng, frames=frames, size=size)
        moved = warp_affine(head.expand(frames, -1, -1, -1), matrices, (size, size))
        points = landmarks * scale @ matrices[:, :, :2].transpose(1, 2) + matrices[:, None, :, 2]
        return Heads(rgb=moved[:, :3].clamp(0, 1), alpha=moved[:, 3:].clamp(0, 1), landmarks=points)

    def _picture(self, person: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """One of a person's crops in [0, 1] and its landmarks."""
        for split, numbers in self._numbers.items():
            if person in numbers:
                faces = self._splits[split]
                mine = (faces.labels == person - numbers.start).nonzero().flatten()
                chosen = int(mine[rng.integers(len(mine))])
                return faces.images[chosen].float() / 255, faces.landmarks[chosen].float()
        raise FaceDatasetError(f"no person has the number {person}: use a number from people()")


def head_alpha(size: int) -> Tensor:
    """Opacity `(1, S, S)` of the head in a canonical crop: an ellipse and a neck with soft edges.

    >>> alpha = head_alpha(64)
    >>> alpha[0, 30, 32], alpha[0, 0, 0]
    (tensor(1.), tensor(0.))
    """
    x, y = pixel_centres(size)
    away = (((x - _CENTRE[0]) / _RADII[0]) ** 2 + ((y - _CENTRE[1]) / _RADII[1]) ** 2).sqrt()
    ellipse = (1 - away) * min(_RADII)
    neck = torch.minimum(_HALF_NECK - (x - _CENTRE[0]).abs(), y - _CENTRE[1])
    return (torch.maximum(ellipse, neck) / _FEATHER).clamp(0, 1)[None]


def _sway(rng: np.random.Generator, *, frames: int, size: int) -> Tensor:
    """Matrices `(frames, 2, 3)` that slowly turn, move and resize the crop about its centre."""
    time = torch.arange(frames, dtype=torch.float32)
    turn, across, down, growth = (
        reach * torch.sin(2 * math.pi * time / float(rng.uniform(10, 20)) + float(rng.uniform(0, 6)))
        for reach in (math.radians(5), 0.015 * size, 0.015 * size, 0.03)
    )
    cos, sin = (1 + growth) * turn.cos(), (1 + growth) * turn.sin()
    linear = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    middle = torch.full((2, 1), size / 2)
    shift = middle - linear @ middle + torch.stack([across, down], 1)[:, :, None]
    return torch.cat([linear, shift], dim=2)

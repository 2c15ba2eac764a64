"""Face images F with identities I, and heads for the action clips.

A synthetic person is a number; `train`, `validation` and `test` use disjoint ranges. A picture depends
only on the person, the seed and its index, not on the other people drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.errors import ConfigError, FaceDatasetError
from anonlib.geometry import warp_affine
from anonlib.types import FaceImages, Heads
from anonlib.world.face_model import FaceModel, normals
from anonlib.world.hair import pixel_centres

PEOPLE = {
    "train": range(0, 10**9),
    "validation": range(10**9, 2 * 10**9),
    "test": range(2 * 10**9, 3 * 10**9),
}
"""Person numbers of each split."""
POSE = torch.tensor([1.0, 0.7, 0.7])
EXPRESSION = torch.tensor([0.8, 0.8])
ILLUMINATION = torch.tensor([0.8, 0.7, 0.6])
"""Standard deviations of the explicit parameters; 1 is that of the training pictures."""
BACKGROUND = 4 + 3 * 9 + 3 * 49 + 2 * 6
"""Number of normal numbers for one background."""
CLOTHES = 6
"""Number of normal numbers for the clothes in one picture."""
_BATCH = 128
# The shape of a head, in fractions of the crop's side.
_CENTRE = (0.5, 0.47)
_RADII = (0.31, 0.42)
_HALF_NECK = 0.15
_FEATHER = 0.05
"""Width of the soft edge."""


@cache
def _model() -> FaceModel:
    return FaceModel.load()


class SyntheticPeople:
    """Heads of synthetic people for action clips; a `HeadSource`.

    >>> heads = SyntheticPeople().heads(2 * 10**9, seed=0, frames=3, size=32)
    >>> heads.rgb.shape
    torch.Size([3, 3, 32, 32])
    """

    def people(self, split: str) -> range:
        """Person numbers of a split.

        Raises:
            ConfigError: the split is unknown.

        >>> SyntheticPeople().people("validation")
        range(1000000000, 2000000000)
        """
        if split not in PEOPLE:
            raise ConfigError(f"split '{split}' is unknown: use {', '.join(PEOPLE)}")
        return PEOPLE[split]

    def heads(self, person: int, *, seed: int, frames: int, size: int) -> Heads:
        """One person in the frames of one clip: fixed look and light, smooth pose and expression.

        Another `seed` gives another clip of the same person; `size` is the side of the crops.
        """
        model = _model()
        known = model.identity([person]).expand(frames, -1)
        return draw_heads(model, known, clip_draws(person, seed=seed, frames=frames), size)


def clip_draws(person: int, *, seed: int, frames: int) -> Tensor:
    """Normal numbers `(frames, 8 + K)` of a person in a clip for `draw_heads`: smooth motion, one light."""
    fixed = normals(person, seed, 1, shape=(3 + _model().components,))
    rest, cosine, sine = normals(person, seed, 2, shape=(3, 5))
    time = torch.arange(frames)[:, None] * 0.35
    motion = 0.8 * rest + 0.6 * (cosine * time.cos() + sine * time.sin())  # of unit variance
    return torch.cat([motion, fixed.expand(frames, -1)], 1)


def synthetic_faces(people: Sequence[int], *, images: int, size: int, seed: int) -> FaceImages:
    """Face images of these people with random backgrounds, poses, expressions and light.

    Implements the face images F and identities I of Ren et al., section 3.
    Differs from the paper: the people are synthetic.

    The first of the person numbers gets label 0. Each person is drawn `images` times in crops of side
    `size`; another seed gives other pictures of the same people.

    >>> faces = synthetic_faces([3, 5], images=2, size=32, seed=0)
    >>> faces.images.shape, faces.labels.tolist()
    (torch.Size([4, 3, 32, 32]), [0, 0, 1, 1])
    """
    model = _model()
    known = model.identity(people).repeat_interleave(images, 0)
    draws = _draws(people, images=images, seed=seed)
    parts = zip(known.split(_BATCH), draws.split(_BATCH), strict=True)
    drawn = [_portraits(model, *part, size) for part in parts]
    return FaceImages(
        images=torch.cat([pictures for pictures, _ in drawn]),
        labels=torch.arange(len(people)).repeat_interleave(images),
        landmarks=torch.cat([heads.landmarks for _, heads in drawn]),
    )


def drawn_states(people: Sequence[int], *, images: int, seed: int) -> Tensor:
    """The states `(N, 8)` that `synthetic_faces` draws, see `anonlib.networks.face_reader.STATE`."""
    return _draws(people, images=images, seed=seed)[:, :8]


def _draws(people: Sequence[int], *, images: int, seed: int) -> Tensor:
    """A row of normal numbers for each picture: the state, the variation, the background and the clothes."""
    width = 8 + _model().components + BACKGROUND + CLOTHES
    return torch.cat([normals(person, seed, 0, shape=(images, width)) for person in people])


def _portraits(model: FaceModel, identity: Tensor, draw: Tensor, size: int) -> tuple[Tensor, Heads]:
    """Heads over backgrounds as uint8 (B, 3, S, S), and the heads."""
    heads = draw_heads(model, identity, draw, size)
    return to_bytes(draw_scenes(heads, draw).lerp(heads.rgb, heads.alpha)), heads


def draw_heads(model: FaceModel, identity: Tensor, draw: Tensor, size: int) -> Heads:
    """One head for each row of normal numbers: first 8 of the state, then K of the variation."""
    explicit, variation = draw[:, : 8 + model.components].split([8, model.components], 1)
    return model.render(
        identity,
        pose=explicit[:, :3] * POSE,
        expression=explicit[:, 3:5] * EXPRESSION,
        illumination=explicit[:, 5:] * ILLUMINATION,
        variation=variation,
        size=size,
    )


def draw_scenes(heads: Heads, draw: Tensor) -> Tensor:
    """What is behind the heads, `(B, 3, S, S)` in [0, 1], from the last of the same normal numbers."""
    size = heads.rgb.shape[-1]
    behind, cloth = draw[:, -BACKGROUND - CLOTHES :].split([BACKGROUND, CLOTHES], 1)
    neck = heads.landmarks[:, 3:, 0].mean(1) / size * 0.6 + 0.2
    return clothe(backgrounds(behind, size), cloth, neck)


def to_bytes(images: Tensor) -> Tensor:
    """Images in [0, 1] as uint8."""
    return (images * 255).round().to(torch.uint8)


def backgrounds(draw: Tensor, size: int) -> Tensor:
    """Scenes `(B, 3, S, S)` in [0, 1] of blobs and two edges from normal numbers `(B, BACKGROUND)`."""
    colour, coarse, fine, edges = draw.split([4, 27, 147, 12], 1)
    image = (0.45 + 0.17 * colour[:, :1] + 0.05 * colour[:, 1:])[..., None, None]
    for draws, side, strength in ((coarse, 3, 0.13), (fine, 7, 0.07)):
        blobs = _muted(draws.reshape(-1, 3, side, side)) * strength
        image = image + F.interpolate(blobs, size=(size, size), mode="bicubic")
    x, y = (centre - 0.5 for centre in pixel_centres(size))
    for edge in edges.split(6, 1):
        a, b, c = edge[:, :3, None, None].unbind(1)
        side = ((a * x + b * y) / (a * a + b * b).sqrt() + 0.25 * c) * size
        image = image + 0.1 * _muted(edge[:, 3:, None, None]) * side.clamp(-1, 1)[:, None]
    return image.clamp(0, 1)


def clothe(image: Tensor, draw: Tensor, chin: Tensor) -> Tensor:
    """Paint shoulders over backgrounds `(B, 3, S, S)` in [0, 1] from normal numbers `(B, CLOTHES)`.

    `chin` is the `(B,)` x of the neck, as a fraction of the side.
    """
    size = image.shape[-1]
    x, y = (centre - 0.5 for centre in pixel_centres(size))
    aside = (x + 0.5 - chin[:, None, None]).abs()
    slope = 0.30 + 0.06 * draw[:, 0, None, None]
    depth = (y + 0.5 - 0.90 - slope * (aside - 0.13).clamp(min=-0.06)) * size
    collar = (aside - 0.10 - 0.45 * (y + 0.5 - 0.98).clamp(max=0).abs()).abs()
    tone = (0.3 + 0.22 * draw[:, 1:2] + 0.06 * draw[:, 2:5])[..., None, None]
    stripe = 0.1 * draw[:, 5, None, None] * ((0.03 - collar) * size).clamp(0, 1)
    cloth = (tone + stripe[:, None] - 0.35 * aside[:, None] * tone).clamp(0, 1)
    return image.lerp(cloth, depth.clamp(0, 1)[:, None])


def _muted(colours: Tensor) -> Tensor:
    """Mostly grey versions of independent colours (B, 3, ...)."""
    return colours.mean(1, keepdim=True) * 1.4 + 0.35 * colours


class FolderPeople:
    """Heads of real people for action clips, cut out of face crops; a `HeadSource`.

    One picture of a person is used for a whole clip. It has one expression, so only position, size
    and tilt vary within a clip.
    """

    def __init__(self, splits: Mapping[str, FaceImages]) -> None:
        """Numbers the people without gaps; labels count from 0 in each split, nobody is in two splits."""
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
        """One person in the frames of one clip; `seed` chooses the picture and the motion.

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
                return faces.images[[chosen]][0].float() / 255, faces.landmarks[chosen].float()
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

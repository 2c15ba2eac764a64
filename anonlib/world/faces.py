"""Synthetic people: face images F with identities I, and heads for the action clips.

No real person is shown. A person is a number; `train`, `validation` and `test` use disjoint ranges.
A picture depends only on the person, the seed and its index, not on the other people drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.errors import ConfigError
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
        draw = normals(person, seed, 1, shape=(3 + model.components,))
        motion = _drift(normals(person, seed, 2, shape=(3, 5)), frames)
        return model.render(
            model.identity([person]).expand(frames, -1),
            pose=motion[:, :3] * POSE,
            expression=motion[:, 3:] * EXPRESSION,
            illumination=(draw[:3] * ILLUMINATION).expand(frames, -1),
            variation=draw[3:].expand(frames, -1),
            size=size,
        )


def _drift(draws: Tensor, frames: int) -> Tensor:
    """Smooth paths (T, D) of unit variance from normals (3, D): a slow wave about a rest value."""
    time = torch.arange(frames)[:, None] * 0.35
    return 0.8 * draws[0] + 0.6 * (draws[1] * time.cos() + draws[2] * time.sin())


def synthetic_faces(people: Sequence[int], *, images: int, size: int, seed: int) -> FaceImages:
    """Face images of these people with random backgrounds, poses, expressions and light.

    Implements the face images F and identities I of Ren et al., section 3.
    Differs from the paper: the people are synthetic.

    Args:
        people: person numbers; the first one gets label 0.
        images: pictures of each person.
        size: side S of the canonical face crop.
        seed: another seed gives other pictures of the same people.

    >>> faces = synthetic_faces([3, 5], images=2, size=32, seed=0)
    >>> faces.images.shape, faces.labels.tolist()
    (torch.Size([4, 3, 32, 32]), [0, 0, 1, 1])
    """
    model = _model()
    known = model.identity(people).repeat_interleave(images, 0)
    width = 8 + model.components + BACKGROUND + CLOTHES
    draws = torch.cat([normals(person, seed, 0, shape=(images, width)) for person in people])
    parts = zip(known.split(_BATCH), draws.split(_BATCH), strict=True)
    pictures, landmarks = zip(*(_portraits(model, *part, size) for part in parts), strict=True)
    labels = torch.arange(len(people)).repeat_interleave(images)
    return FaceImages(images=torch.cat(pictures), labels=labels, landmarks=torch.cat(landmarks))


def _portraits(model: FaceModel, identity: Tensor, draw: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Heads over backgrounds as uint8 (B, 3, S, S), and their landmarks."""
    explicit, variation, scene = draw.split([8, model.components, BACKGROUND + CLOTHES], 1)
    heads = model.render(
        identity,
        pose=explicit[:, :3] * POSE,
        expression=explicit[:, 3:5] * EXPRESSION,
        illumination=explicit[:, 5:] * ILLUMINATION,
        variation=variation,
        size=size,
    )
    behind, cloth = scene.split([BACKGROUND, CLOTHES], 1)
    neck = heads.landmarks[:, 3:, 0].mean(1) / size * 0.6 + 0.2
    image = clothe(backgrounds(behind, size), cloth, neck).lerp(heads.rgb, heads.alpha)
    return (image * 255).round().to(torch.uint8), heads.landmarks


def backgrounds(draw: Tensor, size: int) -> Tensor:
    """Blurred scenes from normal numbers `(B, BACKGROUND)`; `(B, 3, S, S)` in [0, 1].

    A scene is a colour with blobs and two edges.
    """
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
    """Paint shoulders over a background, before the head is painted.

    Args:
        image: `(B, 3, S, S)` in [0, 1].
        draw: `(B, CLOTHES)` standard normal numbers.
        chin: `(B,)` x of the neck, as a fraction of the side.
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

"""What the password-conditioned transformer is trained on: drawn people with random passwords."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.networks.fit import SIZE, all_passwords
from anonlib.world.face_model import FaceModel
from anonlib.world.faces import BACKGROUND, CLOTHES, draw_heads, draw_scenes

SIDES = (62, 64, 64, 66)
"""Sides in pixels of the drawn crops, of which a window of `SIZE` is seen."""
SHIFT = 1
"""Pixels by which the window is moved at most, in each direction."""
STORED = (64, 64, 96, 128)
"""Sides to which a face A may have been resized when it was pasted into a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitFaces:
    """The people of the training."""

    identities: Tensor
    """`(N, K)` of the face model."""
    model: FaceModel
    bits: int
    """Of a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenes:
    """Pictures of people, with passwords."""

    images: Tensor
    """`(B, 3, SIZE, SIZE)` in [0, 1]: I."""
    labels: Tensor
    """`(B,)` people, counted from 0."""
    password: Tensor
    """`(B, bits)` of -1 and 1: p."""
    wrong: Tensor
    """`(B, bits)`: another password than -p."""


def random_passwords(count: int, bits: int) -> Tensor:
    """`(count, bits)` of -1 and 1."""
    return torch.randint(2, (count, bits)) * 2.0 - 1


def wrong_passwords(*right: Tensor) -> Tensor:
    """Passwords that differ from each of these, row by row; all `(B, bits)`.

    >>> bool((wrong_passwords(torch.ones(50, 2)) != 1).any(1).all())
    True
    """
    every = all_passwords(right[0].shape[1])
    taken = torch.stack([(every[None] == each[:, None]).all(2) for each in right]).any(0)
    return every[torch.multinomial((~taken).float(), 1).flatten()]


def draw_people(faces: FitFaces, count: int) -> tuple[Tensor, Tensor]:
    """Random people `(count,)`, and the normal numbers of a scene for each."""
    width = 8 + faces.model.components + BACKGROUND + CLOTHES
    return torch.randint(len(faces.identities), (count,)), torch.randn(count, width).clamp(-2.3, 2.3)


def draw_scenes_of(faces: FitFaces, count: int) -> Scenes:
    """Random people and passwords, in random scenes."""
    labels, draw = draw_people(faces, count)
    password = random_passwords(count, faces.bits)
    images = pictures(faces, labels, draw)
    return Scenes(images=images, labels=labels, password=password, wrong=wrong_passwords(-password))


def pictures(faces: FitFaces, labels: Tensor, draw: Tensor) -> Tensor:
    """`(B, 3, SIZE, SIZE)` in [0, 1] of these people in the scenes of these numbers, in one random window."""
    side = SIDES[int(torch.randint(len(SIDES), ()))]
    heads = draw_heads(faces.model, faces.identities[labels], draw, side)
    images = F.pad(draw_scenes(heads, draw).lerp(heads.rgb, heads.alpha), [8] * 4, mode="reflect")
    left, top = (torch.randint(-SHIFT, SHIFT + 1, (2,)) + (side + 16 - SIZE) // 2).tolist()
    window = images[:, :, top : top + SIZE, left : left + SIZE]
    return window.contiguous(memory_format=torch.channels_last)


def stored(faces: Tensor) -> Tensor:
    """Faces `(B, 3, S, S)` in [0, 1] as they come back from a file: resized twice, and rounded."""
    side = STORED[int(torch.randint(len(STORED), ()))]
    if side != faces.shape[2]:
        large = F.interpolate(faces, size=(side, side), mode="bilinear", antialias=True)
        faces = F.interpolate(large, size=faces.shape[2:], mode="bilinear", antialias=True)
    return faces + (torch.rand_like(faces) - 0.5) / 255

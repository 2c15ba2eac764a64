"""Pairs for the pre-training of M: the same picture with two different people.

Only a drawn world has such pairs: the same pose, expression, light and scene, drawn with a person and again
with another one. It also knows what is in front of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from anonlib.networks.face_reader import STATE
from anonlib.world.codes import PersonCodes
from anonlib.world.face_model import FaceModel, normals
from anonlib.world.faces import BACKGROUND, CLOTHES, draw_heads, draw_scenes, to_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RedrawnPairs:
    """Face crops of side S, and the same crops redrawn with another person."""

    images: Tensor
    """`(B, 3, S, S)` uint8."""
    redrawn: Tensor
    """`(B, 3, S, S)` uint8, with the person of the code."""
    head: Tensor
    """`(B, 1, S, S)` uint8 opacity of the first person's head, as if nothing were in front of it."""
    front: Tensor
    """`(B, 1, S, S)` uint8 opacity of what is in front of it: arms, tools, other people."""
    state: Tensor
    """`(B, 8)` in standard deviations of the drawn pictures, see `anonlib.networks.face_reader.STATE`."""
    codes: Tensor
    """`(B, CODE)` of the second person."""
    landmarks: Tensor
    """`(B, 5, 2)` of the first person, xy pixels."""
    redrawn_landmarks: Tensor
    """`(B, 5, 2)` of the second person."""

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, rows: Tensor) -> RedrawnPairs:
        """The pairs of these indices."""
        return RedrawnPairs(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def join(parts: Sequence[RedrawnPairs]) -> RedrawnPairs:
    """Pairs of several sets as one."""
    return RedrawnPairs(
        **{f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(RedrawnPairs)}
    )


def portrait_pairs(
    codes: PersonCodes, people: Sequence[int], others: Tensor, *, size: int, seed: int
) -> RedrawnPairs:
    """Portraits of these people over random backgrounds, redrawn with the people of the codes `others`.

    The seed and the person decide the scene. Nothing is in front of these faces.

    >>> codes = PersonCodes()
    >>> pairs = portrait_pairs(codes, [0, 1], codes.of([2, 3]), size=32, seed=0)
    >>> pairs.images.shape, pairs.state.shape
    (torch.Size([2, 3, 32, 32]), torch.Size([2, 8]))
    """
    model = codes.model
    width = len(STATE) + model.components + BACKGROUND + CLOTHES
    draw = torch.cat([normals(person, seed, 3, shape=(1, width)) for person in people])
    first = draw_heads(model, model.identity(people), draw, size)
    second = draw_heads(model, codes.identity(others), state_alone(draw), size)
    scenes = draw_scenes(first, draw)
    return RedrawnPairs(
        images=to_bytes(scenes.lerp(first.rgb, first.alpha)),
        redrawn=to_bytes(scenes.lerp(second.rgb, second.alpha)),
        head=to_bytes(first.alpha),
        front=torch.zeros_like(first.alpha, dtype=torch.uint8),
        state=draw[:, : len(STATE)],
        codes=others,
        landmarks=first.landmarks,
        redrawn_landmarks=second.landmarks,
    )


def redrawn_faces(
    people: Sequence[int], others: Sequence[int], *, images: int, size: int, seed: int
) -> Tensor:
    """The pictures of `world.faces.synthetic_faces`, each with another person in the same state and scene.

    `others` holds the number of that person for each of the N pictures. Returns `(N, 3, S, S)` uint8.

    >>> redrawn_faces([3, 5], [5, 5, 3, 3], images=2, size=32, seed=0).shape
    torch.Size([4, 3, 32, 32])
    """
    model = FaceModel.load()
    width = len(STATE) + model.components + BACKGROUND + CLOTHES
    draws = torch.cat([normals(person, seed, 0, shape=(images, width)) for person in people])
    out = []
    for identity, draw in zip(model.identity(others).split(128), draws.split(128), strict=True):
        heads = draw_heads(model, identity, state_alone(draw), size)
        out.append(to_bytes(draw_scenes(heads, draw).lerp(heads.rgb, heads.alpha)))
    return torch.cat(out)


def state_alone(draw: Tensor) -> Tensor:
    """The normal numbers of `draw_heads` without what else varies from picture to picture of one person."""
    return torch.cat([draw[:, : len(STATE)], torch.zeros_like(draw[:, len(STATE) :])], 1)

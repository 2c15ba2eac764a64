"""What CIAGAN is trained on: pictures of drawn people, and the same pictures with another person."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from anonlib.anonymizers.conditions import Conditions, FindPoints, condition
from anonlib.detection.windows import view
from anonlib.networks.ciagan import SIZE
from anonlib.world.faces import synthetic_faces
from anonlib.world.pairs import redrawn_faces


@dataclass(frozen=True, slots=True, kw_only=True)
class CiaganFaces:
    """Pictures of N faces in their crops, in R further versions each."""

    sources: Conditions
    labels: Tensor
    """`(N,)` people, counted from 0."""
    redrawn: Tensor
    """`(N, R, 3, SIZE, SIZE)` uint8, the same pictures with other people."""
    others: Tensor
    """`(N, R)` who these people are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Whom to hide, and whom to draw instead."""

    source: Conditions
    target: Tensor
    """`(B, 3, SIZE, SIZE)` pictures of whom is drawn, in any state."""
    hidden: Tensor
    """`(B,)` the person of each source."""
    people: Tensor
    """`(B,)` the person of each target."""
    same: Tensor
    """`(B,)` whether source and target are of one person."""
    redrawn: Tensor
    """`(B, 3, SIZE, SIZE)` the source pictures with the person of the target, as the world draws them."""

    def truth(self) -> Tensor:
        """`(B, 3, SIZE, SIZE)` the source pictures with the true face of the target in their holes."""
        return self.source.composed(self.redrawn)


def drawn_faces(
    first: int, people: int, *, images: int, versions: int, seed: int, find: FindPoints
) -> CiaganFaces:
    """So many pictures of each person from number `first` on, without those in which no mesh is found."""
    numbers, options = range(first, first + people), {"images": images, "size": SIZE, "seed": seed}
    faces = synthetic_faces(numbers, **options)
    sources, windows, rows = condition(faces.images, find)
    draw = torch.Generator().manual_seed(seed)
    steps = torch.randint(1, people, (len(faces), versions), generator=draw)
    others = (faces.labels[:, None] + steps) % people
    redrawn = torch.stack(
        [redrawn_faces(numbers, (first + column).tolist(), **options) for column in others.T], 1
    )[rows]
    views = [view(p.flatten(0, 1).float(), w, SIZE) for p, w in zip(redrawn, windows, strict=True)]
    crops = torch.stack(views).unflatten(1, (versions, 3)).round().to(torch.uint8)
    return CiaganFaces(sources=sources, labels=faces.labels[rows], redrawn=crops, others=others[rows])


def draw_pairs(faces: CiaganFaces, count: int) -> Pairs:
    """Random pairs: the first half of two people, the second half of one.

    Implements the sampling of CIAGAN's public code. Differs from the paper: the two people always differ.
    """
    rows, half = torch.randint(len(faces.labels), (count,)), count // 2
    version = torch.randint(faces.others.shape[1], (half,))
    people, redrawn = faces.labels[rows], faces.sources.images[rows]
    people[:half] = faces.others[rows[:half], version]
    redrawn[:half] = faces.redrawn[rows[:half], version].float() / 255
    targets = []
    for person in people:
        own = (faces.labels == person).nonzero().flatten()
        targets.append(own[torch.randint(len(own), ())])
    return Pairs(
        source=Conditions(*[part[rows] for part in faces.sources]),
        target=faces.sources.images[torch.stack(targets)],
        hidden=faces.labels[rows],
        people=people,
        same=people == faces.labels[rows],
        redrawn=redrawn,
    )

"""Tensors with names that the data packages pass to training and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

ACTIONS = ("lip", "brush", "floor", "window", "drink", "fold", "iron", "phone", "harmonica", "photo")
"""The actions of DALY and of the drawn clips."""


IN_MEMORY = 5 * 10**8
"""Bytes of a set of face images above which they are read when they are used."""


class LazyImages:
    """Images that are read when they are used, in place of a uint8 tensor `(N, 3, S, S)`."""

    def __init__(self, read: Callable[[Tensor], Tensor], rows: Tensor) -> None:
        """`rows` are the `(N,)` numbers of the images; `read` returns those with the given numbers."""
        self.read, self.rows = read, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Tensor | slice | Sequence[int]) -> Tensor:
        return self.read(self.rows[chosen])

    def split(self, size: int) -> Iterator[Tensor]:
        """The images in parts of this size, the last may be smaller."""
        return map(self.read, self.rows.split(size))

    def select(self, chosen: Tensor) -> LazyImages:
        """Some of the images, by their indices or by `(N,)` bool."""
        return LazyImages(self.read, self.rows[chosen])

    def changed(self, change: Callable[[Tensor], Tensor]) -> LazyImages:
        """The images as `change` returns them, changed each time when they are read."""
        return LazyImages(lambda rows: change(self.read(rows)), self.rows)


Images = Tensor | LazyImages


def fit_in_memory(count: int, *, size: int) -> bool:
    """Whether so many images of this side stay in memory."""
    return count * 3 * size**2 <= IN_MEMORY


def join_images(parts: Sequence[Images]) -> Images:
    """All images in one set, which is lazy if one of the parts is."""
    if all(isinstance(part, Tensor) for part in parts):
        return torch.cat([part[:] for part in parts])
    ends = torch.tensor([len(part) for part in parts]).cumsum(0)
    starts = [0, *ends.tolist()]

    def read(rows: Tensor) -> Tensor:
        holder = torch.bucketize(rows, ends, right=True)
        found = [parts[k][rows[holder == k] - starts[k]] for k in holder.unique().tolist()]
        return torch.cat(found)[holder.argsort(stable=True).argsort()]

    return LazyImages(read, torch.arange(starts[-1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceImages:
    """Face images F with their identity labels I (section 3)."""

    images: Images
    """`(N, 3, S, S)` uint8 RGB canonical face crops."""
    labels: Tensor
    """`(N,)` int64 identity, from 0."""
    landmarks: Tensor
    """`(N, 5, 2)` float xy pixels."""

    def __len__(self) -> int:
        return len(self.images)

    def select(self, rows: Tensor) -> FaceImages:
        """Some of the faces, by their indices or by `(N,)` bool."""
        images = self.images
        chosen = images.select(rows) if isinstance(images, LazyImages) else images[rows]
        return FaceImages(images=chosen, labels=self.labels[rows], landmarks=self.landmarks[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Heads on a transparent background, to be drawn into a scene."""

    rgb: Tensor
    """`(N, 3, S, S)` float in [0, 1]."""
    alpha: Tensor
    """`(N, 1, S, S)` float in [0, 1]; 1 where the head is."""
    landmarks: Tensor
    """`(N, 5, 2)` float xy pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFrames:
    """Video frames V with action boxes b_i(v), labels t_i(v), and the faces in them."""

    frames: Tensor
    """`(N, 3, H, W)` uint8 RGB."""
    boxes: list[Tensor]
    """Per frame `(n, 4)` float xyxy boxes of acting persons."""
    labels: list[Tensor]
    """Per frame `(n,)` int64 action classes, from 0."""
    face_boxes: list[Tensor]
    """Per frame `(k, 4)` float xyxy boxes of visible faces, before the 1.6x enlargement."""
    landmarks: list[Tensor]
    """Per frame `(k, 5, 2)` float xy pixels."""
    identities: list[Tensor]
    """Per frame `(k,)` int64 person numbers."""
    clips: Tensor
    """`(N,)` int64 clip of each frame."""

    def __len__(self) -> int:
        return len(self.frames)


class HeadSource(Protocol):
    """Synthetic or real people whose heads are drawn into action clips."""

    def people(self, split: str) -> Sequence[int]:
        """Person numbers of `train`, `validation` or `test`; the three are disjoint."""
        ...

    def heads(self, person: int, *, seed: int, frames: int, size: int) -> Heads:
        """One person's heads in one clip: fixed look and light, smoothly changing pose."""
        ...

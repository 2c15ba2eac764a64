"""Tensors with names that the data packages pass to training and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

ACTIONS = ("lip", "brush", "floor", "window", "drink", "fold", "iron", "phone", "harmonica", "photo")
"""The actions of DALY and of the drawn clips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceImages:
    """Face images F with their identity labels I (section 3)."""

    images: Tensor
    """`(N, 3, S, S)` uint8 RGB canonical face crops."""
    labels: Tensor
    """`(N,)` int64 identity, from 0."""
    landmarks: Tensor
    """`(N, 5, 2)` float xy pixels."""

    def __len__(self) -> int:
        return len(self.images)


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

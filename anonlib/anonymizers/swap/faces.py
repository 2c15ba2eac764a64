"""What a session of `swap` knows of one face: what was read, what is drawn, and what can be shown again."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from anonlib.anonymizers.swap.blend import Sketch, Window
from anonlib.anonymizers.swap.head import HeadStyle
from anonlib.anonymizers.swap.state import State


class Face(NamedTuple):
    """What a face is drawn from."""

    points: Tensor
    """`(468, 3)` in pixels of the crop."""
    window: Window
    state: State
    """Of the points of the window."""
    logits: Tensor
    """`(1, 96, 96)`, see `Masker.logits`."""


class Tile(NamedTuple):
    """A face that can be shown again, because nothing is in front of it."""

    corners: tuple[int, int, int, int]
    """Of its window in the frame."""
    sketch: Sketch


class Job(NamedTuple):
    """What is drawn in one crop."""

    crop: Tensor
    veil: Tensor | None = None
    """Logits `(1, 96, 96)` of what is in front of a face that is veiled first."""
    sketch: Sketch | None = None
    """The new face."""
    corners: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Of its window in the crop."""
    strength: float = 1.0
    """Opacity of the new face over the veil."""
    points: Tensor | None = None
    style: HeadStyle | None = None
    """With extent `head`: the mesh `(468, 3)` in the crop, and the head that is put there."""

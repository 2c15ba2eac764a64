"""Looks that never cross a split: every random colour and size is drawn from a comb.

A range is cut into teeth and each tooth into thirds, one for each split, so that training,
validation and test objects cover the same category but share no hue and no proportion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from anonlib.errors import ConfigError
from anonlib.world.pen import Color, Point, hsv

SPLITS = ("train", "validation", "test")
Choice = TypeVar("Choice")


class Comb:
    """Random looks of one split.

    >>> a, b = (Comb(s, np.random.Generator(np.random.Philox(1))) for s in ("train", "test"))
    >>> a.between(0.0, 3.0, teeth=1) < 1.0 and b.between(0.0, 3.0, teeth=1) >= 2.0
    True

    Raises:
        ConfigError: the split is not one of `SPLITS`.
    """

    def __init__(self, split: str, rng: np.random.Generator) -> None:
        if split not in SPLITS:
            raise ConfigError(f"split '{split}' is unknown: use one of {', '.join(SPLITS)}")
        self.split = split
        self.index = SPLITS.index(split)
        self.rng = rng

    def apart(self) -> Comb:
        """A comb of the same split with a stream of its own; this one's stays where it is."""
        return Comb(self.split, self.rng.spawn(1)[0])

    def between(self, low: float, high: float, *, teeth: int = 4) -> float:
        """A number of the range that only this split can draw."""
        tooth = int(self.rng.integers(teeth))
        place = tooth + (self.index + float(self.rng.random())) / len(SPLITS)
        return low + (high - low) * place / teeth

    def color(
        self, hue: tuple[float, float], saturation: tuple[float, float], value: tuple[float, float]
    ) -> Color:
        """A colour whose hue only this split can draw; saturation and value are free."""
        return hsv(
            self.between(*hue, teeth=6), float(self.rng.uniform(*saturation)), float(self.rng.uniform(*value))
        )

    def style(self, *options: Sequence[Choice]) -> Choice:
        """One of the options of this split; `options` holds a sequence for each split."""
        mine = options[self.index]
        return mine[int(self.rng.integers(len(mine)))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One person in one frame: which side works, where the motion stands, where the face is."""

    side: int
    """1 when the working hand is on the right of the image, else -1."""
    phase: float
    """Radians of the action's motion."""
    head: Point
    """Offset of the head from its rest position, in units."""
    mouth: Point
    """Where the mouth is, in units."""
    bottom: float
    """y of the frame's lower edge, in units."""

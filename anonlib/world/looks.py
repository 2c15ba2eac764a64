"""Random colours and sizes that differ between the splits.

Each range is cut into intervals and each interval into thirds: one third for training, one for
validation and one for test. Objects of the three splits belong to the same categories, but share
no hue and no proportion.
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


class Looks:
    """Random looks of one split.

    >>> a, b = (Looks(s, np.random.Generator(np.random.Philox(1))) for s in ("train", "test"))
    >>> a.between(0.0, 3.0, intervals=1) < 1.0 and b.between(0.0, 3.0, intervals=1) >= 2.0
    True

    Raises:
        ConfigError: the split is not one of `SPLITS`.
    """

    def __init__(self, split: str, rng: np.random.Generator) -> None:
        if split not in SPLITS:
            raise ConfigError(f"split '{split}' is unknown: use one of {', '.join(SPLITS)}")
        self.split = split
        self.rng = rng

    def spawn(self) -> Looks:
        """Looks of the same split with their own random numbers, drawn independently of these."""
        return Looks(self.split, self.rng.spawn(1)[0])

    def between(self, low: float, high: float, *, intervals: int = 4) -> float:
        """A number of the range that only this split can draw."""
        interval = int(self.rng.integers(intervals))
        place = interval + (SPLITS.index(self.split) + float(self.rng.random())) / len(SPLITS)
        return low + (high - low) * place / intervals

    def color(
        self, hue: tuple[float, float], saturation: tuple[float, float], value: tuple[float, float]
    ) -> Color:
        """A colour whose hue only this split can draw; all splits share saturations and values."""
        return hsv(
            self.between(*hue, intervals=6),
            float(self.rng.uniform(*saturation)),
            float(self.rng.uniform(*value)),
        )

    def style(self, *options: Sequence[Choice]) -> Choice:
        """One of this split's options; `options` holds a sequence for each split."""
        mine = options[SPLITS.index(self.split)]
        return mine[int(self.rng.integers(len(mine)))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One person in one frame; positions are in the person's units, see `body`."""

    side: int
    """1 when the working hand is on the right of the image, else -1."""
    phase: float
    """Phase of the action's motion in radians."""
    head: Point
    """Offset of the head from its rest position."""
    mouth: Point
    bottom: float
    """y of the lower edge of the frame."""

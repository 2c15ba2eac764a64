"""What a session remembers of each face: points smoothed in time, and what to do when they are lost.

Smoothing uses only measured points, so it passes no more of the real face than they do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
CUTOFF = 0.05
"""Cutoff frequency for a face at rest, in cycles a frame."""
GAIN = 16.0
"""Growth of the cutoff per speed, in sizes of the face a frame. The lag in a steady motion is at most
1 / (2 pi GAIN), 1% of that size."""
SPEED_CUTOFF = 0.1
"""Cutoff of the speed itself."""
PATIENCE = 10
"""Frames for which a face whose points are lost keeps the last ones."""
RISE = 0.25
"""Opacity that a returning new face gains in each frame."""
LOOK = 2
"""The points of a calm face are measured in every n-th frame only, and unknown ones looked for in as many."""
CALM = 0.05
"""Largest motion or growth of a calm face from frame to frame, in sizes of its box."""
NEAR = 0.3
"""Two tracks are on one face if the mean distance of their points is below this, in heights of the face."""
MOST = 500
"""Largest number of tracks of a file that are remembered."""


class OneEuro:
    """One-euro filter of a vector or of points: strong smoothing at rest, next to none in fast motion.

    All points share one cutoff, from the root mean square of their speeds, so that they keep their
    arrangement. Time is counted in frames.

    Implements Casiez, Roussel and Vogel, "1 Euro Filter", CHI 2012.
    Differs from the paper: one cutoff for all points; speeds are in sizes of the face, so that near and
    far faces are smoothed alike.

    >>> smooth = OneEuro()
    >>> [smooth(np.array([value])).round(3).tolist() for value in (2.0, 2.0, 2.0)]
    [[2.0], [2.0], [2.0]]
    """

    def __init__(self, *, cutoff: float = CUTOFF, gain: float = GAIN) -> None:
        """Starts without a value.

        Args:
            cutoff: cutoff frequency at rest, in cycles a frame.
            gain: growth of the cutoff per speed.
        """
        self.cutoff, self.gain = cutoff, gain
        self.value: Array | None = None
        self.speed: Array | float = 0.0
        self._raw: Array | None = None

    def __call__(self, value: Array, size: float = 1.0) -> Array:
        """The next frame's vector `(d,)` or points `(n, d)`, smoothed; `size` is in the same unit."""
        if self.value is None or self._raw is None:
            self.value, self._raw = value.copy(), value.copy()
            return self.value.copy()
        share = _share(SPEED_CUTOFF)
        self.speed = share * (value - self._raw) + (1 - share) * self.speed
        self._raw = value.copy()
        pace = float(np.sqrt(np.mean(np.square(self.speed).sum(axis=-1)))) / size
        share = _share(self.cutoff + self.gain * pace)
        self.value += share * (value - self.value)
        return self.value.copy()

    def move(self, scale: float, shift: Array) -> None:
        """Moves the last value to `scale * value + shift`."""
        if self.value is not None and self._raw is not None:
            self.value, self._raw = scale * self.value + shift, scale * self._raw + shift


def _share(cutoff: float) -> float:
    """Weight of the new value in a low-pass filter with this cutoff, in cycles a frame."""
    rate = 2 * math.pi * cutoff
    return rate / (1 + rate)


@dataclass(slots=True, kw_only=True)
class Box:
    """Place and size of the crop of a face in the frame, in pixels."""

    centre: Array
    """`(2,)` x, y."""
    size: float
    """Geometric mean of its sides."""

    @staticmethod
    def of(corner: tuple[int, int], height: int, width: int) -> Box:
        """The box of a crop with this upper left corner.

        >>> Box.of((10, 20), 40, 10)
        Box(centre=array([15., 40.]), size=20.0)
        """
        return Box(
            centre=np.array([corner[0] + width / 2, corner[1] + height / 2]), size=(height * width) ** 0.5
        )


class TrackMemory:
    """The mesh points of one face over time.

    The place of the face (the mean of its points) and its shape around that place are smoothed separately.
    The mean of many points is stable and needs little smoothing. So the shape stays calm also while the face
    moves fast without turning.
    """

    def __init__(self) -> None:
        self.lost = 0
        """Frames since the points were last seen."""
        self.last: Array | None = None
        """What `points` returned for the frame before: where to look first in the next one."""
        self.strength = 0.0
        """Opacity of the new face over a veil. It falls while the points are lost and is 1 in a new track."""
        self._ever = False
        self.person: int | None = None
        """The track that its person was drawn for, see `Memories.person`."""
        self.frame = 0
        """The newest frame in which it occurred."""
        self.looked = -LOOK
        """The newest frame in which its points were looked for."""
        self.eyes = OneEuro()
        """Smooths the opening of both eyes."""
        self._box: Box | None = None
        self._forget()

    def _forget(self) -> None:
        self._place, self._shape = OneEuro(cutoff=4 * CUTOFF), OneEuro()

    def points(self, seen: Array | None, box: Box) -> Array | None:
        """Smoothed points `(n, d)` of the next frame: x, y in pixels of the frame, then depth if there is.

        If none were seen, the last ones move along with the box for `PATIENCE` frames; None after
        that, or if there never were any. Points that come back continue where these ended.

        Args:
            seen: the measured points, or None if they are not to be trusted.
            box: the crop of the face in the frame.
        """
        before, self._box = self._box, box
        self.looked = self.frame
        if seen is None:
            self.lost += 1
            self.strength = max(0.0, self.strength - 1 / (PATIENCE + 1))
            self.last = self._carried(before, box)
        else:
            self.strength = min(1.0, self.strength + RISE) if self._ever else 1.0
            self.lost, self._ever = 0, True
            middle = seen.mean(axis=0)
            self.last = self._place(middle, box.size) + self._shape(seen - middle, box.size)
        return self.last

    @property
    def is_known(self) -> bool:
        """Whether its points were seen in the last frame in which they were looked for."""
        return self.last is not None and self.lost == 0

    @property
    def rests(self) -> bool:
        """Whether the points are unknown, although they were looked for in the frame before."""
        return self.last is None and self.frame - self.looked < LOOK

    def step(self, box: Box) -> tuple[int, int] | None:
        """Whole pixels by which a calm face has moved with its box; None if it must be looked for."""
        if self._box is None or not self.is_known or self.strength < 1 or self.frame - self.looked >= LOOK:
            return None
        shift = box.centre - self._box.centre
        if max(np.abs(shift).max() / box.size, abs(box.size / self._box.size - 1)) > CALM:
            return None
        return round(float(shift[0])), round(float(shift[1]))

    def follow(self, shift: tuple[int, int], box: Box) -> None:
        """Moves the points of a calm face with its box, which is the next frame's."""
        assert self._place.value is not None
        self._place.move(1.0, np.array([*shift, 0.0])[: self._place.value.shape[-1]])
        self._box, self.last = box, self._place.value + self._shape.value

    def _carried(self, before: Box | None, box: Box) -> Array | None:
        """The last points, moved as the box has moved."""
        if self.lost > PATIENCE or before is None or self._place.value is None:
            self._forget()
            return None
        scale = box.size / before.size
        shift = np.zeros_like(self._place.value)
        shift[:2] = box.centre - scale * before.centre
        self._place.move(scale, shift)
        self._shape.move(scale, np.zeros(1))
        return self._place.value + self._shape.value


class Memories:
    """The memories of the tracks of one file; the latest `MOST` are kept.

    >>> memories = Memories()
    >>> memories.of(3) is memories.of(3), memories.of(3) is memories.of(4)
    (True, False)
    """

    def __init__(self) -> None:
        self.frame = 0
        """Number of the current frame; to be counted up by the session."""
        self._tracks: dict[int, TrackMemory] = {}

    def of(self, track: int) -> TrackMemory:
        """The memory of a track; a new one if the track is new."""
        memory = self._tracks.pop(track, None) or TrackMemory()
        self._tracks[track] = memory
        memory.frame = self.frame
        if len(self._tracks) > MOST:
            del self._tracks[next(iter(self._tracks))]
        return memory

    def person(self, track: int) -> int:
        """Which track's person this track gets.

        Usually its own. When the detector jumps, a second track begins on the same face. If its points lie on
        those of another track, now or in the frame before, it gets the other's person.
        """
        memory = self._tracks[track]
        if memory.person is not None:
            return memory.person
        now = [one for one in self._tracks.values() if one.frame >= self.frame - 1]
        people = [one.person for one in now if one.person is not None and _near(one, memory)]
        memory.person = people[-1] if people else track
        return memory.person


def _near(one: TrackMemory, other: TrackMemory) -> bool:
    if one.last is None or other.last is None:
        return False
    apart = np.linalg.norm(one.last[:, :2] - other.last[:, :2], axis=1).mean()
    return bool(apart < NEAR * np.ptp(other.last[:, 1]))

"""The way of one face through the pictures: where it was seen, and where it must have been."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

Array = NDArray[Any]
RADIUS = 5
"""Pictures before and after one that its smooth place is fitted to."""
SPREAD = 2.5
"""Width in pictures of the Gaussian weights of that fit."""
STRAY = 0.1
"""How far, in sizes of the face, the smooth place may be from the one that was found."""
GROW_SEEN = 0.01
"""Growth of the box a picture of distance from where the detector last or next saw the face."""
GROW_FOUND = 0.05
"""The same for the distance from where the face was last or next found at all."""
LARGEST = 2.0
"""Most that a box grows."""
DECAY = 0.95
"""Share of its speed that a face keeps a picture while it is not found."""


class Kind(IntEnum):
    """How a place of a face is known."""

    SEEN = 0
    """The detector saw it."""
    FOUND = 1
    """The picture there looks like the face."""
    GUESSED = 2
    """It must be about here."""


@dataclass(slots=True)
class Spot:
    """A face in one picture, xy pixels."""

    centre: Array
    size: Array
    kind: Kind
    fixed: bool = False
    """A guess that has been shown: later findings no longer move it."""


@dataclass(slots=True, eq=False)
class Track:
    """One face. Times are numbers of pictures."""

    patch: Tensor
    """`(16, 16)` brightness, see `likeness`."""
    weight: Tensor
    """`(16, 16)` 1 where the patch shows the face, 0 where another one has always hidden it."""
    path: dict[int, Spot] = field(default_factory=dict)
    centre: Array = field(default_factory=lambda: np.zeros(2))
    """Where it is now, or is expected."""
    size: Array = field(default_factory=lambda: np.ones(2))
    speed: Array = field(default_factory=lambda: np.zeros(2))
    """Pixels a picture."""
    last_seen: int = 0
    last_found: int = 0
    doubted_since: int | None = None
    """The suspected cut after which it has not been found again."""

    def box(self) -> Array:
        """`(4,)` xyxy pixels, now."""
        return np.concatenate([self.centre - self.size / 2, self.centre + self.size / 2])

    def predict(self, time: int) -> None:
        """Moves on to the next picture."""
        if time - self.last_found > 1:
            self.speed = self.speed * DECAY
        self.centre = self.centre + self.speed

    def place(self, time: int, centre: Array, kind: Kind, size: Array | None = None) -> None:
        """Notes where it is in this picture, the latest."""
        if kind != Kind.GUESSED:
            self._measure_speed(time, centre)
            self.last_found = time
        if kind == Kind.SEEN:
            self.last_seen = time
        self.centre = centre
        self.size = self.size if size is None else size
        self.path[time] = Spot(centre, self.size, kind)

    def _measure_speed(self, time: int, centre: Array) -> None:
        before = self.path.get(self.last_found)
        if before is None or time == self.last_found:
            return
        speed = (centre - before.centre) / (time - self.last_found)
        first = sum(spot.kind != Kind.GUESSED for spot in self.path.values()) == 1
        self.speed = speed if first else (self.speed + speed) / 2

    def settle(self, time: int) -> None:
        """Says that this picture has been shown, and drops what no later one needs."""
        if time in self.path:
            self.path[time].fixed = True
        for old in [t for t in self.path if t < time - RADIUS and t != self.last_found]:
            del self.path[old]

    def unsure(self, time: int) -> bool:
        """Whether its place is a guess, and no later picture tells."""
        return self.path[time].kind == Kind.GUESSED and time > self.last_found

    def smooth_box(self, time: int) -> Array:
        """`(4,)` xyxy pixels at a picture of its path, grown by what is not known.

        Places between two findings are interpolated; centre and size are each fitted by a line
        over the pictures about this one, which follows a steady motion without lag. The centre
        is known wherever the face was found, the size only where the detector saw it.
        """
        times = np.array([t for t in sorted(self.path) if abs(t - time) <= RADIUS])
        raw_centre, raw_size = self._raw(times, Kind.FOUND), self._raw(times, Kind.SEEN)
        here = int(np.searchsorted(times, time))
        centre, size = (_fit_line(times - time, raw) for raw in (raw_centre, raw_size))
        stray = STRAY * raw_size[here]
        centre = np.clip(centre, raw_centre[here] - stray, raw_centre[here] + stray)
        size = np.maximum(size, (1 - STRAY) * raw_size[here])
        half = size / 2 * self._growth(time)
        return np.concatenate([centre - half, centre + half])

    def _raw(self, times: Array, worst: Kind) -> Array:
        """`(n, 2)` centres (`worst` FOUND) or sizes (`worst` SEEN), interpolated where unknown."""
        known = [t for t, spot in self.path.items() if spot.kind <= worst]
        first, last = min(known, default=0), max(known, default=-1)
        nodes = sorted(
            t for t, spot in self.path.items() if spot.kind <= worst or spot.fixed or not first <= t <= last
        )
        spots = [self.path[t] for t in nodes]
        rows = np.array([s.centre if worst == Kind.FOUND else s.size for s in spots])
        whole = len(nodes) == nodes[-1] - nodes[0] + 1
        if whole and nodes[0] <= times[0] and times[-1] <= nodes[-1]:
            return rows[times - nodes[0]]
        return np.stack([np.interp(times, nodes, rows[:, i]) for i in range(2)], axis=1)

    def _growth(self, time: int) -> float:
        unseen = self._distance(time, Kind.SEEN)
        unfound = self._distance(time, Kind.FOUND)
        return min(1 + GROW_SEEN * unseen + GROW_FOUND * unfound, LARGEST)

    def _distance(self, time: int, worst: Kind) -> int:
        """Pictures to the nearest in which it is known that well."""
        known = [t for t, spot in self.path.items() if spot.kind <= worst]
        known.append(self.last_seen if worst == Kind.SEEN else self.last_found)
        return min(abs(t - time) for t in known)


def remember(tracks: Sequence[Track], patches: Tensor, clear: Tensor, rates: Tensor) -> None:
    """Mixes a share of what faces look like now into their patches, where nothing hides them.

    Args:
        tracks: n of them, changed.
        patches: `(n, 16, 16)` what they look like now.
        clear: `(n, 16, 16)` 1 where nothing hides them, else 0.
        rates: `(n,)` shares in [0, 1].
    """
    old = torch.stack([track.patch for track in tracks])
    weights = torch.stack([track.weight for track in tracks])
    share = torch.where(weights > 0, rates[:, None, None], 1.0) * clear
    mixed = (1 - share) * old + share * patches
    known = torch.maximum(weights, clear)
    for track, patch, weight in zip(tracks, mixed, known, strict=True):
        track.patch, track.weight = patch, weight


def _fit_line(offsets: Array, values: Array) -> Array:
    """Value at offset 0 of the line through `(n, 2)` values, near ones weighing more."""
    return _shares(tuple(offsets.tolist())) @ values


@lru_cache
def _shares(offsets: tuple[int, ...]) -> Array:
    """`(n,)` what each value adds to the line's value at offset 0."""
    at = np.array(offsets)
    weights = np.exp(-0.5 * (at / SPREAD) ** 2)
    weights /= weights.sum()
    mean = weights @ at
    spread = weights @ (at - mean) ** 2
    if spread < 1e-9:
        return weights
    return weights * (1 - mean * (at - mean) / spread)


REACH = 0.6
"""Distance, in sizes, from its expected place at which a detection can be the face's."""
WIDER = 0.1
"""Growth of that reach a picture in which the face is not found, up to twice."""
RATIO = 2.0
"""Greatest ratio of the sizes of a face and of a detection that can be the face's."""
_IMPOSSIBLE = 1e6


def overlap(a: Array, b: Array) -> Array:
    """Intersection over union of boxes `(n, 4)` and `(m, 4)`, `(n, m)`.

    >>> overlap(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [2, 2, 4, 4]])).round(2)
    array([[0.33, 0.  ]])
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(high - low, 0)
    shared = sides[..., 0] * sides[..., 1]
    areas = [(x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (a, b)]
    return shared / np.maximum(areas[0][:, None] + areas[1] - shared, 1e-9)


def associate(expected: Array, lost_for: Array, boxes: Array) -> list[tuple[int, int]]:
    """Pairs of faces and detections whose overlap is largest and whose distance least in all.

    Args:
        expected: `(n, 4)` xyxy, where the faces must be now.
        lost_for: `(n,)` pictures since each was found, 1 or more; their reach is wider.
        boxes: `(m, 4)` detections.

    Returns:
        Rows of `expected` and of `boxes`; no row twice.

    >>> faces = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    >>> associate(faces, np.ones(2), np.array([[21.0, 0, 31, 10], [90, 0, 99, 10]]))
    [(1, 0)]
    """
    if not len(expected) or not len(boxes):
        return []
    sides = [np.sqrt(np.prod(x[:, 2:] - x[:, :2], axis=1)) for x in (expected, boxes)]
    size = np.maximum(sides[0][:, None], sides[1])
    centres = [(x[:, :2] + x[:, 2:]) / 2 for x in (expected, boxes)]
    distance = np.linalg.norm(centres[0][:, None] - centres[1], axis=2) / size
    reach = REACH * np.minimum(1 + WIDER * (lost_for - 1), 2)
    possible = (distance < reach[:, None]) & (size < RATIO * np.minimum(sides[0][:, None], sides[1]))
    cost = np.where(possible, 1 - overlap(expected, boxes) + distance, _IMPOSSIBLE)
    rows, columns = linear_sum_assignment(cost)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if possible[r, c]]

"""The track of one face through a video, the assignment of detections to tracks, and what they cover."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonlib.detection.faces import Faces
from anonlib.errors import NumericError
from anonlib.geometry import box_iou

Array = NDArray[Any]
RADIUS = 5
"""The smooth box of a frame is fitted to this many frames before and after it."""
SPREAD = 2.5
"""Standard deviation, in frames, of the Gaussian weights of that fit."""
STRAY = 0.1
"""Largest distance of the smooth centre from the measured one, in sizes of the face."""
GROW_UNDETECTED = 0.01
"""Growth of the box per frame of distance from the nearest detection of the face."""
GROW_UNLOCATED = 0.05
"""Growth per frame of distance from the nearest frame in which the face was located."""
LARGEST = 2.0
"""Largest growth of a box."""
DECAY = 0.95
"""Factor by which the speed falls in each frame in which the face is not located."""
REACH = 0.6
"""Largest distance, in sizes of the face, between its expected place and its detection."""
WIDER = 0.1
"""Growth of that distance per frame in which the face is not located, up to twice."""
RATIO = 2.0
"""Largest ratio between the sizes of a face and of its detection."""
_IMPOSSIBLE = 1e6


class Kind(IntEnum):
    """How the place of a face in a frame is known. The first two kinds count as located."""

    DETECTED = 0
    """By the detector."""
    MATCHED = 1
    """The frame looks like the face there."""
    PREDICTED = 2
    """By extrapolation only."""


@dataclass(slots=True)
class Spot:
    """A face in one frame, xy pixels."""

    centre: Array
    size: Array
    kind: Kind
    fixed: bool = False
    """Whether the frame has been shown. Later frames no longer change a prediction in it."""


@dataclass(slots=True, eq=False)
class Track:
    """One face. Times are frame numbers."""

    number: int
    """Its number in the video, from 0 on; a person who comes back is a new track."""
    patch: Tensor
    """`(16, 16)` brightness, see `likeness`."""
    weight: Tensor
    """`(16, 16)` 1 where the patch shows the face, 0 where another face has always hidden it."""
    path: dict[int, Spot] = field(default_factory=dict)
    centre: Array = field(default_factory=lambda: np.zeros(2))
    """Its current place, measured or expected."""
    size: Array = field(default_factory=lambda: np.ones(2))
    speed: Array = field(default_factory=lambda: np.zeros(2))
    """Pixels per frame."""
    last_detected: int = 0
    last_located: int = 0
    doubted_since: int | None = None
    """The time of a suspected cut, if the face has not been located since."""

    def box(self) -> Array:
        """The current box, `(4,)` xyxy pixels."""
        return np.concatenate([self.centre - self.size / 2, self.centre + self.size / 2])

    def predict(self, time: int) -> None:
        """Moves to the expected place in the next frame."""
        if time - self.last_located > 1:
            self.speed = self.speed * DECAY
        self.centre = self.centre + self.speed

    def place(self, time: int, centre: Array, kind: Kind, size: Array | None = None) -> None:
        """Records its place in the newest frame."""
        if kind != Kind.PREDICTED:
            before = self.path.get(self.last_located)
            if before is not None and time > self.last_located:
                speed = (centre - before.centre) / (time - self.last_located)
                first = sum(spot.kind != Kind.PREDICTED for spot in self.path.values()) == 1
                self.speed = speed if first else (self.speed + speed) / 2
            self.last_located = time
        if kind == Kind.DETECTED:
            self.last_detected = time
        self.centre = centre
        self.size = self.size if size is None else size
        self.path[time] = Spot(centre, self.size, kind)

    def settle(self, time: int) -> None:
        """Marks this frame as shown, and drops what later frames do not need."""
        if time in self.path:
            self.path[time].fixed = True
        for old in [t for t in self.path if t < time - RADIUS and t != self.last_located]:
            del self.path[old]

    def unsure(self, time: int) -> bool:
        """Whether its place is a prediction, and it was not located later either."""
        return self.path[time].kind == Kind.PREDICTED and time > self.last_located

    def smooth_box(self, time: int) -> Array:
        """The smoothed box at one time of its path, grown with uncertainty; `(4,)` xyxy pixels.

        Centre and size are each fitted by a line over the frames around this one, which does not
        lag behind a steady motion. Missing values are interpolated: the centre is known wherever
        the face was located, the size only where it was detected.
        """
        times = np.array([t for t in sorted(self.path) if abs(t - time) <= RADIUS])
        raw_centre, raw_size = self._raw(times, Kind.MATCHED), self._raw(times, Kind.DETECTED)
        here = int(np.searchsorted(times, time))
        centre, size = (_fit_line(times - time, raw) for raw in (raw_centre, raw_size))
        stray = STRAY * raw_size[here]
        centre = np.clip(centre, raw_centre[here] - stray, raw_centre[here] + stray)
        size = np.maximum(size, (1 - STRAY) * raw_size[here])
        undetected, unlocated = self._distance(time, Kind.DETECTED), self._distance(time, Kind.MATCHED)
        growth = min(1 + GROW_UNDETECTED * undetected + GROW_UNLOCATED * unlocated, LARGEST)
        half = size / 2 * growth
        return np.concatenate([centre - half, centre + half])

    def _raw(self, times: Array, worst: Kind) -> Array:
        """`(n, 2)` centres (`worst` MATCHED) or sizes (`worst` DETECTED), interpolated if unknown."""
        known = [t for t, spot in self.path.items() if spot.kind <= worst]
        first, last = min(known, default=0), max(known, default=-1)
        nodes = sorted(
            t for t, spot in self.path.items() if spot.kind <= worst or spot.fixed or not first <= t <= last
        )
        spots = [self.path[t] for t in nodes]
        rows = np.array([s.centre if worst == Kind.MATCHED else s.size for s in spots])
        whole = len(nodes) == nodes[-1] - nodes[0] + 1
        if whole and nodes[0] <= times[0] and times[-1] <= nodes[-1]:
            return rows[times - nodes[0]]
        return np.stack([np.interp(times, nodes, rows[:, i]) for i in range(2)], axis=1)

    def _distance(self, time: int, worst: Kind) -> int:
        """Frames to the nearest one in which the face is known at least as well as `worst`."""
        known = [t for t, spot in self.path.items() if spot.kind <= worst]
        known.append(self.last_detected if worst == Kind.DETECTED else self.last_located)
        return min(abs(t - time) for t in known)


def _fit_line(offsets: Array, values: Array) -> Array:
    """Value at offset 0 of the weighted least-squares line through `(n, 2)` values."""
    return _shares(tuple(offsets.tolist())) @ values


@lru_cache
def _shares(offsets: tuple[int, ...]) -> Array:
    """`(n,)` factor of each value in the value at offset 0."""
    at = np.array(offsets)
    weights = np.exp(-0.5 * (at / SPREAD) ** 2)
    weights /= weights.sum()
    mean = weights @ at
    spread = weights @ (at - mean) ** 2
    if spread < 1e-9:
        return weights
    return weights * (1 - mean * (at - mean) / spread)


def overlap(a: Array, b: Array) -> Array:
    """Intersection over union of boxes `(n, 4)` and `(m, 4)` with area; `(n, m)`.

    >>> overlap(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [2, 2, 4, 4]])).round(2)
    array([[0.33, 0.  ]])
    """
    return box_iou(torch.from_numpy(a), torch.from_numpy(b)).numpy()


def associate(expected: Array, lost_for: Array, boxes: Array) -> list[tuple[int, int]]:
    """Assigns detections to faces by the Hungarian method, on overlap and distance.

    Pairs rows of expected boxes `(n, 4)` xyxy with rows of detections `(m, 4)`; no row appears twice.
    The search widens with the frames, `(n,)`, since each face was located, 1 or more.

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
    rows, columns = possible.nonzero()
    if max(possible.sum(0).max(), possible.sum(1).max()) > 1:
        from scipy.optimize import linear_sum_assignment  # slow to import, and most frames do not need it

        rows, columns = linear_sum_assignment(cost)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if possible[r, c]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """What must be hidden in one frame."""

    boxes: Array
    """`(n, 4)` xyxy pixels of the small frame, the least certain first, not enlarged."""
    tracks: list[int]
    """The number of the track of each box: one face has one number from its first frame to its last."""
    bridged: int
    """Number of boxes that the detector missed although it ran."""
    unsure: bool
    """Whether a box is only a prediction: the face was neither detected nor matched in this frame,
    nor in a later frame within the look-ahead."""


def detections(faces: Faces | None) -> tuple[Array, Array]:
    """Boxes `(n, 4)` with sides of at least a pixel, and scores `(n,)`."""
    if faces is None:
        return np.zeros((0, 4)), np.zeros(0)
    boxes = faces.boxes.detach().cpu().double().reshape(-1, 4).numpy().copy()
    scores = faces.scores.detach().cpu().double().numpy()
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise NumericError("the detector returned NaN or infinity: its weights are damaged")
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    return boxes, scores


def centre_and_size(box: Array) -> tuple[Array, Kind, Array]:
    """What `Track.place` takes for a detection."""
    return (box[:2] + box[2:]) / 2, Kind.DETECTED, box[2:] - box[:2]


def apart(box: Array, height: int, width: int) -> bool:
    """Whether a box lies outside a frame."""
    return bool(box[2] <= 0 or box[3] <= 0 or box[0] >= width or box[1] >= height)


def inside_detected(boxes: Array, kinds: Array) -> Array:
    """`(n,)` whether a box was not detected and lies inside one that was: it is not needed."""
    low = (boxes[:, None, :2] >= boxes[None, :, :2]).all(axis=2)
    high = (boxes[:, None, 2:] <= boxes[None, :, 2:]).all(axis=2)
    return (kinds != Kind.DETECTED) & (low & high & (kinds == Kind.DETECTED)).any(axis=1)

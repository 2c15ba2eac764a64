"""Which detection is which face: overlap and distance, and one detection a face at most."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Array = NDArray[Any]
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
    possible = (distance < reach[:, None]) & (
        size < RATIO * np.minimum(sides[0][:, None], sides[1])
    )
    cost = np.where(possible, 1 - overlap(expected, boxes) + distance, _IMPOSSIBLE)
    rows, columns = linear_sum_assignment(cost)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if possible[r, c]]

"""Methods that remember: a session gives every track of a file one new person, from frame to frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from anonlib.config import ENLARGE

CHANGED = 1 / 512
"""A pixel has changed if a colour differs by more than this, half a step of 8 bits."""
CORE = 0.6
"""Of two faces on one pixel the later is on top up to this distance from its centre, in half sides
of its crop, and beyond it the nearer one."""


@runtime_checkable
class Session(Protocol):
    """What a method with memory makes for each file, by its own `session(seed)`."""

    counts: Counter[str]
    """How many faces went which way, such as `swapped` and `veiled`."""

    def replace(self, crops: list[Tensor], tracks: list[int], corners: list[tuple[int, int]]) -> list[Tensor]:
        """The crops with their faces replaced, of the same shapes and in the same order.

        Args:
            crops: `(3, h, w)` in [0, 1] at the picture's own resolution, in order of time.
            tracks: the track of each; all faces of one track get one person.
            corners: x, y in the frame of the upper left pixel of each, which may be negative.
        """


def session_of(method: Callable[[Tensor], Tensor], seed: int | None = None) -> Session | None:
    """A new session of a method; None if the method does not remember.

    A session without a seed draws its people at random, so that nobody can link two files.
    """
    make: Callable[[int | None], Session] | None = getattr(method, "session", None)
    return None if make is None else make(seed)


def enlarge_of(method: Callable[[Tensor], Tensor]) -> float:
    """How much larger than the detector's box the crop is that a method wants.

    >>> enlarge_of(torch.zeros_like)
    1.6
    """
    own: float | None = getattr(method, "enlarge", None)
    return ENLARGE if own is None else own


def derived_seed(seed: int | None, index: int) -> int | None:
    """The seed of one file of a run, or of one page of a file; without a seed there is none.

    It depends on nothing else, so the order of the work does not matter.

    >>> derived_seed(7, 0) == derived_seed(7, 0), derived_seed(7, 0) == derived_seed(7, 1)
    (True, False)
    """
    if seed is None:
        return None
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> 1)


def merge_overlaps(
    crops: Sequence[Tensor],
    faces: Sequence[Tensor],
    *,
    corners: Sequence[tuple[int, int]],
    frames: Sequence[int],
) -> list[Tensor]:
    """Faces that agree where the crops of one frame overlap, so that they can be pasted in any order.

    A session leaves most of a crop as it is. What it leaves of one crop may be the clear face of
    another, so a pixel is taken from a crop in which it has changed; if it has changed in both, see `CORE`.

    Args:
        crops: `(3, h, w)` before the change.
        faces: the same after it; they are not changed.
        corners: x, y of each crop in its frame.
        frames: the frame of each crop.
    """
    out = list(faces)
    own: set[int] = set()
    for i, j in combinations(range(len(out)), 2):
        parts = _common(crops, corners, i, j) if frames[i] == frames[j] else None
        if parts is None:
            continue
        for k in {i, j} - own:
            out[k] = out[k].clone()
        own |= {i, j}
        first, second = (out[k][part] for k, part in zip((i, j), parts, strict=True))
        changed = [
            (out[k][part] - crops[k][part]).abs().amax(0) > CHANGED
            for k, part in zip((i, j), parts, strict=True)
        ]
        beyond = [_beyond_core(crops[k])[part[1:]] for k, part in zip((i, j), parts, strict=True)]
        on_top = changed[1] & (~changed[0] | (beyond[1] <= beyond[0]))
        merged = torch.where(on_top, second, first)
        first.copy_(merged)
        second.copy_(merged)
    return out


def _common(
    crops: Sequence[Tensor], corners: Sequence[tuple[int, int]], i: int, j: int
) -> list[tuple[Any, ...]] | None:
    """The part of each of two crops that the other covers too, as slices; None if there is none."""
    low = np.maximum(corners[i], corners[j])
    high = np.minimum(*[np.add(corners[k], crops[k].shape[:0:-1]) for k in (i, j)])
    if (high <= low).any():
        return None
    spans = [(low - corners[k], high - corners[k]) for k in (i, j)]
    return [(slice(None), slice(a[1], b[1]), slice(a[0], b[0])) for a, b in spans]


def _beyond_core(crop: Tensor) -> Tensor:
    """`(h, w)` distance from the core of the face in the middle of a crop, 0 inside, in half sides."""
    y, x = (torch.linspace(-1, 1, side, device=crop.device) for side in crop.shape[1:])
    return (torch.hypot(y[:, None], x[None]) - CORE).clamp(min=0)

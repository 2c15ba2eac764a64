"""Sessions: a method that has one draws the same new person in all frames of a track."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import combinations
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from anonlib.config import ENLARGE

CHANGED = 1 / 512
"""A pixel has changed if a colour differs by more than this, half a step of 8 bits."""
CORE = 0.6
"""Where two faces cover a pixel, the later face is used within this distance of its centre, in half sides of
its crop. Beyond it, the face whose centre is nearer is used."""


@runtime_checkable
class Session(Protocol):
    """The memory of a method for one file, made by its `session(seed)`."""

    counts: Counter[str]
    """Number of faces by treatment, such as `swapped` and `veiled`."""

    def replace(self, crops: list[Tensor], tracks: list[int], corners: list[tuple[int, int]]) -> list[Tensor]:
        """The crops with their faces replaced, of the same shapes and in the same order.

        Args:
            crops: `(3, h, w)` in [0, 1] at the picture's own resolution, in order of time.
            tracks: the track of each; all faces of one track get one person.
            corners: x, y in the frame of the upper left pixel of each, which may be negative.
        """


Draw = Callable[[], list[Tensor]]
"""Draws the faces that were read, see `TwoSteps`."""


@runtime_checkable
class TwoSteps(Session, Protocol):
    """A session that reads faces before it draws them, so that another thread can draw.

    `read(...)()` is `replace(...)`.
    """

    def read(self, crops: list[Tensor], tracks: list[int], corners: list[tuple[int, int]]) -> Draw:
        """Looks at the faces, see `Session.replace`. What it returns draws them.

        The next faces may be read while these are drawn. Each result is called once, in order.
        """


def session_of(method: Callable[[Tensor], Tensor], seed: int | None = None) -> Session | None:
    """A new session of a method; None if the method has none.

    A session without a seed draws its people at random, so that nobody can link two files.
    """
    make: Callable[[int | None], Session] | None = getattr(method, "session", None)
    return None if make is None else make(seed)


def enlarge_of(method: Callable[[Tensor], Tensor]) -> float:
    """Size of the crop that a method needs, in multiples of the detector's box.

    >>> enlarge_of(torch.zeros_like)
    1.6
    """
    own: float | None = getattr(method, "enlarge", None)
    return ENLARGE if own is None else own


def derived_seed(seed: int | None, index: int) -> int | None:
    """The seed of one file of a run, or of one page of a file; None if the run has no seed.

    It does not depend on the order in which files are processed.

    >>> derived_seed(7, 0) == derived_seed(7, 0), derived_seed(7, 0) == derived_seed(7, 1)
    (True, False)
    """
    if seed is None:
        return None
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> 1)


def face_seed(face: Tensor, seed: int) -> int:
    """A number for a face `(3, h, w)` in [0, 1] that depends on its pixels and a seed below 2^63 alone."""
    pixels = (face.detach().cpu() * 255).round().to(torch.uint8).numpy().tobytes()
    digest = blake2b(pixels, digest_size=8, key=seed.to_bytes(8, "little")).digest()
    return int.from_bytes(digest, "little") >> 1


def merge_overlaps(
    crops: Sequence[Tensor],
    faces: Sequence[Tensor],
    *,
    corners: Sequence[tuple[int, int]],
    frames: Sequence[int],
) -> list[Tensor]:
    """Makes the faces of one frame equal where their crops overlap, so that they can be pasted in any order.

    A session changes only a part of each crop. The unchanged part may show the clear face of another crop. So
    each pixel is taken from a crop in which it has changed; if it has changed in both, `CORE` decides.

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
    """`(h, w)` distance from the core of the face in the middle of a crop, in half sides; 0 inside."""
    y, x = (torch.linspace(-1, 1, side, device=crop.device) for side in crop.shape[1:])
    return (torch.hypot(y[:, None], x[None]) - CORE).clamp(min=0)

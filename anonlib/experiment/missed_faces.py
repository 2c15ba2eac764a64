"""How much of each face stays visible in an anonymized clip, also when the detector misses faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonlib.detection import Faces


def exposure(
    before: Tensor, after: Tensor, *, boxes: Sequence[Tensor], people: Sequence[Tensor]
) -> NDArray[np.float64]:
    """The share of each true face's pixels that are unchanged: `(P, T)`, NaN where a person has no face.

    `before` are frames `(T, 3, H, W)`, `after` the same anonymized. Each frame has `boxes`, `(n, 4)` true,
    tight face boxes, and `people`, the `(n,)` person numbers. People come in the order of their numbers.

    >>> clear, black = torch.full((1, 3, 4, 4), 9), torch.zeros(1, 3, 4, 4)
    >>> black[..., 0] = 9
    >>> box, who = torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.tensor([7])
    >>> exposure(clear, black, boxes=[box], people=[who]).tolist()
    [[0.25]]
    """
    numbers = torch.cat(list(people)).unique().tolist()
    visible = np.full((len(numbers), len(before)), np.nan)
    same = (before == after).all(dim=1)  # (T, H, W)
    for time, (found, who) in enumerate(zip(boxes, people, strict=True)):
        for (x0, y0, x1, y1), person in zip(found.round().int().clamp(min=0).tolist(), who, strict=True):
            inside = same[time, y0:y1, x0:x1]
            if inside.numel():
                visible[numbers.index(int(person)), time] = float(inside.float().mean())
    return visible


def since_seen(visible: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """`exposure` of each face from its first detection on; NaN before.

    >>> visible, seen = np.array([[1.0, 0.9, 0.2]]), np.array([[False, True, False]])
    >>> since_seen(visible, seen).tolist()
    [[nan, 0.9, 0.2]]
    """
    return np.where(np.maximum.accumulate(seen, axis=1), visible, np.nan)


class Forgetful:
    """A detector that finds nobody in randomly chosen frames."""

    def __init__(
        self, detector: Callable[[Tensor], list[Faces]], *, share: float = 0.0, seed: int = 0
    ) -> None:
        """Wraps a detector; `share`, 0 to 1, of the frames are chosen by the seed."""
        self.detector, self.share = detector, share
        self.asked = self.forgotten = 0
        self._random = np.random.default_rng(seed)

    def __call__(self, frames: Tensor) -> list[Faces]:
        """The faces of each frame `(B, 3, H, W)`, or none."""
        found = self.detector(frames)
        forget = self._random.random(len(found)) < self.share
        self.asked += len(found)
        self.forgotten += int(forget.sum())
        return [f.above(float("inf")) if gone else f for f, gone in zip(found, forget, strict=True)]

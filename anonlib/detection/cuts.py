"""Where one scene of a video ends and the next begins, from a thumbnail of every picture."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

THUMBNAIL = (18, 32)
"""Rows and columns compared."""
LEAST = 0.06
"""Mean change of brightness, in [0, 1], below which nothing is a cut."""
LEAP = 3.0
"""How many times the usual change of the pictures before it a cut changes the picture."""
MEMORY = 0.8
"""Share of the usual change that one picture keeps."""


class CutFinder:
    """Suspects a cut where the picture changes at once, and far more than it used to.

    It errs towards cuts: one that is none costs a detection. One that is missed (a dissolve) is
    no danger either, the faces of the scene before stay hidden until they are gone.

    >>> import torch
    >>> finder = CutFinder()
    >>> dark, bright = torch.zeros(36, 64), torch.full((36, 64), 0.7)
    >>> [finder(picture) for picture in (dark, dark, bright, bright)]
    [True, False, True, False]
    """

    def __init__(self) -> None:
        self.last: Tensor | None = None
        self.shape: tuple[int, ...] = ()
        self.usual = 0.0

    def __call__(self, grey: Tensor) -> bool:
        """Whether this picture, `(h, w)` brightness in [0, 1], begins a scene; the first does."""
        thumbnail = F.adaptive_avg_pool2d(grey[None], THUMBNAIL)[0]
        last, self.last = self.last, thumbnail
        if last is None or tuple(grey.shape) != self.shape:
            self.shape, self.usual = tuple(grey.shape), 0.0
            return True
        change = float((thumbnail - last).abs().mean())
        cut = change > max(LEAST, LEAP * self.usual)
        if not cut:
            self.usual = MEMORY * self.usual + (1 - MEMORY) * change
        return cut

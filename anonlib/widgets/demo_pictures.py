"""Pictures of the live demo: a frame as it is sent to the browser, stills, and what a reader sees in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from anonlib.errors import ImageError
from anonlib.viz.pictures import plot_strip
from anonlib.widgets.player import Shot

ANONYMIZED, BESIDE, DIVIDED = "anonymized only", "before beside after", "divider"
VIEWS = (ANONYMIZED, BESIDE, DIVIDED)
SEEN = {
    ANONYMIZED: "every face that was found is replaced by {method}",
    BESIDE: "left the original, right the same with every face that was found replaced by {method}",
    DIVIDED: "left of the line the original, right of it every face that was found replaced by {method}",
}
"""What a reader sees in each view."""
STILLS = 3
"""Frames in the picture without a front end."""


def composed(shot: Shot, *, show: str, divider: float) -> NDArray[Any]:
    """The picture that is sent to the browser, `(H, W, 3)` uint8.

    It holds the original, or the left part of this share, only if `show` asks for it and it was kept.
    """
    before, after = shot.before, shot.array
    if show == ANONYMIZED or before is None:
        return after
    if show == BESIDE:
        gap = np.full((shot.height, 6, 3), 255, np.uint8)
        return np.concatenate([before, gap, after], axis=1)
    column = round(divider * shot.width)
    picture = after.copy()
    picture[:, :column] = before[:, :column]
    if 0 < column < shot.width:
        picture[:, column - 1 : column + 1] = 255
    return picture


def stills(shots: Sequence[Shot], *, method: str, show: str) -> Figure:
    """The first, middle and last of some shots; with the originals only if `show` asks for them.

    Raises:
        ImageError: there are no shots.
    """
    if not shots:
        raise ImageError("there are no pictures to show: give footage with at least one picture")
    chosen = [shots[i] for i in np.linspace(0, len(shots) - 1, STILLS).round().astype(int)]
    rows = {method: _stack([shot.array for shot in chosen])}
    before = [shot.before for shot in chosen if shot.before is not None]
    if show != ANONYMIZED and len(before) == len(chosen):
        rows = {"before": _stack(before)} | rows
    return plot_strip(rows, titles=[f"{shot.seconds:.1f} s" for shot in chosen])


def _stack(pictures: list[NDArray[Any]]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255

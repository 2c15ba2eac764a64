"""What the live demo sends to the browser: plain functions from an anonymized shot to pictures."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from anonlib.errors import ImageError
from anonlib.viz.pictures import plot_strip
from anonlib.widgets.player import Pace, Shot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ANONYMIZED, BESIDE, DIVIDED = "anonymized only", "before beside after", "divider"
VIEWS = (ANONYMIZED, BESIDE, DIVIDED)
STILLS = 3
"""Frames in the picture without a front end."""


def composed(shot: Shot, *, show: str, divider: float) -> NDArray[Any]:
    """What is sent to the browser, `(H, W, 3)` uint8.

    Args:
        shot: anonymized; `before` is used only if `show` asks for it and it was kept.
        show: one of `VIEWS`.
        divider: share of the width that shows `before`, in the view with a divider.
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


def jpeg(picture: NDArray[Any]) -> bytes:
    """A picture `(H, W, 3)` uint8 as a JPEG."""
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, format="jpeg", quality=80)
    return buffer.getvalue()


def pace_line(pace: Pace | None) -> str:
    """The frame rate in words.

    >>> pace_line(Pace(rate=11.96, faces=3, detection=0.0314, modification=0.0082))
    '12.0 frames/s, 3.0 faces a frame; a frame takes the detector 31 ms, the faces 8 ms'
    """
    if pace is None:
        return ""
    return (
        f"{pace.rate:.1f} frames/s, {pace.faces:.1f} faces a frame; a frame takes the detector "
        f"{1000 * pace.detection:.0f} ms, the faces {1000 * pace.modification:.0f} ms"
    )


def stills(shots: Sequence[Shot], *, method: str, show: str) -> Figure:
    """The first, middle and last of some shots; what was before only if `show` asks for it.

    Raises:
        ImageError: there are no shots.
    """
    if not shots:
        raise ImageError("there are no pictures to show: give footage with some")
    chosen = [shots[i] for i in np.linspace(0, len(shots) - 1, STILLS).round().astype(int)]
    rows = {method: _stack([shot.array for shot in chosen])}
    before = [shot.before for shot in chosen if shot.before is not None]
    if show != ANONYMIZED and len(before) == len(chosen):
        rows = {"before": _stack(before)} | rows
    return plot_strip(rows, titles=[f"{shot.seconds:.1f} s" for shot in chosen])


def _stack(pictures: list[NDArray[Any]]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255

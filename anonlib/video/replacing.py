"""Replacing the faces of pictures, or a whole picture that cannot be trusted, in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from anonlib.anonymizers import SMALLEST_FACE
from anonlib.anonymizers.frames import anonymize_crops, face_regions
from anonlib.config import ENLARGE
from anonlib.video.picture import Corners, Picture, Resizing

P = TypeVar("P", bound=Picture)
BLOCKS = 8
"""Blocks along the longer side of a picture that is held back, as coarse as the paper's
strongest blur of a face."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Generic[P]):
    """A picture and what must be hidden in it."""

    picture: P
    boxes: Tensor
    """`(n, 4)` float xyxy pixels of the picture, not enlarged, the least sure first."""
    hold: bool = False
    """Whether the whole picture is hidden."""


@torch.no_grad()
def replace_faces(
    found: Sequence[Found[P]], anonymizer: Callable[[Tensor], Tensor], *, enlarge: float = ENLARGE
) -> int:
    """Exchanges the faces of pictures for what the anonymizer makes of them, all in one batch.

    Every crop is taken before the first is replaced. Nothing is changed if the anonymizer
    fails. A picture under 8 pixels a side becomes black: no face can be cut from it.

    Args:
        found: pictures, changed in place.
        anonymizer: faces `(N, 3, h, w)` in [0, 1] to the same shape.
        enlarge: factor by which boxes grow about their centres.

    Returns:
        The number of faces replaced.

    Raises:
        ImageError: the anonymizer returned another shape.
        NumericError: the anonymizer returned NaN or infinity.
    """
    whole = [one for one in found if one.hold or too_small(one.picture)]
    places = [
        (one.picture, corners, margins)
        for one in found
        if not (one.hold or too_small(one.picture))
        for corners, margins in face_regions(
            one.boxes, height=one.picture.height, width=one.picture.width, enlarge=enlarge
        )
    ]
    size: int | None = getattr(anonymizer, "size", None)
    crops = [_cut(picture, corners, size) for picture, corners, _ in places]
    faces = anonymize_crops(crops, anonymizer, margins=[margins for *_, margins in places])
    for (picture, corners, _), face in zip(places, faces, strict=True):
        _put(picture, corners, face)
    for one in whole:
        hide_whole(one.picture)
    return len(places)


def _cut(picture: Picture, corners: Corners, size: int | None) -> Tensor:
    """A face at the size the anonymizer works at, if the picture can resize it, else at its own."""
    if size is not None and isinstance(picture, Resizing):
        return picture.crop_to(corners, size)
    return picture.crop(corners)


def _put(picture: Picture, corners: Corners, face: Tensor) -> None:
    x0, y0, x1, y1 = corners
    if tuple(face.shape[1:]) != (y1 - y0, x1 - x0) and isinstance(picture, Resizing):
        picture.paste_from(corners, face)
    else:
        picture.paste(corners, face)


def too_small(picture: Picture) -> bool:
    """Whether a picture is too small for any face to be cut from it."""
    return min(picture.height, picture.width) < SMALLEST_FACE


def hide_whole(picture: Picture) -> None:
    """Exchanges a picture for 8 blocks of mean colour along its longer side; a tiny one for black.

    >>> import numpy as np
    >>> from anonlib.video.picture import RgbPicture
    >>> picture = RgbPicture(np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8))
    >>> hide_whole(picture)
    >>> len(np.unique(picture.array.reshape(-1, 3), axis=0))  # 8 x 4 blocks, 16:9
    32
    """
    height, width = picture.height, picture.width
    if too_small(picture):
        picture.paste((0, 0, width, height), torch.zeros(3, height, width))
        return
    blocks = picture.small(BLOCKS)
    rows, columns = blocks.shape[1:]
    for y in range(rows):
        y0, y1 = y * height // rows, (y + 1) * height // rows
        for x in range(columns):
            x0, x1 = x * width // columns, (x + 1) * width // columns
            colour = blocks[:, y, x, None, None]
            picture.paste((x0, y0, x1, y1), colour.expand(3, y1 - y0, x1 - x0))

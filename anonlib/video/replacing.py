"""Replaces the faces that were found in pictures, or hides a picture as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers import SMALLEST_FACE
from anonlib.anonymizers.frames import Corners, face_regions, read_regions
from anonlib.anonymizers.sessions import Session
from anonlib.config import ENLARGE
from anonlib.detection import Faces
from anonlib.geometry import box_iou
from anonlib.video.picture import Picture

P = TypeVar("P", bound=Picture)
BLOCKS = 8
"""Blocks along the longer side of a hidden picture, as coarse as the paper's strongest blur."""
DECIMALS = 2
"""Boxes are rounded to these, so that a file of boxes repeats a run exactly."""
SAME = 0.5
"""Smallest intersection over union of a box and a detection of the same face."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Generic[P]):
    """A picture and what must be hidden in it."""

    picture: P
    boxes: Tensor
    """`(n, 4)` float xyxy pixels of the picture, not enlarged, the least certain first."""
    tracks: list[int]
    """The number of the track of each box."""
    hold: bool = False
    """Whether the whole picture is hidden."""
    index: int = 0
    """The number of the picture in its file, from 0 on."""
    confidence: list[float | None] = field(default_factory=list)
    """Of each box, see `confidence_of`."""
    clear: frozenset[int] = frozenset()
    """The rows of the boxes that are left clear because somebody asked for it."""


def replace_faces(
    found: Sequence[Found[P]], method: Callable[[Tensor], Tensor] | Session, *, enlarge: float = ENLARGE
) -> int:
    """Replaces the faces of pictures in place, all in one batch, by a method or a session of it.

    Every crop is taken before the first is replaced. If the method fails, nothing is changed.
    Returns the number of faces replaced.

    Raises:
        ImageError: the method returned another shape.
        NumericError: the method returned NaN or infinity.
    """
    return read_faces(found, method, enlarge=enlarge)()


@torch.no_grad()
def read_faces(
    found: Sequence[Found[P]], method: Callable[[Tensor], Tensor] | Session, *, enlarge: float = ENLARGE
) -> Callable[[], int]:
    """The first step of `replace_faces`: cuts the faces out and reads them. The result is the second step.

    The pictures must not be changed in between. Another thread may do the second step.
    """
    regions = [
        (frame, region)
        for frame, one in enumerate(found)
        if not one.hold and not too_small(one.picture.height, one.picture.width)
        for region in face_regions(
            one.boxes, height=one.picture.height, width=one.picture.width, enlarge=enlarge
        )
        if region.row not in one.clear
    ]
    size: int | None = getattr(method, "size", None)
    crops = [found[frame].picture.crop(region.corners, size) for frame, region in regions]
    draw = read_regions(
        crops,
        method,
        regions=[region for _, region in regions],
        frames=[frame for frame, _ in regions],
        tracks=[found[frame].tracks[region.row] for frame, region in regions],
    )

    @torch.no_grad()
    def replace() -> int:
        for (frame, region), crop, face in zip(regions, crops, draw(), strict=True):
            corners = region.corners
            if isinstance(method, Session):  # it leaves most of a crop as it is
                corners, face = _changed(crop, face, corners)
            if face.numel():
                found[frame].picture.paste(corners, face)
        for one in found:
            if one.hold:
                hide_whole(one.picture)
        return len(regions)

    return replace


def _changed(before: Tensor, after: Tensor, corners: Corners) -> tuple[Corners, Tensor]:
    """The part of a crop `(3, h, w)` that has changed, between even pixels of the picture.

    These are where one value of chroma ends and the next begins.
    """
    x0, y0, _, _ = corners
    differs = (before.numpy() != after.cpu().numpy()).any(0)  # several times faster than in torch
    rows, columns = (np.flatnonzero(differs.any(axis)) for axis in (1, 0))
    if not len(rows):
        return (x0, y0, x0, y0), after[:, :0, :0]
    (top, bottom), (left, right) = (
        (max(0, low - (low + start) % 2), min(side, high + 1 + (high + 1 + start) % 2))
        for low, high, start, side in (
            (int(rows[0]), int(rows[-1]), y0, after.shape[1]),
            (int(columns[0]), int(columns[-1]), x0, after.shape[2]),
        )
    )
    return (x0 + left, y0 + top, x0 + right, y0 + bottom), after[:, top:bottom, left:right]


def confidence_of(boxes: Tensor, faces: Faces | None) -> list[float | None]:
    """How sure the detector was of each box `(n, 4)`: the best score of a detection at its place.

    0 if it found nothing there, so that the tracker alone says so; None if it did not run.

    >>> box = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    >>> one = Faces(boxes=box, scores=torch.tensor([0.9]), landmarks=torch.zeros(1, 5, 2))
    >>> [round(score, 1) for score in confidence_of(torch.cat([box, box + 50]), one)]
    [0.9, 0.0]
    """
    if faces is None:
        return [None] * len(boxes)
    if not len(faces) or not len(boxes):
        return [0.0] * len(boxes)
    there = box_iou(boxes, faces.boxes.detach().cpu().float()) >= SAME
    return (there * faces.scores.detach().cpu().float()).amax(1).tolist()


def hide_whole(picture: Picture) -> None:
    """Replaces a picture by 8 blocks of mean colour along its longer side.

    >>> import numpy as np
    >>> from anonlib.video.picture import ArrayPicture
    >>> picture = ArrayPicture(np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8))
    >>> hide_whole(picture)
    >>> len(np.unique(picture.array.reshape(-1, 3), axis=0))  # 8 x 4 blocks, 16:9
    32
    """
    height, width = picture.height, picture.width
    picture.paste((0, 0, width, height), F.interpolate(picture.small(BLOCKS)[None], (height, width))[0])


def note_size(height: int, width: int) -> list[str]:
    """What a report says of a picture of this size: words if it is too small, else nothing."""
    small = too_small(height, width)
    return [f"{width}x{height} pixels are too small to hold a face: copied as it is"] * small


def too_small(height: int, width: int) -> bool:
    """Whether no face can be found in, or cut from, a picture of this size."""
    return min(height, width) < SMALLEST_FACE

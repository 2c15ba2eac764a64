"""Anonymizes the faces of whole frames: v' = v - r_v + M(r_v)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers.sessions import Draw, Session, TwoSteps, enlarge_of, merge_overlaps, session_of
from anonlib.config import ENLARGE
from anonlib.errors import ImageError, NumericError
from anonlib.geometry import box_corners, clip_boxes, enlarge_boxes, resize

SMALLEST_FACE = 8
"""Pixels that a face must have along each side."""
Corners = tuple[int, int, int, int]
Margins = tuple[float, float, float, float]
"""How much of a face lies beyond the frame on the left, top, right and bottom, in sides of its crop."""
Padding = tuple[int, int, int, int]
"""The same in pixels on the left, right, top and bottom, as `F.pad` takes them."""
LARGEST_MARGIN = 4.0


class Region(NamedTuple):
    """The part of a frame that is cut out and replaced."""

    corners: Corners
    """Whole pixels inside the frame, at least 8 a side."""
    margins: Margins
    row: int
    """Index of its box."""


def anonymize_frames(
    frames: Tensor, face_boxes: list[Tensor], anonymizer: Callable[[Tensor], Tensor]
) -> Tensor:
    """Frames with every face region, enlarged 1.6x, replaced by its anonymized version.

    Every face is cut from the original frame, in whole pixels. Where two regions overlap, the
    later one is on top, so no pixel of a face keeps its original value. Regions under 8x8 pixels
    grow to 8x8; boxes outside the frame are ignored. A method with a `session` chooses the size of its
    regions, and draws another person for every face.

    Implements Ren et al., section 3.1 and 5.2. Differs from the paper: none.

    Frames are `(B, 3, H, W)` in [0, 1], at least 8 pixels a side, each with `(n_i, 4)` boxes, xyxy
    pixels, not enlarged.

    >>> from anonlib.anonymizers import create
    >>> box = torch.tensor([[10.0, 10.0, 20.0, 20.0]])  # 16x16 pixels when enlarged
    >>> hidden = anonymize_frames(torch.ones(1, 3, 32, 32), [box], create("mask"))
    >>> int((hidden == 0).sum()) == 3 * 16 * 16
    True
    """
    height, width = frames.shape[2:]
    if min(height, width) < SMALLEST_FACE:
        raise ImageError(f"frames of {height}x{width} pixels are too small to hold a face")
    if len(frames) > 1 and session_of(anonymizer) is not None:
        single = zip(frames.split(1), face_boxes, strict=True)
        return torch.cat([anonymize_frames(frame, [boxes], anonymizer) for frame, boxes in single])
    enlarge = enlarge_of(anonymizer)
    regions = [
        (frame, region)
        for frame, boxes in enumerate(face_boxes)
        for region in face_regions(boxes, height=height, width=width, enlarge=enlarge)
    ]
    modified = anonymize_regions(
        [frames[i][:, y0:y1, x0:x1] for i, ((x0, y0, x1, y1), *_) in regions],
        session_of(anonymizer) or anonymizer,
        regions=[region for _, region in regions],
        frames=[i for i, _ in regions],
        tracks=range(len(regions)),
    )
    out = frames.clone()
    for (i, ((x0, y0, x1, y1), *_)), face in zip(regions, modified, strict=True):
        out[i, :, y0:y1, x0:x1] = face.clamp(0, 1)
    return out


def face_regions(boxes: Tensor, *, height: int, width: int, enlarge: float = ENLARGE) -> list[Region]:
    """Enlarged boxes in whole pixels inside the frame, at least 8 a side, with their margins.

    Boxes are `(n, 4)` xyxy pixels; those outside the frame, of at least 8x8 pixels, are ignored.

    >>> face_regions(torch.tensor([[0.0, 10.0, 10.0, 20.0]]), height=30, width=40)
    [Region(corners=(0, 7, 13, 23), margins=(0.23, 0.0, 0.0, 0.0), row=0)]
    """
    whole = enlarge_boxes(boxes.reshape(-1, 4), enlarge)
    clipped = clip_boxes(whole, height=height, width=width)
    rows = (clipped[:, 2:] > clipped[:, :2]).all(dim=1).nonzero().flatten()
    regions = []
    for row, box, (x0, y0, x1, y1) in zip(
        rows.tolist(), whole[rows].tolist(), box_corners(clipped[rows]), strict=True
    ):
        (x0, x1), (y0, y1) = _at_least(x0, x1, width), _at_least(y0, y1, height)
        beyond = (
            -box[0] / (x1 - x0),
            -box[1] / (y1 - y0),
            (box[2] - width) / (x1 - x0),
            (box[3] - height) / (y1 - y0),
        )
        left, top, right, bottom = (round(min(max(b, 0.0), LARGEST_MARGIN), 2) for b in beyond)
        regions.append(Region((x0, y0, x1, y1), (left, top, right, bottom), row))
    return regions


def _at_least(low: int, high: int, limit: int) -> tuple[int, int]:
    """The span, enlarged about its middle to at least the smallest face, within 0..limit."""
    missing = SMALLEST_FACE - (high - low)
    if missing <= 0:
        return low, high
    low = min(max(low - missing // 2, 0), limit - SMALLEST_FACE)
    return low, low + SMALLEST_FACE


def anonymize_regions(
    crops: list[Tensor],
    method: Callable[[Tensor], Tensor] | Session,
    *,
    regions: Sequence[Region],
    frames: Sequence[int],
    tracks: Sequence[int],
) -> list[Tensor]:
    """Anonymized crops of the regions, in order and of the same shapes; see `read_regions`."""
    return read_regions(crops, method, regions=regions, frames=frames, tracks=tracks)()


def read_regions(
    crops: list[Tensor],
    method: Callable[[Tensor], Tensor] | Session,
    *,
    regions: Sequence[Region],
    frames: Sequence[int],
    tracks: Sequence[int],
) -> Draw:
    """Reads the regions by a method or by a session of it; the result anonymizes their crops.

    It returns them in order and of the same shapes. Unless the method is a `TwoSteps`, all the work is done
    then. Crops for a session keep their size; beyond the frame they repeat its border. A session changes only
    a part of each crop. Where two regions overlap, `merge_overlaps` decides which pixel is used.

    Args:
        crops: `(3, h, w)` in [0, 1], in order of time.
        frames: the frame of each region.
        tracks: the track of each region.

    Raises:
        ImageError: the method returned another shape or number of faces; raised by the result.
        NumericError: it returned NaN or infinity; raised by the result.
    """
    margins = [region.margins for region in regions]
    if not isinstance(method, Session):
        return partial(anonymize_crops, crops, method, margins=margins)
    if not crops:
        return list
    padding = [_padding(crop, m) for crop, m in zip(crops, margins, strict=True)]
    padded = [_padded(crop, p) for crop, p in zip(crops, padding, strict=True)]
    places = [
        (region.corners[0] - left, region.corners[1] - top)
        for region, (left, _, top, _) in zip(regions, padding, strict=True)
    ]
    if isinstance(method, TwoSteps):
        draw = method.read(padded, list(tracks), places)
    else:
        draw = partial(method.replace, padded, list(tracks), places)

    def anonymize() -> list[Tensor]:
        merged = merge_overlaps(padded, _checked(draw(), padded), corners=places, frames=frames)
        return [_cut(*each) for each in zip(merged, crops, padding, strict=True)]

    return anonymize


def _checked(modified: list[Tensor], crops: list[Tensor]) -> list[Tensor]:
    """What a session returned for these crops."""
    if [face.shape for face in modified] != [face.shape for face in crops]:
        raise ImageError("the session returned faces of other shapes: it must keep number and shapes")
    if not all(bool(torch.isfinite(face.sum())) for face in modified):
        raise NumericError("the anonymizer returned NaN or infinity")
    return modified


def anonymize_crops(
    crops: list[Tensor], anonymizer: Callable[[Tensor], Tensor], *, margins: Sequence[Margins]
) -> list[Tensor]:
    """Anonymized crops, `(3, h, w)` each, in [0, 1]; in order and of the same shapes.

    If the anonymizer has an attribute `size` (M), all crops are resized to it and form one batch. M
    expects the face in the middle. So a crop that was cut off at the border of the frame is first extended
    by the margins of `face_regions`, with the border repeated. Without `size`, crops of equal size form a
    batch.

    Raises:
        ImageError: the anonymizer returned another shape.
        NumericError: it returned NaN or infinity.
    """
    size = getattr(anonymizer, "size", None)
    if size is None:
        return _anonymize_whole(crops, anonymizer, size)
    padding = [_padding(crop, m) for crop, m in zip(crops, margins, strict=True)]
    padded = [_padded(crop, p) for crop, p in zip(crops, padding, strict=True)]
    modified = _anonymize_whole(padded, anonymizer, size)
    return [_cut(*each) for each in zip(modified, crops, padding, strict=True)]


def _padded(crop: Tensor, padding: Padding) -> Tensor:
    return F.pad(crop[None], padding, mode="replicate")[0] if any(padding) else crop


def _cut(face: Tensor, crop: Tensor, padding: Padding) -> Tensor:
    """The face without the padding of its crop."""
    left, _, top, _ = padding
    return face[:, top : top + crop.shape[1], left : left + crop.shape[2]]


def _padding(crop: Tensor, margins: Margins) -> Padding:
    height, width = crop.shape[1:]
    left, top, right, bottom = margins
    return round(left * width), round(right * width), round(top * height), round(bottom * height)


def _anonymize_whole(
    crops: list[Tensor], anonymizer: Callable[[Tensor], Tensor], size: int | None
) -> list[Tensor]:
    by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, crop in enumerate(crops):
        height, width = crop.shape[1:]
        by_size[(height, width) if size is None else (size, size)].append(index)
    out: dict[int, Tensor] = {}
    for shape, members in by_size.items():
        faces = torch.cat([resize(crops[i][None], shape) for i in members])
        modified = anonymizer(faces)
        if modified.shape != faces.shape:
            raise ImageError(
                f"the anonymizer returned shape {tuple(modified.shape)} for faces of shape "
                f"{tuple(faces.shape)}: it must keep their shape"
            )
        if not bool(torch.isfinite(modified).all()):
            raise NumericError("the anonymizer returned NaN or infinity")
        for i, face in zip(members, modified, strict=True):
            out[i] = resize(face[None], crops[i].shape[1:])[0].clamp(0, 1)
    return [out[i] for i in range(len(crops))]

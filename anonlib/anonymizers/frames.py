"""Anonymizes the faces of whole frames: v' = v - r_v + M(r_v)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.config import ENLARGE
from anonlib.errors import ImageError, NumericError
from anonlib.geometry import box_corners, clip_boxes, enlarge_boxes, resize

SMALLEST_FACE = 8
"""Pixels that a face must have along each side."""
Corners = tuple[int, int, int, int]
Margins = tuple[float, float, float, float]
"""How much of a face lies beyond the frame on the left, top, right and bottom, in sides of its crop."""
LARGEST_MARGIN = 4.0


def anonymize_frames(
    frames: Tensor, face_boxes: list[Tensor], anonymizer: Callable[[Tensor], Tensor]
) -> Tensor:
    """Frames with every face region, enlarged 1.6x, replaced by its anonymized version.

    Every face is cut from the original frame, in whole pixels. Where two regions overlap, the
    later one is on top, so no pixel of a face keeps its original value. Regions under 8x8 pixels
    grow to 8x8; boxes outside the frame are ignored.

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
    regions = [
        (frame, corners, margins)
        for frame, boxes in enumerate(face_boxes)
        for corners, margins in face_regions(boxes, height=height, width=width)
    ]
    modified = anonymize_crops(
        [frames[i][:, y0:y1, x0:x1] for i, (x0, y0, x1, y1), _ in regions],
        anonymizer,
        margins=[margins for _, _, margins in regions],
    )
    out = frames.clone()
    for (i, (x0, y0, x1, y1), _), face in zip(regions, modified, strict=True):
        out[i, :, y0:y1, x0:x1] = face
    return out


def face_regions(
    boxes: Tensor, *, height: int, width: int, enlarge: float = ENLARGE
) -> list[tuple[Corners, Margins]]:
    """Enlarged boxes in whole pixels inside the frame, at least 8 a side, with their margins.

    Boxes are `(n, 4)` xyxy pixels; those outside the frame, of at least 8x8 pixels, are ignored.

    >>> face_regions(torch.tensor([[0.0, 10.0, 10.0, 20.0]]), height=30, width=40)
    [((0, 7, 13, 23), (0.23, 0.0, 0.0, 0.0))]
    """
    whole = enlarge_boxes(boxes.reshape(-1, 4), enlarge)
    clipped = clip_boxes(whole, height=height, width=width)
    inside = (clipped[:, 2:] > clipped[:, :2]).all(dim=1)
    regions = []
    for box, (x0, y0, x1, y1) in zip(whole[inside].tolist(), box_corners(clipped[inside]), strict=True):
        (x0, x1), (y0, y1) = _at_least(x0, x1, width), _at_least(y0, y1, height)
        beyond = (
            -box[0] / (x1 - x0),
            -box[1] / (y1 - y0),
            (box[2] - width) / (x1 - x0),
            (box[3] - height) / (y1 - y0),
        )
        left, top, right, bottom = (round(min(max(b, 0.0), LARGEST_MARGIN), 2) for b in beyond)
        regions.append(((x0, y0, x1, y1), (left, top, right, bottom)))
    return regions


def _at_least(low: int, high: int, limit: int) -> tuple[int, int]:
    """The span grown about its middle to the smallest face, inside 0..limit."""
    missing = SMALLEST_FACE - (high - low)
    if missing <= 0:
        return low, high
    low = min(max(low - missing // 2, 0), limit - SMALLEST_FACE)
    return low, low + SMALLEST_FACE


def anonymize_crops(
    crops: list[Tensor], anonymizer: Callable[[Tensor], Tensor], *, margins: Sequence[Margins]
) -> list[Tensor]:
    """Anonymized crops, `(3, h, w)` each, in [0, 1]; in order and of the same shapes.

    Where the anonymizer has an attribute `size` (M), all crops are resized to it and form one
    batch. M expects the face in the middle, so what the border of the frame cut off, the margins of
    `face_regions`, is first filled by repeating the border. Without `size`, crops of equal size
    form a batch.

    Raises:
        ImageError: the anonymizer returned another shape.
        NumericError: it returned NaN or infinity.
    """
    size = getattr(anonymizer, "size", None)
    if size is None:
        return _anonymize_whole(crops, anonymizer, size)
    padding = [_padding(crop, m) for crop, m in zip(crops, margins, strict=True)]
    padded = [F.pad(c[None], p, mode="replicate")[0] for c, p in zip(crops, padding, strict=True)]
    modified = _anonymize_whole(padded, anonymizer, size)
    return [
        face[:, top : top + crop.shape[1], left : left + crop.shape[2]]
        for face, crop, (left, _, top, _) in zip(modified, crops, padding, strict=True)
    ]


def _padding(crop: Tensor, margins: Margins) -> tuple[int, int, int, int]:
    """Left, right, top and bottom margin in pixels, as `F.pad` takes them."""
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

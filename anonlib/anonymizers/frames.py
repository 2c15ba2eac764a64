"""Anonymizing the faces of whole frames: v' = v - r_v + M(r_v)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers import SMALLEST_FACE
from anonlib.config import ENLARGE
from anonlib.errors import ImageError, NumericError
from anonlib.geometry import box_corners, clip_boxes, enlarge_boxes

Corners = tuple[int, int, int, int]
Margins = tuple[float, float, float, float]
"""Left, top, right and bottom: what a frame's border cuts off a face, in sides of what is left."""
LARGEST_MARGIN = 4.0


def anonymize_frames(
    frames: Tensor, face_boxes: list[Tensor], anonymizer: Callable[[Tensor], Tensor]
) -> Tensor:
    """Frames with every face, enlarged 1.6x, exchanged for what the anonymizer makes of it.

    Every face is cut from the original frame at its own size in whole pixels. Where two overlap,
    the later one is on top, so that no pixel of a face keeps its original value. Boxes smaller
    than an anonymizer can take grow to 8x8 pixels inside the frame; those outside it are passed
    over.

    Implements Ren et al., section 3.1 and 5.2. Differs from the paper: none.

    Args:
        frames: `(B, 3, H, W)` in [0, 1], of 8 pixels or more a side.
        face_boxes: per frame `(n_i, 4)` xyxy pixels, not enlarged.
        anonymizer: faces `(N, 3, h, w)` to the same shape, see `anonlib.anonymizers.create`.

    Returns:
        `(B, 3, H, W)`; frames without a face are unchanged.

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
    """Enlarged boxes in whole pixels inside the frame, 8 or more a side, and their margins.

    Args:
        boxes: `(n, 4)` xyxy pixels, not enlarged; those outside the frame are passed over.
        height: rows of the frame, 8 or more.
        width: columns of the frame, 8 or more.
        enlarge: factor about the centre.

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
    crops: list[Tensor], anonymizer: Callable[[Tensor], Tensor], *, margins: Sequence[Margins] | None = None
) -> list[Tensor]:
    """Crops through the anonymizer, in the order they came.

    An anonymizer that works at one size says so by an attribute `size`: then all crops are
    resized to it and pass together, and come back at their own size. It expects the face in the
    middle, so what the frame's border cut off is made up by repeating the border. For others, the
    crops of one size pass together, as they are.

    Args:
        crops: `(3, h, w)` each, in [0, 1].
        anonymizer: faces `(N, 3, h, w)` to the same shape.
        margins: what is cut off each crop, see `face_regions`; None for nothing.

    Returns:
        As many images of the same shapes.

    Raises:
        ImageError: the anonymizer returned another shape.
        NumericError: it returned NaN or infinity.
    """
    size = getattr(anonymizer, "size", None)
    if size is None or margins is None:
        return _anonymize_whole(crops, anonymizer, size)
    padded = [_with_margins(crop, m) for crop, m in zip(crops, margins, strict=True)]
    modified = _anonymize_whole(padded, anonymizer, size)
    return [_without_margins(face, crop, m) for face, crop, m in zip(modified, crops, margins, strict=True)]


def _margin_pixels(crop: Tensor, margins: Margins) -> tuple[int, int, int, int]:
    """Left, right, top and bottom in pixels of the crop, as `F.pad` takes them."""
    height, width = crop.shape[1:]
    left, top, right, bottom = margins
    return round(left * width), round(right * width), round(top * height), round(bottom * height)


def _with_margins(crop: Tensor, margins: Margins) -> Tensor:
    pixels = _margin_pixels(crop, margins)
    return F.pad(crop[None], pixels, mode="replicate")[0] if any(pixels) else crop


def _without_margins(face: Tensor, crop: Tensor, margins: Margins) -> Tensor:
    left, _, top, _ = _margin_pixels(crop, margins)
    return face[:, top : top + crop.shape[1], left : left + crop.shape[2]]


def _anonymize_whole(
    crops: list[Tensor], anonymizer: Callable[[Tensor], Tensor], size: int | None
) -> list[Tensor]:
    by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, crop in enumerate(crops):
        by_size[tuple(crop.shape[1:]) if size is None else (size, size)].append(index)
    out: dict[int, Tensor] = {}
    for shape, members in by_size.items():
        faces = torch.stack([_resized(crops[i], shape) for i in members])
        for i, face in zip(members, _checked(anonymizer(faces), faces), strict=True):
            out[i] = _resized(face, tuple(crops[i].shape[1:])).clamp(0, 1)
    return [out[i] for i in range(len(crops))]


def _resized(face: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(face.shape[1:]) == size:
        return face
    return F.interpolate(face[None], list(size), mode="bilinear", antialias=True)[0]


def _checked(modified: Tensor, faces: Tensor) -> Tensor:
    """What an anonymizer returned, if it can stand for the faces."""
    if modified.shape != faces.shape:
        raise ImageError(
            f"the anonymizer made {tuple(modified.shape)} of faces {tuple(faces.shape)}: "
            "it must keep their shape"
        )
    if not bool(torch.isfinite(modified).all()):
        raise NumericError("the anonymizer returned NaN or infinity")
    return modified

"""Anonymizing the faces of whole frames: v' = v - r_v + M(r_v)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers import SMALLEST_FACE
from anonlib.config import ENLARGE
from anonlib.errors import ImageError, NumericError
from anonlib.geometry import box_corners, clip_boxes, enlarge_boxes

Corners = tuple[int, int, int, int]


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
    corners = [
        (frame, box)
        for frame, boxes in enumerate(face_boxes)
        for box in face_corners(boxes, height=height, width=width)
    ]
    modified = anonymize_crops([frames[i][:, b[1] : b[3], b[0] : b[2]] for i, b in corners],
                                anonymizer)  # fmt: skip
    out = frames.clone()
    for (i, (x0, y0, x1, y1)), face in zip(corners, modified, strict=True):
        out[i, :, y0:y1, x0:x1] = face
    return out


def face_corners(
    boxes: Tensor, *, height: int, width: int, enlarge: float = ENLARGE
) -> list[Corners]:
    """Enlarged boxes in whole pixels inside the frame, none under 8 pixels a side.

    Args:
        boxes: `(n, 4)` xyxy pixels, not enlarged; those outside the frame are passed over.
        height: rows of the frame, 8 or more.
        width: columns of the frame, 8 or more.
        enlarge: factor about the centre.

    >>> face_corners(torch.tensor([[10.0, 10.0, 20.0, 20.0]]), height=30, width=40)
    [(7, 7, 23, 23)]
    """
    enlarged = clip_boxes(enlarge_boxes(boxes.reshape(-1, 4), enlarge), height=height, width=width)
    inside = (enlarged[:, 2:] > enlarged[:, :2]).all(dim=1)
    corners = []
    for x0, y0, x1, y1 in box_corners(enlarged[inside]):
        (x0, x1), (y0, y1) = _at_least(x0, x1, width), _at_least(y0, y1, height)
        corners.append((x0, y0, x1, y1))
    return corners


def _at_least(low: int, high: int, limit: int) -> tuple[int, int]:
    """The span grown about its middle to the smallest face, inside 0..limit."""
    missing = SMALLEST_FACE - (high - low)
    if missing <= 0:
        return low, high
    low = min(max(low - missing // 2, 0), limit - SMALLEST_FACE)
    return low, low + SMALLEST_FACE


def anonymize_crops(crops: list[Tensor], anonymizer: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """Crops through the anonymizer, in the order they came.

    An anonymizer that works at one size says so by an attribute `size`: then all crops are
    resized to it and pass together, and come back at their own size. For others, the crops of
    one size pass together.

    Args:
        crops: `(3, h, w)` each, in [0, 1].
        anonymizer: faces `(N, 3, h, w)` to the same shape.

    Returns:
        As many images of the same shapes.

    Raises:
        ImageError: the anonymizer returned another shape.
        NumericError: it returned NaN or infinity.
    """
    size = getattr(anonymizer, "size", None)
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

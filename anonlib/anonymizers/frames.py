"""Anonymizing the faces of whole frames: v' = v - r_v + M(r_v)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor

from anonlib.anonymizers import SMALLEST_FACE
from anonlib.config import ENLARGE
from anonlib.errors import ImageError
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
        for box in _face_corners(boxes, height=height, width=width)
    ]
    modified = _anonymize_crops([frames[i][:, b[1] : b[3], b[0] : b[2]] for i, b in corners],
                                anonymizer)  # fmt: skip
    out = frames.clone()
    for (i, (x0, y0, x1, y1)), face in zip(corners, modified, strict=True):
        out[i, :, y0:y1, x0:x1] = face
    return out


def _face_corners(boxes: Tensor, *, height: int, width: int) -> list[Corners]:
    """Enlarged boxes in whole pixels inside the frame, none under 8 pixels a side."""
    enlarged = clip_boxes(enlarge_boxes(boxes.reshape(-1, 4), ENLARGE), height=height, width=width)
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


def _anonymize_crops(crops: list[Tensor], anonymizer: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """Crops through the anonymizer, those of one size together; in the order they came."""
    by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, crop in enumerate(crops):
        by_size[tuple(crop.shape)].append(index)
    out: dict[int, Tensor] = {}
    for members in by_size.values():
        modified = anonymizer(torch.stack([crops[i] for i in members]))
        out.update(zip(members, modified, strict=True))
    return [out[i] for i in range(len(crops))]

"""Boxes, 5-point alignment, and differentiable crop and paste.

Boxes are float xyxy pixels with exclusive end. Landmarks are `(N, 5, 2)` xy pixels: left eye, right
eye, nose, left and right corner of the mouth, left and right as seen in the image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.config import ENLARGE

_SPHEREFACE = torch.tensor(
    [[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041]],
    dtype=torch.float64,
)
"""Landmarks of SphereFace's aligned face, 96 pixels wide and 112 high."""
ALIGNED_SIZE = (112, 96)
"""Height and width of an aligned face."""
CANONICAL_LANDMARKS = torch.tensor(
    [[0.3913, 0.45], [0.6087, 0.45], [0.5, 0.5736], [0.4114, 0.7009], [0.5914, 0.7009]]
)
"""`(5, 2)` landmarks in a canonical face crop of side 1."""


def enlarge_boxes(boxes: Tensor, factor: float = ENLARGE) -> Tensor:
    """Boxes `(N, 4)` enlarged about their centres.

    Implements Ren et al., section 5.2. Differs from the paper: none.

    >>> enlarge_boxes(torch.tensor([[10.0, 10.0, 20.0, 30.0]]))
    tensor([[ 7.,  4., 23., 36.]])
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * factor
    return torch.cat([centre - half, centre + half], dim=1)


def clip_boxes(boxes: Tensor, *, height: int, width: int) -> Tensor:
    """Boxes `(N, 4)` rounded outward to whole pixels and clipped to the frame.

    >>> clip_boxes(torch.tensor([[-3.0, 1.2, 7.5, 20.0]]), height=10, width=10)
    tensor([[ 0.,  1.,  8., 10.]])
    """
    boxes = torch.cat([boxes[:, :2].floor(), boxes[:, 2:].ceil()], dim=1)
    limit = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), limit)


def similarity_transform(source: Tensor, target: Tensor) -> Tensor:
    """Least-squares rotation, uniform scale and shift that map source points to target points.

    The source is `(N, K, 2)`, the target `(K, 2)` or `(N, K, 2)`. Returns `(N, 2, 3)` matrices A with
    `target ~ A[:, :, :2] @ source + A[:, :, 2]`.

    >>> square = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]])
    >>> similarity_transform(square, 2 * square + 3)[0].round(decimals=4) + 0.0
    tensor([[2., 0., 3.],
            [0., 2., 3.]])
    """
    target = target.expand_as(source)
    mean_s, mean_t = source.mean(1, keepdim=True), target.mean(1, keepdim=True)
    s, t = source - mean_s, target - mean_t
    norm = s.square().sum((1, 2)).clamp(min=1e-12)
    a = (s * t).sum((1, 2)) / norm
    b = (s[..., 0] * t[..., 1] - s[..., 1] * t[..., 0]).sum(1) / norm
    linear = torch.stack([torch.stack([a, -b], 1), torch.stack([b, a], 1)], 1)
    shift = mean_t.transpose(1, 2) - linear @ mean_s.transpose(1, 2)
    return torch.cat([linear, shift], dim=2)


def warp_affine(images: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """Images `(N, C, H, W)` transformed by affine matrices, `(N, C, height, width)`; differentiable.

    The matrices `(N, 2, 3)` map pixels of the images to pixels of the result. Outside the images it is black.
    """
    height, width = size
    ys = torch.arange(height, dtype=images.dtype, device=images.device) + 0.5
    xs = torch.arange(width, dtype=images.dtype, device=images.device) + 0.5
    target = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), dim=-1).reshape(1, -1, 2)
    inverse = torch.linalg.inv(matrices[:, :, :2])
    source = (target - matrices[:, None, :, 2]) @ inverse.transpose(1, 2)
    scale = source.new_tensor([2 / images.shape[3], 2 / images.shape[2]])
    grid = (source * scale - 1).reshape(-1, height, width, 2)
    return F.grid_sample(images, grid, align_corners=False)


def align_faces(images: Tensor, landmarks: Tensor, size: tuple[int, int] = ALIGNED_SIZE) -> Tensor:
    """Faces aligned by five landmarks for SphereFace.

    Implements Ren et al., section 4, Face Identity Classification: a grid generator and sampler
    without learned parameters, so that gradients pass through the crop to M.
    Differs from the paper: none at 112x96; other sizes scale the template.

    Takes images `(N, 3, H, W)` and their landmarks `(N, 5, 2)`. Returns faces `(N, 3, height, width)`.
    """
    template = _SPHEREFACE.to(landmarks) * landmarks.new_tensor([size[1] / 96, size[0] / 112])
    matrices = similarity_transform(landmarks, template).to(images.dtype)
    return warp_affine(images, matrices, size)


def resize(images: Tensor, size: Sequence[int]) -> Tensor:
    """Images `(N, C, H, W)` at another height and width, bilinear with an antialiasing filter."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return F.interpolate(images, list(size), mode="bilinear", antialias=True)


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes `(n, 4)` and `(m, 4)`, `(n, m)`, as torchvision computes it.

    Importing torchvision takes longer than all the rest of `anonlib anonymize`.

    >>> boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.0], [5.0, 5.0, 6.0, 6.0]])
    >>> box_iou(boxes[:1], boxes)
    tensor([[1.0000, 0.5000, 0.0000]])
    """
    low, high = torch.maximum(a[:, None, :2], b[:, :2]), torch.minimum(a[:, None, 2:], b[:, 2:])
    both = (high - low).clamp(min=0).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b)]
    return both / (areas[0][:, None] + areas[1] - both)


def nms(boxes: Tensor, scores: Tensor, overlap: float) -> Tensor:
    """Rows of the boxes `(n, 4)` that overlap no kept box of a higher score by more (IoU), best first.

    >>> boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9], [5.0, 5.0, 6.0, 6.0]])
    >>> nms(boxes, torch.tensor([0.5, 0.9, 0.4]), 0.3)
    tensor([1, 2])
    """
    kept, rows = [], scores.argsort(descending=True, stable=True)
    while len(rows):
        best, rows = rows[0], rows[1:]
        kept.append(best)
        rows = rows[~(box_iou(boxes[best][None], boxes[rows])[0] > overlap)]
    return torch.stack(kept) if kept else rows


def box_corners(boxes: Tensor) -> list[tuple[int, int, int, int]]:
    """Boxes as integers (x0, y0, x1, y1), for slicing."""
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in boxes.tolist()]


def crop_boxes(frames: Tensor, boxes: list[Tensor], size: int) -> Tensor:
    """The face regions r_v of frames `(B, C, H, W)`, resized bilinearly; differentiable.

    Each frame has `(n_i, 4)` whole-pixel boxes, which lie at least partly inside it. Beyond the frame its
    border is repeated. Returns the crops of all frames in order, `(n_1 + ... + n_B, C, size, size)`.
    """
    crops = [
        F.interpolate(_cut(frame, corners), (size, size), mode="bilinear", antialias=True)
        for frame, frame_boxes in zip(frames, boxes, strict=True)
        for corners in box_corners(frame_boxes)
    ]
    return torch.cat(crops) if crops else frames.new_zeros(0, frames.shape[1], size, size)


def _cut(frame: Tensor, corners: tuple[int, int, int, int]) -> Tensor:
    """`(1, 3, h, w)`: a part of a frame `(3, H, W)`, whose border is repeated beyond it."""
    (x0, y0, x1, y1), (height, width) = corners, frame.shape[1:]
    inside = frame[None, :, max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    beyond = [max(-x0, 0), max(x1 - width, 0), max(-y0, 0), max(y1 - height, 0)]
    return F.pad(inside, beyond, mode="replicate") if any(beyond) else inside


def paste_boxes(frames: Tensor, faces: Tensor, boxes: list[Tensor]) -> Tensor:
    """v' = v - r_v + M(r_v): frames with every region replaced by a face; differentiable in both.

    Implements Ren et al., section 3.1. Differs from the paper: faces with a fourth channel, the opacity in
    [0, 1], are laid over the frame.

    Faces are `(N, 3, S, S)` or `(N, 4, S, S)`, with the boxes and in the order of `crop_boxes`. What lies
    beyond the frame is dropped. Where boxes overlap, the later face is on top.

    Raises:
        ValueError: there are more or fewer faces than boxes.
    """
    if len(faces) != sum(len(frame_boxes) for frame_boxes in boxes):
        raise ValueError(f"{len(faces)} faces for {sum(map(len, boxes))} boxes")
    out, remaining = [], iter(faces)
    for frame, frame_boxes in zip(frames, boxes, strict=True):
        if len(frame_boxes):
            frame = frame.clone()
        for corners in box_corners(frame_boxes):
            _paste(frame, next(remaining), corners)
        out.append(frame)
    return torch.stack(out)


def _paste(frame: Tensor, face: Tensor, corners: tuple[int, int, int, int]) -> None:
    """Lays a face `(3 or 4, S, S)` over a part of a frame `(3, H, W)`, in place."""
    x0, y0, x1, y1 = corners
    face = F.interpolate(face[None], (y1 - y0, x1 - x0), mode="bilinear", antialias=True)[0]
    face = face[:, max(-y0, 0) : frame.shape[1] - y0, max(-x0, 0) : frame.shape[2] - x0]
    place = frame[:, max(y0, 0) : y1, max(x0, 0) : x1]
    place.copy_(face if len(face) == 3 else torch.lerp(place.clone(), face[:3], face[3:]))

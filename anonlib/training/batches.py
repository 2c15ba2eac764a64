"""Batches of face images F and of video frames V, drawn by the number of the step.

The batch of a step depends on the seed and the step alone, so a resumed run sees exactly the
batches of an uninterrupted one and no sampler state has to be saved.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from anonlib.data.types import ActionFrames, FaceImages
from anonlib.geometry import clip_boxes, enlarge_boxes


@dataclass(frozen=True, slots=True)
class FaceBatch:
    """Face images f and identity labels i_f."""

    images: Tensor
    """`(B, 3, S, S)` in [0, 1]."""
    labels: Tensor
    """`(B,)` int64."""
    landmarks: Tensor
    """`(B, 5, 2)` xy pixels."""


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """Video frames v with their boxes b, labels t and the enlarged face regions r_v."""

    frames: Tensor
    """`(B, 3, H, W)` in [0, 1]."""
    boxes: list[Tensor]
    """Per frame `(n, 4)` action boxes."""
    labels: list[Tensor]
    """Per frame `(n,)` action classes from 0."""
    regions: list[Tensor]
    """Per frame `(k, 4)` whole-pixel boxes of the enlarged faces, inside the frame."""


def face_regions(face_boxes: list[Tensor], *, height: int, width: int) -> list[Tensor]:
    """Enlarged face boxes in whole pixels inside the frame; those without area are dropped."""
    regions = [clip_boxes(enlarge_boxes(b), height=height, width=width) for b in face_boxes]
    return [r[(r[:, 2] > r[:, 0]) & (r[:, 3] > r[:, 1])] for r in regions]


def _draw(count: int, size: int, *, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Indices of a step's samples and which of them are mirrored."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    indices = torch.randint(count, (size,), generator=generator)
    return indices, torch.rand(size, generator=generator) < 0.5


def face_batch(
    faces: FaceImages, size: int, *, seed: int, step: int, device: torch.device | str = "cpu"
) -> FaceBatch:
    """The face batch of a step; half of the faces are mirrored."""
    indices, flip = _draw(len(faces), size, seed=seed, step=step)
    images = faces.images[indices].float() / 255
    landmarks = faces.landmarks[indices]
    images = torch.where(flip[:, None, None, None], images.flip(3), images)
    mirrored = landmarks[:, [1, 0, 2, 4, 3]] * torch.tensor([-1.0, 1.0])
    mirrored[..., 0] += images.shape[3]
    landmarks = torch.where(flip[:, None, None], mirrored, landmarks)
    channels_last = images.contiguous(memory_format=torch.channels_last)
    return FaceBatch(
        channels_last.to(device), faces.labels[indices].to(device), landmarks.to(device)
    )


def mirror_boxes(boxes: Tensor, width: int) -> Tensor:
    """Boxes of the mirrored frame; `(N, 4)` to `(N, 4)`.

    >>> mirror_boxes(torch.tensor([[1.0, 2.0, 4.0, 8.0]]), width=10)
    tensor([[6., 2., 9., 8.]])
    """
    x0, y0, x1, y1 = boxes.unbind(1)
    return torch.stack([width - x1, y0, width - x0, y1], dim=1)


def frame_batch(
    data: ActionFrames, size: int, *, seed: int, step: int, device: torch.device | str = "cpu"
) -> FrameBatch:
    """The frame batch of a step; half of the frames are mirrored."""
    indices, flip = _draw(len(data), size, seed=seed, step=step)
    frames = data.frames[indices].float() / 255
    frames = torch.where(flip[:, None, None, None], frames.flip(3), frames)
    height, width = frames.shape[2:]

    def pick(boxes: list[Tensor]) -> list[Tensor]:
        chosen = zip(indices.tolist(), flip.tolist(), strict=True)
        return [mirror_boxes(boxes[i], width) if mirror else boxes[i] for i, mirror in chosen]

    regions = face_regions(pick(data.face_boxes), height=height, width=width)
    return FrameBatch(
        frames.contiguous(memory_format=torch.channels_last).to(device),
        [b.to(device) for b in pick(data.boxes)],
        [data.labels[i].to(device) for i in indices.tolist()],
        regions,
    )

"""Batches of face images F and of video frames V.

The batch of a step depends on the seed and the step alone, so that a resumed run sees the batches of an
uninterrupted one. Where processes train together, each draws the whole batch and reads only its part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

import torch
from torch import Tensor

from anonlib.ahead import ahead
from anonlib.geometry import enlarge_boxes
from anonlib.training.processes import part, world_size
from anonlib.types import ActionFrames, FaceImages

Batch = TypeVar("Batch")


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
    """Per frame `(k, 4)` whole-pixel boxes of the enlarged faces, at least partly inside the frame."""


def face_batch(
    faces: FaceImages, size: int, *, seed: int, step: int, device: torch.device | str = "cpu"
) -> FaceBatch:
    """The face batch of a step, `size` faces for each process; half of them are mirrored."""
    indices, flip = _draw(len(faces), size, seed=seed, step=step)
    images = _to_float(faces.images[indices], flip, device)
    landmarks = faces.landmarks[indices]
    mirrored = landmarks[:, [1, 0, 2, 4, 3]] * torch.tensor([-1.0, 1.0])
    mirrored[..., 0] += images.shape[3]
    landmarks = torch.where(flip[:, None, None], mirrored, landmarks)
    return FaceBatch(images, send(faces.labels[indices], device), send(landmarks, device))


def frame_batch(
    data: ActionFrames, size: int, *, seed: int, step: int, device: torch.device | str = "cpu"
) -> FrameBatch:
    """The frame batch of a step, `size` frames for each process; half of them are mirrored."""
    indices, flip = _draw(len(data), size, seed=seed, step=step)
    height, width = data.frames.shape[2:]

    def pick(boxes: list[Tensor]) -> list[Tensor]:
        chosen = zip(indices.tolist(), flip.tolist(), strict=True)
        return [mirror_boxes(boxes[i], width) if mirror else boxes[i] for i, mirror in chosen]

    regions = face_regions(pick(data.face_boxes), height=height, width=width)
    return FrameBatch(
        _to_float(data.frames[indices], flip, device),
        [send(b, device) for b in pick(data.boxes)],
        [send(data.labels[i], device) for i in indices.tolist()],
        regions,
    )


def frames_drawn(total: int, size: int, *, seed: int, steps: int) -> Tensor:
    """Which of `total` frames the batches of so many steps hold; `(n,)` ascending indices."""
    drawn = [_draw(total, size, seed=seed, step=step)[0] for step in range(steps)]
    return torch.cat(drawn).unique() if drawn else torch.zeros(0, dtype=torch.int64)


def _draw(total: int, size: int, *, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Indices of this process's samples in the batch of a step, and which of them are mirrored."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    indices = torch.randint(total, (world_size() * size,), generator=generator)
    flip = torch.rand(world_size() * size, generator=generator) < 0.5
    return indices[part(size)], flip[part(size)]


def _to_float(pixels: Tensor, flip: Tensor, device: torch.device | str) -> Tensor:
    """uint8 images as floats in [0, 1], mirrored where asked, channels last."""
    images = send(pixels, device).float() / 255  # sent to the device as bytes, a quarter of the floats
    mirrored = send(flip, device)[:, None, None, None]
    images = torch.where(mirrored, images.flip(3), images)
    return images.contiguous(memory_format=torch.channels_last)


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on a device; the copy to a GPU runs in the background."""
    if torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def mirror_boxes(boxes: Tensor, width: int) -> Tensor:
    """Boxes of the mirrored frame; `(N, 4)` to `(N, 4)`.

    >>> mirror_boxes(torch.tensor([[1.0, 2.0, 4.0, 8.0]]), width=10)
    tensor([[6., 2., 9., 8.]])
    """
    x0, y0, x1, y1 = boxes.unbind(1)
    return torch.stack([width - x1, y0, width - x0, y1], dim=1)


def face_regions(face_boxes: list[Tensor], *, height: int, width: int) -> list[Tensor]:
    """Enlarged face boxes rounded outward to whole pixels; those empty or outside the frame are dropped."""
    kept = []
    for boxes in face_boxes:
        low, high = enlarge_boxes(boxes).split(2, dim=1)
        low, high = low.floor(), high.ceil()
        inside = (low < low.new_tensor([width, height])) & (high > 0) & (high > low)
        kept.append(torch.cat([low, high], dim=1)[inside.all(dim=1)])
    return kept


def batches(make: Callable[[int], Batch], device: torch.device | str) -> Callable[[int], Batch]:
    """Batches by number, to be asked for one after the other: first any number, then the next ones.

    For a GPU a thread makes the next batch during a step. On a CPU a thread would slow the training down.
    """
    if torch.device(device).type != "cuda":
        return make
    prepared: list[Iterator[Batch]] = []

    def batch(number: int) -> Batch:
        if not prepared:
            prepared.append(ahead(map(make, count(number)), depth=1))
        return next(prepared[0])

    return batch

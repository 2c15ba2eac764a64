"""Frames never seen twice alike, for datasets of a few hundred clips: nearer, in another light."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.geometry import clip_boxes
from anonlib.training.batches import FrameBatch

NEAREST = 1.5
"""Largest zoom."""
LEAST_VISIBLE = 0.6
"""Share of every action box that a zoom must leave in the frame."""


def augment_frames(batch: FrameBatch) -> FrameBatch:
    """Zooms into each frame by a factor of 1 to 1.5 and changes brightness and colour.

    Random numbers are the global ones, which `run_steps` seeds by the step. Face regions are not
    moved: it is for frames whose faces have been modified already.

    Differs from the paper: which names no augmentation.
    """
    zoomed = [_zoom(frame, boxes) for frame, boxes in zip(batch.frames, batch.boxes, strict=True)]
    frames = relight(torch.stack([frame for frame, _ in zoomed]))
    return replace(
        batch,
        frames=frames.contiguous(memory_format=torch.channels_last),
        boxes=[boxes for _, boxes in zoomed],
    )


def relight(frames: Tensor) -> Tensor:
    """`(B, 3, H, W)` in [0, 1] with another gain for each frame and shift for each channel."""
    count = len(frames)
    gain = 1 + 0.25 * torch.randn(count, 1, 1, 1, device=frames.device)
    shift = 0.1 * torch.randn(count, 3, 1, 1, device=frames.device)
    return (frames * gain + shift).clamp(0, 1)


def _zoom(frame: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """A random window of `(3, H, W)` at full size, or the frame itself if a box would be lost."""
    height, width = frame.shape[1:]
    zoom = float(torch.empty(()).uniform_(1.0, NEAREST))
    h, w = int(height / zoom), int(width / zoom)
    y, x = int(torch.randint(height - h + 1, ())), int(torch.randint(width - w + 1, ()))
    scale = boxes.new_tensor([width / w, height / h] * 2)
    moved = (boxes - boxes.new_tensor([x, y, x, y])) * scale
    inside = clip_boxes(moved, height=height, width=width)
    if (_areas(inside) < LEAST_VISIBLE * _areas(moved)).any():
        return frame, boxes
    window = frame[None, :, y : y + h, x : x + w]
    return F.interpolate(window, (height, width), mode="bilinear")[0], inside


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)

"""Training of the action detector A alone: Algorithm 1, lines 10-11, and the same for every baseline."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_area

from anonlib.config import TrainingConfig
from anonlib.geometry import clip_boxes
from anonlib.networks import ActionDetector
from anonlib.training.batches import FrameBatch, batches, frame_batch
from anonlib.training.loop import History, RunOptions, TrainingState, training_steps
from anonlib.training.precision import layers_in
from anonlib.training.processes import gradient_step, rank
from anonlib.types import ActionFrames

LARGEST_ZOOM = 1.5
LEAST_VISIBLE = 0.6
"""Share of every action box that a zoom must leave in the frame."""


def train_detector(
    detector: ActionDetector,
    frames: ActionFrames,
    config: TrainingConfig,
    *,
    steps: int,
    seed: int,
    name: str = "detector A",
    **options: Unpack[RunOptions],
) -> History:
    """Trains A in place on frames whose faces were modified beforehand; M and D stay as they are.

    Implements Ren et al., Algorithm 1, lines 10-11: arg min_A L_det.
    Differs from the paper: none.

    Args:
        frames: training frames v', already modified.
        steps: number of updates, T2.
        name: label of the progress bar.
        options: see `RunOptions`.

    Returns:
        The four losses of Faster R-CNN, every ten steps.
    """
    optimizer = torch.optim.Adam(detector.parameters(), lr=config.detector_lr, betas=config.betas, fused=True)
    state = TrainingState(modules={"detector": detector.train()}, optimizers={"optimizer": optimizer})
    device = next(detector.parameters()).device
    batch_of = batches(lambda n: frame_batch(frames, config.frames, seed=seed, step=n, device=device), device)
    with layers_in(config.precision, detector):
        for step, losses in training_steps(
            state, name=name, steps=steps, seed=seed, lr_drop=config.lr_drop, settings=config, **options
        ):
            batch = batch_of(step)
            if config.augment:
                torch.manual_seed(torch.initial_seed() + 500_009 * rank())  # other zooms in each process
                batch = augment_frames(batch)
            found = detector.losses(batch.frames, batch.boxes, batch.labels)
            gradient_step(torch.stack(list(found.values())).sum(), optimizer)
            losses |= {key: value.detach() for key, value in found.items()}
    return state.history


def augment_frames(batch: FrameBatch) -> FrameBatch:
    """Zooms into each frame by a factor of 1 to 1.5 and changes brightness and colour.

    Uses PyTorch's global random numbers. Face regions are not moved: the faces must be modified before.

    Differs from the paper: the paper names no augmentation.
    """
    zoomed = [_zoom(frame, boxes) for frame, boxes in zip(batch.frames, batch.boxes, strict=True)]
    frames = relight(torch.stack([frame for frame, _ in zoomed]))
    return replace(
        batch,
        frames=frames.contiguous(memory_format=torch.channels_last),
        boxes=[boxes for _, boxes in zoomed],
    )


def relight(frames: Tensor) -> Tensor:
    """`(B, 3, H, W)` in [0, 1] with a random gain for each frame and a random shift for each channel."""
    count = len(frames)
    gain = 1 + 0.25 * torch.randn(count, 1, 1, 1, device=frames.device)
    shift = 0.1 * torch.randn(count, 3, 1, 1, device=frames.device)
    return (frames * gain + shift).clamp(0, 1)


def _zoom(frame: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """A random window of `(3, H, W)` at full size, or the frame itself if a box would be lost."""
    height, width = frame.shape[1:]
    zoom = float(torch.empty(()).uniform_(1.0, LARGEST_ZOOM))
    h, w = int(height / zoom), int(width / zoom)
    y, x = int(torch.randint(height - h + 1, ())), int(torch.randint(width - w + 1, ()))
    scale = boxes.new_tensor([width / w, height / h] * 2)
    moved = (boxes - boxes.new_tensor([x, y, x, y])) * scale
    inside = clip_boxes(moved, height=height, width=width)
    if (box_area(inside) < LEAST_VISIBLE * box_area(moved)).any():
        return frame, boxes
    window = frame[None, :, y : y + h, x : x + w]
    return F.interpolate(window, (height, width), mode="bilinear")[0], inside

"""Training of the action detector A alone: Algorithm 1, lines 10-11, and the same for every baseline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.config import TrainingConfig, to_dict
from anonlib.geometry import clip_boxes
from anonlib.networks import ActionDetector
from anonlib.training.batches import FrameBatch, batches, frame_batch
from anonlib.training.loop import History, Report, TrainingState, training_steps
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
    checkpoint: Path | None = None,
    progress: bool = True,
    report: Report | None = None,
) -> History:
    """Trains A on frames whose faces were modified beforehand; M and D stay as they are.

    Implements Ren et al., Algorithm 1, lines 10-11: arg min_A L_det.
    Differs from the paper: none.

    Args:
        detector: A, trained in place.
        frames: training frames v', already modified.
        config: batch size, learning rate and augmentation.
        steps: number of updates, T2.
        seed: of batches.
        name: label of the progress bar.
        checkpoint: file to resume from and to save to.
        progress: whether to show a progress bar.
        report: called with each row of the losses as it is logged.

    Returns:
        The four losses of Faster R-CNN, every ten steps.
    """
    optimizer = torch.optim.Adam(detector.parameters(), lr=config.detector_lr, betas=config.betas)
    state = TrainingState(modules={"detector": detector.train()}, optimizers={"optimizer": optimizer})
    device = next(detector.parameters()).device
    batch_of = batches(lambda n: frame_batch(frames, config.frames, seed=seed, step=n, device=device), device)
    with layers_in(config.precision, detector):
        for step, losses in training_steps(
            state,
            name=name,
            steps=steps,
            seed=seed,
            lr_drop=config.lr_drop,
            checkpoint=checkpoint,
            progress=progress,
            report=report,
            settings=to_dict(config),
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

    For datasets of a few hundred clips. Uses PyTorch's global random numbers. Face regions are not moved, so
    the faces must have been modified before.

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
    if (_areas(inside) < LEAST_VISIBLE * _areas(moved)).any():
        return frame, boxes
    window = frame[None, :, y : y + h, x : x + w]
    return F.interpolate(window, (height, width), mode="bilinear")[0], inside


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)

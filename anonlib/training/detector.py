"""Training of the action detector A by itself: phase 2 of Algorithm 1 and every baseline."""

from __future__ import annotations

from pathlib import Path

import torch

from anonlib.config import TrainingConfig, to_dict
from anonlib.networks import ActionDetector
from anonlib.training.augmentation import augment_frames
from anonlib.training.batches import batches, frame_batch
from anonlib.training.loop import History, Losses, Report, Trainee, run_steps
from anonlib.training.processes import ALONE, Team, descend
from anonlib.types import ActionFrames


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
    team: Team = ALONE,
) -> History:
    """Trains A on frames whose faces were modified beforehand; M and D stay as they are.

    Implements Ren et al., Algorithm 1, lines 10-11: arg min_A L_det.
    Differs from the paper: none.

    Args:
        detector: A, trained in place.
        frames: training frames v', already modified.
        config: batch size and learning rate.
        steps: number of updates, T2.
        seed: of batches.
        name: label of the progress bar.
        checkpoint: file to save to and resume from.
        progress: whether to show a progress bar.
        report: called with each row of the losses as it is logged, to watch the training.
        team: the processes that train together, each with a batch of its own.

    Returns:
        The four losses of Faster R-CNN, every ten steps.
    """
    optimizer = torch.optim.Adam(detector.parameters(), lr=config.detector_lr, betas=config.betas)
    device = next(detector.parameters()).device

    frame = batches(
        lambda n: frame_batch(frames, config.frames, seed=seed, step=n, device=device, team=team), device
    )

    def update(step: int) -> Losses:
        batch = frame(step)
        with team.own_draws():
            batch = augment_frames(batch) if config.augment else batch
        losses = detector.losses(batch.frames, batch.boxes, batch.labels)
        descend(torch.stack(list(losses.values())).sum(), optimizer, team=team)
        return {key: value.detach() for key, value in losses.items()}

    trainee = Trainee(modules={"detector": detector}, optimizers={"optimizer": optimizer})
    detector.train()
    return run_steps(
        trainee,
        update,
        name=name,
        steps=steps,
        seed=seed,
        lr_drop=config.lr_drop,
        checkpoint=checkpoint,
        progress=progress,
        report=report,
        team=team,
        precision=config.precision,
        settings=to_dict(config),
    )

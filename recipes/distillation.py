"""Trains a face classifier D on the features of another recogniser instead of on labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.networks import SphereFace
from anonlib.training.loop import History, TrainingState, training_steps
from anonlib.training.processes import gradient_step

FEATURE_LENGTH = 16.0
"""Target length of the features, which suits later training with A-Softmax."""


def distillation_loss(features: Tensor, taught: Tensor) -> Tensor:
    """Squared distance to the teacher's directions at length 16, relative to that length.

    Args:
        features: `(B, F)` from D.
        taught: `(B, F)` of the teacher, centred; only their directions count.

    Returns:
        A scalar.

    >>> distillation_loss(torch.tensor([[16.0, 0.0]]), torch.tensor([[2.0, 0.0]])).item()
    0.0
    """
    target = FEATURE_LENGTH * F.normalize(taught, dim=1)
    return (features - target).square().sum(dim=1).mean() / FEATURE_LENGTH**2


def distil_classifier(
    classifier: SphereFace,
    batch: Callable[[int], tuple[Tensor, Tensor]],
    *,
    steps: int,
    lr: float,
    lr_drop: float = 0.75,
    seed: int,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> History:
    """Trains D to give a face the same feature direction as a teacher network.

    Differs from the paper: the paper starts D from weights trained on CASIA-WebFace. Here D learns the
    features of a recogniser that was trained on millions of faces.

    Args:
        classifier: D, trained in place.
        batch: from the number of the step to aligned faces `(B, 3, h, w)` in [0, 1] and the
            teacher's centred features `(B, F)`, F that of D.
        steps: number of updates.
        lr: Adam learning rate.
        lr_drop: fraction of the steps after which it falls to a tenth.
        seed: of the random numbers inside a step.
        checkpoint: file to save to and resume from.
        progress: whether to show a progress bar.

    Returns:
        The loss, every ten steps.
    """
    optimizer = torch.optim.Adam(classifier.parameters(), lr=lr)
    state = TrainingState(modules={"classifier": classifier.train()}, optimizers={"optimizer": optimizer})
    for step, losses in training_steps(
        state,
        name="classifier D, taught",
        steps=steps,
        seed=seed,
        lr_drop=lr_drop,
        checkpoint=checkpoint,
        progress=progress,
    ):
        aligned, taught = batch(step)
        loss = distillation_loss(classifier(aligned).float(), taught)
        gradient_step(loss, optimizer)
        losses["distillation"] = loss.detach()
    return state.history

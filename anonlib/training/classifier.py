"""Training of the face classifier D alone: on clear faces before Algorithm 1, later on modified ones."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from anonlib.config import TrainingConfig, to_dict
from anonlib.geometry import align_faces
from anonlib.losses import angular_softmax_loss, annealing
from anonlib.networks import SphereFace
from anonlib.training.batches import FaceBatch, batches, face_batch
from anonlib.training.loop import History, Report, TrainingState, training_steps
from anonlib.training.precision import layers_in
from anonlib.training.processes import gradient_step
from anonlib.types import FaceImages


def identification_loss(classifier: SphereFace, images: Tensor, batch: FaceBatch, *, anneal: float) -> Tensor:
    """L_D of aligned faces.

    Args:
        classifier: D.
        images: `(B, 3, S, S)` in [0, 1], the clear or the modified faces of the batch.
        batch: with landmarks and labels.
        anneal: weight of the plain cosine in A-Softmax.

    Returns:
        `(B,)` losses; gradients reach `images`.
    """
    aligned = align_faces(images, batch.landmarks, classifier.config.size)
    return angular_softmax_loss(
        classifier(aligned),
        classifier.identities,
        batch.labels,
        margin=classifier.config.margin,
        anneal=anneal,
    )


def train_classifier(
    classifier: SphereFace,
    faces: FaceImages,
    config: TrainingConfig,
    *,
    seed: int,
    age: int = 0,
    checkpoint: Path | None = None,
    progress: bool = True,
    report: Report | None = None,
) -> History:
    """Trains D to classify faces, clear or modified beforehand.

    Implements Ren et al., section 5.1, Face Recognition.
    Differs from the paper: Adam instead of SphereFace's SGD, with its own learning rate.

    Args:
        classifier: D, trained in place.
        faces: training images F.
        config: step count, half of the batch size, and learning rate.
        seed: of batches.
        age: updates of D before this training; the annealing of A-Softmax continues from there.
        checkpoint: file to resume from and to save to.
        progress: whether to show a progress bar.
        report: called with each row of the losses as it is logged.

    Returns:
        The loss, every ten steps.
    """
    optimizer = torch.optim.Adam(classifier.parameters(), lr=config.pretrain_lr)
    state = TrainingState(modules={"classifier": classifier.train()}, optimizers={"optimizer": optimizer})
    device = classifier.identities.device
    batch_of = batches(
        lambda n: face_batch(faces, 2 * config.faces, seed=seed, step=n, device=device), device
    )
    with layers_in(config.precision, classifier):
        for step, losses in training_steps(
            state,
            name="classifier D",
            steps=config.classifier_steps,
            seed=seed,
            lr_drop=config.lr_drop,
            checkpoint=checkpoint,
            progress=progress,
            report=report,
            settings=to_dict(config),
        ):
            batch, anneal = batch_of(step), annealing(age + step)
            loss = identification_loss(classifier, batch.images, batch, anneal=anneal).mean()
            gradient_step(loss, optimizer)
            losses["classifier"] = loss.detach()
    return state.history

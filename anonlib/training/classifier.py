"""Training of the face classifier D by itself: before the game, or anew on modified faces."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from anonlib.config import TrainingConfig, to_dict
from anonlib.geometry import align_faces
from anonlib.losses import angular_softmax_loss, annealing
from anonlib.networks import SphereFace
from anonlib.training.batches import FaceBatch, batches, face_batch
from anonlib.training.loop import History, Losses, Report, Trainee, run_steps
from anonlib.training.processes import ALONE, Team, descend
from anonlib.types import FaceImages


def identification_loss(classifier: SphereFace, images: Tensor, batch: FaceBatch, *, anneal: float) -> Tensor:
    """L_D of aligned faces, one value a face.

    Args:
        classifier: D.
        images: `(B, 3, S, S)` in [0, 1], the clear or the modified faces of the batch.
        batch: where the landmarks and labels come from.
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
    team: Team = ALONE,
) -> History:
    """Trains D to classify faces, clear ones or ones that were anonymized beforehand.

    Implements Ren et al., section 5.1, Face Recognition.
    Differs from the paper: Adam with a learning rate of its own instead of SphereFace's SGD.

    Args:
        classifier: D, trained in place.
        faces: training images F.
        config: step count, batch size and learning rate.
        seed: of batches.
        age: updates behind D already; the annealing of A-Softmax counts on from there.
        checkpoint: file to save to and resume from.
        progress: whether to show a progress bar.
        report: called with each row of the losses as it is logged.
        team: the processes that train together, each with a batch of its own.

    Returns:
        The loss, every ten steps.
    """
    optimizer = torch.optim.Adam(classifier.parameters(), lr=config.pretrain_lr)
    device = classifier.identities.device

    face = batches(
        lambda n: face_batch(faces, 2 * config.faces, seed=seed, step=n, device=device, team=team), device
    )

    def update(step: int) -> Losses:
        batch = face(step)
        loss = identification_loss(classifier, batch.images, batch, anneal=annealing(age + step)).mean()
        descend(loss, optimizer, team=team)
        return {"classifier": loss.detach()}

    trainee = Trainee(modules={"classifier": classifier}, optimizers={"optimizer": optimizer})
    classifier.train()
    return run_steps(
        trainee,
        update,
        name="classifier D",
        steps=config.classifier_steps,
        seed=seed,
        lr_drop=config.lr_drop,
        checkpoint=checkpoint,
        progress=progress,
        report=report,
        team=team,
        precision=config.precision,
        settings=to_dict(config),
    )

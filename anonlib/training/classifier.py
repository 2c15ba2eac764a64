"""Training of the face classifier D alone: on clear faces before Algorithm 1, later on modified ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

import torch
from torch import Tensor

from anonlib.config import TrainingConfig
from anonlib.geometry import align_faces
from anonlib.losses import angular_softmax_loss, annealing
from anonlib.networks import SphereFace
from anonlib.training.batches import FaceBatch, batches, face_batch
from anonlib.training.loop import History, RunOptions, TrainingState, training_steps
from anonlib.training.precision import layers_in
from anonlib.training.processes import gradient_step
from anonlib.types import FaceImages


def identification_loss(
    classifier: SphereFace,
    images: Tensor,
    batch: FaceBatch,
    *,
    anneal: float,
    loss: Callable[..., Tensor] = angular_softmax_loss,
) -> Tensor:
    """L_D of aligned faces; `(B,)`. Gradients reach `images`.

    Args:
        images: `(B, 3, S, S)` in [0, 1], the clear or the modified faces of the batch.
        batch: gives their landmarks and labels.
        anneal: weight of the plain cosine in A-Softmax.
        loss: computes L_D; its arguments are those of `angular_softmax_loss`.
    """
    aligned = align_faces(images, batch.landmarks, classifier.config.size)
    return loss(
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
    loss: Callable[..., Tensor] = angular_softmax_loss,
    **options: Unpack[RunOptions],
) -> History:
    """Trains D in place to classify faces, clear or modified beforehand; returns the loss every ten steps.

    Implements Ren et al., section 5.1, Face Recognition.
    Differs from the paper: Adam instead of SphereFace's SGD, with its own learning rate.

    Args:
        config: its `faces` are half of the batch.
        age: updates of D before this training; the annealing of A-Softmax continues from there.
        loss: computes L_D; its arguments are those of `angular_softmax_loss`.
        options: see `RunOptions`.
    """
    optimizer = torch.optim.Adam(classifier.parameters(), lr=config.pretrain_lr, fused=True)
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
            settings=config,
            **options,
        ):
            batch, anneal = batch_of(step), annealing(age + step)
            value = identification_loss(classifier, batch.images, batch, anneal=anneal, loss=loss).mean()
            gradient_step(value, optimizer)
            losses["classifier"] = value.detach()
    return state.history

"""Algorithm 1, lines 1-9: M learns to fool D, D learns to recognise modified faces, A learns the actions.

| paper            | here                                             |
|------------------|--------------------------------------------------|
| f, i_f           | `faces.images`, `faces.labels`                   |
| v, b(v), t(v)    | `frames.frames`, `frames.boxes`, `frames.labels` |
| r_v              | `crop_boxes(frames.frames, frames.regions)`      |
| v' = v - r_v + M(r_v) | `paste_boxes(...)`                          |
| L_adv            | `classifier_loss` for D, `modifier_loss` for M   |
| L_det            | `detector.losses(...)`, summed                   |
| lambda L_l1      | `photorealistic_loss(..., weight=l1_weight)`     |
| T1, T2           | `adversarial_steps`, `detector_steps`            |

Lines 10-11 (T2 updates of A alone) are `anonlib.training.detector`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor
from torch.optim import Adam

from anonlib.config import TrainingConfig
from anonlib.files import first_process
from anonlib.geometry import crop_boxes, paste_boxes
from anonlib.losses import annealing, classifier_loss, modifier_loss, photorealistic_loss
from anonlib.networks import ActionDetector, Modifier, SphereFace
from anonlib.training.batches import FaceBatch, FrameBatch, batches, face_batch, frame_batch
from anonlib.training.classifier import identification_loss
from anonlib.training.loop import (
    BestState,
    History,
    Losses,
    RunOptions,
    TrainingState,
    fixed_random_numbers,
    training_steps,
)
from anonlib.training.precision import layers_in
from anonlib.training.processes import gather, gradient_step, part, world_size
from anonlib.types import ActionFrames, FaceImages


@dataclass(slots=True)
class Players:
    """M, D and A."""

    modifier: Modifier
    classifier: SphereFace
    detector: ActionDetector


def train_adversarially(
    players: Players,
    faces: FaceImages,
    frames: ActionFrames,
    config: TrainingConfig,
    *,
    seed: int,
    validate: Callable[[], float] | None = None,
    name: str = "Algorithm 1",
    look: Callable[[int], None] | None = None,
    **options: Unpack[RunOptions],
) -> History:
    """T1 iterations; each updates D, and then M and A, in place. D should be pre-trained.

    Implements Ren et al., Algorithm 1, lines 1-9.
    Differs from the paper: the paper trains until the losses converge. Ours oscillate, so we evaluate M on
    validation people every `judge_every` iterations and keep the best state of M and D. A stays as it is
    after T1 updates. D may be updated several times an iteration (`classifier_updates`). Eq. (3) may
    compare M(f) with the face that M drew before Algorithm 1 (`l1_target`).

    Args:
        faces: face images F with identities.
        frames: video frames V with actions and face boxes.
        validate: returns the validation score of M and D as they are; lower is better. It must not use test
            data. None keeps the last state.
        name: label of the progress bar.
        look: called in the first process with the number of each iteration that is done, to draw pictures.
        options: see `RunOptions`.

    Returns:
        The losses every ten iterations.
    """
    M, D, A = players.modifier.train(), players.classifier.train(), players.detector.train()
    optimizer_m = Adam(M.parameters(), lr=config.modifier_lr, betas=config.betas, fused=True)
    optimizer_d = Adam(D.parameters(), lr=config.classifier_lr, betas=config.betas, fused=True)
    optimizer_a = Adam(A.parameters(), lr=config.detector_lr, betas=config.betas, fused=True)
    best, start = BestState({"M": M, "D": D}), starting_copy(M, config)
    state = TrainingState(
        modules={"M": M, "D": D, "A": A, **start},
        optimizers={"M optimizer": optimizer_m, "D optimizer": optimizer_d, "A optimizer": optimizer_a},
        best=best,
    )
    device = D.identities.device
    f_batch = batches(lambda n: face_batch(faces, config.faces, seed=seed, step=n, device=device), device)
    v_batch = batches(lambda n: frame_batch(frames, config.frames, seed=seed, step=n, device=device), device)
    with layers_in(config.precision, M, D, A, *start.values()):
        for t, losses in training_steps(  # line 1
            state,
            name=name,
            steps=config.adversarial_steps,
            seed=seed,
            lr_drop=config.adversarial_lr_drop,
            settings=config,
            **options,
        ):
            anneal = annealing(config.classifier_age + t)
            for k in range(config.classifier_updates):
                f = f_batch(t * config.classifier_updates + k)
                # line 2; D's update does not change M, so line 9 uses it too
                modified, target = modify_faces(M, f.images, start.get("M start"))
                losses |= update_classifier(
                    players, optimizer_d, f, config, anneal=anneal, modified=modified.detach()
                )
            v = v_batch(t)
            losses |= update_modifier_and_detector(
                players,
                (optimizer_m, optimizer_a),
                f,
                v,
                config,
                anneal=anneal,
                modified=modified,
                target=target,
            )
            if validate is not None and (t + 1) % config.judge_every == 0:
                best.offer(gather(validate())[0])  # rounding may differ between processes
            if look is not None and first_process():
                look(t)
    best.restore()
    return state.history


def starting_copy(modifier: Modifier, config: TrainingConfig) -> dict[str, Modifier]:
    """A copy of M before Algorithm 1, as `M start`, if Eq. (3) needs it (`l1_target`); else nothing."""
    if config.l1_target == "original":
        return {}
    return {"M start": copy.deepcopy(modifier).requires_grad_(False)}


def modify_faces(modifier: Modifier, faces: Tensor, start: Modifier | None) -> tuple[Tensor, Tensor]:
    """M(f) and what Eq. (3) compares it with: f, or M(f) of `start` with the same random numbers."""
    if start is None:
        return modifier(faces), faces
    seed = int(torch.randint(2**31, ()))
    with fixed_random_numbers(seed, faces.device):
        modified = modifier(faces)
    with fixed_random_numbers(seed, faces.device), torch.no_grad():
        return modified, start(faces)


def update_classifier(
    players: Players,
    optimizer: Adam,
    faces: FaceBatch,
    config: TrainingConfig,
    *,
    anneal: float,
    modified: Tensor | None = None,
) -> Losses:
    """Line 3: arg max_D L_adv(M, D, F).

    Only D changes. `anneal` is the weight of the plain cosine in A-Softmax; `modified` is M(f), if known.
    """
    if modified is None:
        with torch.no_grad():
            modified = players.modifier(faces.images)
    on_modified = identification_loss(players.classifier, modified, faces, anneal=anneal)
    on_clear = identification_loss(players.classifier, faces.images, faces, anneal=anneal)
    gradient_step(classifier_loss(on_modified, on_clear, clear_weight=config.clear_weight), optimizer)
    return {"D modified": on_modified.detach().mean(), "D clear": on_clear.detach().mean()}


def update_modifier_and_detector(
    players: Players,
    optimizers: tuple[Adam, Adam],
    faces: FaceBatch,
    frames: FrameBatch,
    config: TrainingConfig,
    *,
    anneal: float,
    modified: Tensor | None = None,
    target: Tensor | None = None,
) -> Losses:
    """Line 9: arg min_{M, A} L_det(M, A, V) + L_adv(M, D, F) + lambda L_l1(M, F).

    M and A change, by their `optimizers`. `modified` is M(f) with its graph, if known. `target` is what
    Eq. (3) compares it with, by default f.
    """
    modified = players.modifier(faces.images) if modified is None else modified
    players.classifier.requires_grad_(False)  # gradients pass through D to M; D itself needs none
    adversarial = fool_classifier(players, modified, faces, config, anneal=anneal)
    players.classifier.requires_grad_(True)
    l1 = photorealistic_loss(modified, faces.images if target is None else target, weight=config.l1_weight)
    seen = modify_frames(players.modifier, frames.frames, frames.regions)
    if config.objective == "identification":
        seen = seen.detach()
    detection = torch.stack(list(players.detector.losses(seen, frames.boxes, frames.labels).values())).sum()
    gradient_step(detection + adversarial + l1, *optimizers)
    return {"L_det": detection.detach(), "L_adv": adversarial.detach(), "L_l1": l1.detach()}


def fool_classifier(
    players: Players, modified: Tensor, faces: FaceBatch, config: TrainingConfig, *, anneal: float
) -> Tensor:
    """L_adv for M: ascent on the true identity's loss, or descent on that of a random identity.

    With objective `detection` it has no gradient.
    """
    if config.objective != "random_label":
        modified = modified.detach() if config.objective == "detection" else modified
        losses = identification_loss(players.classifier, modified, faces, anneal=anneal)
        return modifier_loss(losses, ceiling=config.adversarial_ceiling)
    people, count = len(players.classifier.identities), len(faces.labels)
    labels = torch.randint(people, (world_size() * count,))[part(count)]
    faces = FaceBatch(faces.images, labels.to(faces.labels.device), faces.landmarks)
    return identification_loss(players.classifier, modified, faces, anneal=anneal).mean()


def modify_frames(modifier: Modifier, frames: Tensor, regions: list[Tensor]) -> Tensor:
    """Lines 5-8: v' = v - r_v + M(r_v); frames without a face stay as they are."""
    crops = crop_boxes(frames, regions, modifier.config.size)
    return paste_boxes(frames, modifier.layer(crops), regions) if len(crops) else frames

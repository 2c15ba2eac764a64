"""Algorithm 1, lines 1-9: the face modifier M against the face classifier D, with A watching.

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

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Adam

from anonlib.config import TrainingConfig, to_dict
from anonlib.geometry import crop_boxes, paste_boxes
from anonlib.losses import annealing, classifier_loss, modifier_loss, photorealistic_loss
from anonlib.networks import ActionDetector, LiteModifier, Modifier, SphereFace
from anonlib.training.batches import FaceBatch, FrameBatch, batches, face_batch, frame_batch
from anonlib.training.classifier import identification_loss
from anonlib.training.loop import BestState, History, Losses, Report, Trainee, run_steps
from anonlib.training.processes import ALONE, Team, descend
from anonlib.types import ActionFrames, FaceImages


@dataclass(slots=True)
class Players:
    """M, D and A."""

    modifier: Modifier | LiteModifier
    classifier: SphereFace
    detector: ActionDetector


def update_classifier(
    players: Players,
    optimizer: Adam,
    faces: FaceBatch,
    config: TrainingConfig,
    *,
    anneal: float,
    team: Team = ALONE,
    modified: Tensor | None = None,
) -> Losses:
    """Line 3: arg max_D L_adv(M, D, F); `modified` is M(f) where that is there already."""
    if modified is None:
        with torch.no_grad():
            modified = players.modifier(faces.images)
    on_modified = identification_loss(players.classifier, modified, faces, anneal=anneal)
    on_clear = identification_loss(players.classifier, faces.images, faces, anneal=anneal)
    loss = classifier_loss(on_modified, on_clear, clear_weight=config.clear_weight)
    descend(loss, optimizer, team=team)
    return {"D modified": on_modified.detach().mean(), "D clear": on_clear.detach().mean()}


def fool_classifier(
    players: Players,
    modified: Tensor,
    faces: FaceBatch,
    config: TrainingConfig,
    *,
    anneal: float,
    team: Team = ALONE,
) -> Tensor:
    """L_adv for M: ascent on the true identity's loss, or descent towards a random identity's."""
    if config.objective == "ascent":
        losses = identification_loss(players.classifier, modified, faces, anneal=anneal)
        return modifier_loss(losses, ceiling=config.adversarial_ceiling)
    people, count = len(players.classifier.identities), len(faces.labels)
    labels = torch.randint(people, (team.size * count,))[team.part(count)]
    faces = FaceBatch(faces.images, labels.to(faces.labels.device), faces.landmarks)
    return identification_loss(players.classifier, modified, faces, anneal=anneal).mean()


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Gradients pass through the network inside the `with` block; its weights get none."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def modify_frames(modifier: Modifier | LiteModifier, frames: Tensor, regions: list[Tensor]) -> Tensor:
    """Lines 5-8: v' = v - r_v + M(r_v); frames without a face stay as they are."""
    crops = crop_boxes(frames, regions, modifier.config.size)
    return paste_boxes(frames, modifier(crops), regions) if len(crops) else frames


def update_modifier_and_detector(
    players: Players,
    optimizers: tuple[Adam, Adam],
    faces: FaceBatch,
    frames: FrameBatch,
    config: TrainingConfig,
    *,
    anneal: float,
    team: Team = ALONE,
    modified: Tensor | None = None,
) -> Losses:
    """Line 9: arg min_{M, A} L_det(M, A, V) + L_adv(M, D, F) + lambda L_l1(M, F)."""
    modified = players.modifier(faces.images) if modified is None else modified
    with frozen(players.classifier):
        adversarial = fool_classifier(players, modified, faces, config, anneal=anneal, team=team)
    l1 = photorealistic_loss(modified, faces.images, weight=config.l1_weight)
    seen = modify_frames(players.modifier, frames.frames, frames.regions)
    detection = torch.stack(list(players.detector.losses(seen, frames.boxes, frames.labels).values())).sum()
    descend(detection + adversarial + l1, *optimizers, team=team)
    return {"L_det": detection.detach(), "L_adv": adversarial.detach(), "L_l1": l1.detach()}


def train_adversarially(
    players: Players,
    faces: FaceImages,
    frames: ActionFrames,
    config: TrainingConfig,
    *,
    seed: int,
    judge: Callable[[], float] | None = None,
    name: str = "Algorithm 1",
    checkpoint: Path | None = None,
    progress: bool = True,
    report: Report | None = None,
    look: Callable[[int], None] | None = None,
    team: Team = ALONE,
) -> History:
    """T1 iterations of alternating updates of D and of M and A.

    Implements Ren et al., Algorithm 1, lines 1-9.
    Differs from the paper: which stops when the loss terms converge; ours circle each other, so
    of the states that a judge was shown, M and D end in the one it liked best. D may be updated
    several times an iteration (`config.classifier_updates`); once in the shipped profiles.

    Args:
        players: M, D and A, trained in place; D should be pre-trained.
        faces: face images F with identities.
        frames: video frames V with actions and face boxes.
        config: step counts, weights and learning rates.
        seed: of batches.
        judge: called every `config.judge_every` iterations; the state in which it returned the
            lowest value is kept. It must look at no test data. None keeps the last state.
        name: label of the progress bar.
        checkpoint: file to save to and resume from.
        progress: whether to show a progress bar.
        report: called with each row of the losses as it is logged, to watch the training.
        look: called by the first process with each step that is done, to look at M.
        team: the processes that train together; `config` holds what each of them takes, so the
            batch grows with their number.

    Returns:
        The losses every ten iterations.
    """
    modifier_optimizer = Adam(players.modifier.parameters(), lr=config.modifier_lr, betas=config.betas)
    classifier_optimizer = Adam(players.classifier.parameters(), lr=config.classifier_lr, betas=config.betas)
    detector_optimizer = Adam(players.detector.parameters(), lr=config.detector_lr, betas=config.betas)
    device = players.classifier.identities.device

    face = batches(
        lambda n: face_batch(faces, config.faces, seed=seed, step=n, device=device, team=team), device
    )
    frame = batches(
        lambda n: frame_batch(frames, config.frames, seed=seed, step=n, device=device, team=team), device
    )

    def iteration(step: int) -> Losses:
        losses: Losses = {}
        anneal = annealing(config.classifier_age + step)
        for k in range(config.classifier_updates):
            f = face(step * config.classifier_updates + k)
            modified = players.modifier(f.images)  # once: D's update leaves M as it is
            losses |= update_classifier(
                players, classifier_optimizer, f, config, anneal=anneal, team=team, modified=modified.detach()
            )
        v = frame(step)
        optimizers = (modifier_optimizer, detector_optimizer)
        losses |= update_modifier_and_detector(
            players, optimizers, f, v, config, anneal=anneal, team=team, modified=modified
        )
        if judge is not None and (step + 1) % config.judge_every == 0:
            best.offer(team.agree(judge(), device))
        if look is not None and team.first:
            look(step)
        return losses

    best = BestState({"M": players.modifier, "D": players.classifier})
    trainee = Trainee(
        modules={"M": players.modifier, "D": players.classifier, "A": players.detector},
        optimizers={
            "M optimizer": modifier_optimizer,
            "D optimizer": classifier_optimizer,
            "A optimizer": detector_optimizer,
        },
        best=best,
    )
    for network in (players.modifier, players.classifier, players.detector):
        network.train()
    history = run_steps(
        trainee,
        iteration,
        name=name,
        steps=config.adversarial_steps,
        seed=seed,
        lr_drop=config.adversarial_lr_drop,
        checkpoint=checkpoint,
        progress=progress,
        report=report,
        team=team,
        precision=config.precision,
        settings=to_dict(config),
    )
    best.restore()
    return history

"""Algorithm 1 on real faces, with more adversaries than D. It made `modifier-lite`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from anonlib.config import TrainingConfig
from anonlib.geometry import align_faces
from anonlib.losses import annealing, critic_loss, photorealistic_loss, realism_loss
from anonlib.networks import SphereFace
from anonlib.training.algorithm1 import Players, fool_classifier, modify_frames, update_classifier
from anonlib.training.batches import FaceBatch, frame_batch
from anonlib.training.loop import History, Losses, Report, TrainingState, training_steps
from anonlib.types import ActionFrames


def identity_margin_loss(modified: Tensor, original: Tensor, *, margin: float = 0.0) -> Tensor:
    """Mean excess of the cosine between a modified face and its original over a margin.

    Differs from the paper: the paper has no such term. D changes while M is trained; this term also
    penalises M against a recogniser that does not change.

    Args:
        modified: `(B, F)` features of M(f).
        original: `(B, F)` features of f.
        margin: cosine up to which two faces count as two people.

    Returns:
        A scalar, at least 0.

    >>> import torch
    >>> f = torch.tensor([[2.0, 0.0]])
    >>> identity_margin_loss(f, f, margin=0.25).item(), identity_margin_loss(-f, f).item()
    (0.75, 0.0)
    """
    return F.relu(F.cosine_similarity(modified, original) - margin).mean()


def crowd_loss(modified: Tensor) -> Tensor:
    """1 - the mean cosine between modified faces and the direction of their sum.

    0 when all modified faces look like one person to the recogniser. The idea of k-Same (Newton,
    Sweeney and Malin, 2005) in feature space.

    Differs from the paper: the paper has no such term.

    Args:
        modified: `(B, F)` features of M(f).

    >>> import torch
    >>> crowd_loss(torch.tensor([[1.0, 0.0], [3.0, 0.0]])).item()
    0.0
    """
    directions = F.normalize(modified, dim=1)
    return 1 - F.cosine_similarity(directions, directions.sum(dim=0, keepdim=True)).mean()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adversaries:
    """Networks that M is trained against besides D."""

    recognizer: SphereFace
    """D before adversarial training; it is not trained."""
    critic: nn.Module
    """Faces to one value a patch; it is trained."""
    margin: float = 0.0
    """Cosine up to which M(f) and f count as two people."""
    margin_weight: float = 1.0
    crowd_weight: float = 1.0
    realism_weight: float = 0.1


def still_features(recognizer: SphereFace, images: Tensor, landmarks: Tensor) -> Tensor:
    """`(B, F)` features of randomly shifted faces, half of the time at half the resolution.

    So M must change the face; a fixed adversarial pattern does not survive.
    """
    shaken = landmarks + torch.randn_like(landmarks[:, :1])
    aligned = align_faces(images, shaken, recognizer.config.size)
    if torch.rand(()) < 0.5:
        aligned = F.interpolate(F.avg_pool2d(aligned, 2), aligned.shape[2:], mode="bilinear")
    return recognizer(aligned)


def update_critic(critic: nn.Module, optimizer: Adam, modified: Tensor, faces: FaceBatch) -> Losses:
    """One update of the critic, which learns to tell f from M(f)."""
    loss = critic_loss(critic(faces.images), critic(modified.detach()))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return {"critic": loss.detach()}


def further_terms(adversaries: Adversaries, modified: Tensor, faces: FaceBatch) -> Losses:
    """Weighted loss terms of the fixed recogniser and of the critic on M(f)."""
    with torch.no_grad():
        known = still_features(adversaries.recognizer, faces.images, faces.landmarks)
    hidden = still_features(adversaries.recognizer, modified, faces.landmarks)
    margin = identity_margin_loss(hidden, known, margin=adversaries.margin)
    return {
        "margin": adversaries.margin_weight * margin,
        "crowd": adversaries.crowd_weight * crowd_loss(hidden),
        "realism": adversaries.realism_weight * realism_loss(adversaries.critic(modified)),
    }


def _in_training(networks: Mapping[str, nn.Module], optimizers: Mapping[str, Adam]) -> TrainingState:
    """Networks in training mode and their optimizers, as `training_steps` needs them."""
    for network in networks.values():
        network.train()
    return TrainingState(
        modules=networks,
        optimizers={f"{name} optimizer": optimizer for name, optimizer in optimizers.items()},
    )


def train_to_redraw(
    modifier: nn.Module,
    critic: nn.Module,
    faces: Callable[[int], FaceBatch],
    config: TrainingConfig,
    *,
    steps: int,
    realism_weight: float,
    seed: int,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> History:
    """Trains M to redraw faces, before adversarial training.

    Implements Ren et al., Eq. (3), without the adversarial terms.
    Differs from the paper: the paper has no such step and no critic.

    Args:
        modifier: M, trained in place.
        critic: faces to one value a patch, trained in place.
        faces: from the number of the iteration to its batch.
        config: weight of the L1 term and learning rate.
        steps: number of updates.
        realism_weight: weight of the critic's term.
        seed: of the random numbers inside a step.
        checkpoint: file to save to and resume from.
        progress: whether to show a progress bar.

    Returns:
        The losses every ten iterations.
    """
    networks = {"M": modifier, "critic": critic}
    optimizers = {
        name: Adam(network.parameters(), lr=config.modifier_lr, betas=config.betas)
        for name, network in networks.items()
    }

    def iteration(step: int) -> Losses:
        f = faces(step)
        modified = modifier(f.images)
        losses = update_critic(critic, optimizers["critic"], modified, f)
        l1 = photorealistic_loss(modified, f.images, weight=config.l1_weight)
        realism = realism_weight * realism_loss(critic(modified))
        optimizers["M"].zero_grad(set_to_none=True)
        (l1 + realism).backward()
        optimizers["M"].step()
        return losses | {"L_l1": l1.detach(), "realism": realism.detach()}

    state = _in_training(networks, optimizers)
    for step, losses in training_steps(
        state, name="M alone", steps=steps, seed=seed, lr_drop=1.0, checkpoint=checkpoint, progress=progress
    ):
        losses |= iteration(step)
    return state.history


def train_on_real_faces(
    players: Players,
    adversaries: Adversaries,
    faces: Callable[[int], FaceBatch],
    frames: ActionFrames,
    config: TrainingConfig,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: bool = True,
    report: Report | None = None,
) -> History:
    """Trains D, the critic, M and A in turn.

    Implements Ren et al., Algorithm 1, lines 1-9.
    Differs from the paper: M also minimises the terms of `Adversaries`. D starts from distilled weights
    and has a quarter of M's learning rate. L_det is computed in every fourth iteration, with four
    times the weight.

    Args:
        players: M, D and A, trained in place.
        adversaries: the fixed recogniser and the critic; the critic is trained in place.
        faces: from the number of the iteration to its batch.
        frames: video frames V with actions and face boxes.
        config: step counts, weights and learning rates.
        seed: of batches of frames and of random numbers.
        checkpoint: file to save to and resume from.
        progress: whether to show a progress bar.
        report: called with each row of the losses as it is logged.

    Returns:
        The losses every ten iterations.
    """
    networks: dict[str, nn.Module] = {
        "M": players.modifier,
        "D": players.classifier,
        "A": players.detector,
        "critic": adversaries.critic,
    }
    rates = {
        "M": config.modifier_lr,
        "D": config.modifier_lr / 4,
        "A": config.detector_lr,
        "critic": config.modifier_lr,
    }
    optimizers = {
        name: Adam(networks[name].parameters(), lr=rates[name], betas=config.betas) for name in networks
    }

    def iteration(step: int) -> Losses:
        anneal = annealing(config.classifier_age + step)
        f = faces(step)
        losses = update_classifier(players, optimizers["D"], f, config, anneal=anneal)
        modified = players.modifier(f.images)
        losses |= update_critic(adversaries.critic, optimizers["critic"], modified, f)
        terms = {
            "L_adv": fool_classifier(players, modified, f, config, anneal=anneal),
            "L_l1": photorealistic_loss(modified, f.images, weight=config.l1_weight),
            **further_terms(adversaries, modified, f),
        }
        if step % 4 == 0:
            terms["L_det"] = 4 * detection(step)
        for name in ("M", "A"):
            optimizers[name].zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        for name in ("M", "A"):
            optimizers[name].step()
        return losses | {name: value.detach() for name, value in terms.items()}

    def detection(step: int) -> Tensor:
        v = frame_batch(frames, config.frames, seed=seed, step=step)
        seen = modify_frames(players.modifier, v.frames, v.regions)
        return torch.stack(list(players.detector.losses(seen, v.boxes, v.labels).values())).sum()

    adversaries.recognizer.eval().requires_grad_(False)
    state = _in_training(networks, optimizers)
    for step, losses in training_steps(
        state,
        name="Algorithm 1, real faces",
        steps=config.adversarial_steps,
        seed=seed,
        lr_drop=config.adversarial_lr_drop,
        checkpoint=checkpoint,
        progress=progress,
        report=report,
    ):
        losses |= iteration(step)
    return state.history

"""Training of live de-identification: one network that redraws a face, and a critic that it must fool.

| paper                         | here                                                     |
|-------------------------------|----------------------------------------------------------|
| x, undistorted input          | `batch.faces`; the target t is the same picture          |
| z_raw, z_m                    | `drawn`, and `blend` of it with the input by the mask    |
| a_n, face network             | `players.judges`, `activations`                          |
| lambda < 0                    | minus `repel_weight` times the strength                  |
| attractor, repeller           | `attractor_loss`, `repeller_loss`                        |
| L_R, L_x, L_y                 | `redraw_loss`                                            |
| discriminator with mixup      | `players.critic`, `mixup_loss` and `realism_loss`        |

Still pictures alone are used, without labels: the face networks are trained beforehand and stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.optim import Adam

from anonlib.anonymizers.aligned import TEMPLATE
from anonlib.config import LIVE_STRENGTHS, LiveTraining
from anonlib.geometry import align_faces
from anonlib.losses import attractor_loss, mask_loss, mixup_loss, realism_loss, redraw_loss, repeller_loss
from anonlib.networks import SphereFace
from anonlib.networks.critic import PatchCritic
from anonlib.networks.live import LiveNetwork, activations
from anonlib.training.live_data import distorted
from anonlib.training.loop import History, Losses, RunOptions, TrainingState, training_steps
from anonlib.training.processes import gradient_step

BETAS = (0.5, 0.99)


@dataclass(slots=True)
class LivePlayers:
    """The network, its critic, and the face networks of the loss; the first of them describes the targets."""

    network: LiveNetwork
    critic: PatchCritic
    judges: list[SphereFace]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveBatch:
    """Faces and how much of them is to be hidden."""

    faces: Tensor
    """`(B, 3, SIZE, SIZE)` in [0, 1], aligned."""
    inputs: Tensor
    """The same faces, distorted."""
    targets: Tensor
    """`(B, F)` descriptors of the undistorted faces."""
    strengths: Tensor
    """`(B,)`, each of `LIVE_STRENGTHS`."""


def train_live(
    players: LivePlayers, crops: Tensor, config: LiveTraining, *, seed: int, **options: Unpack[RunOptions]
) -> History:
    """Trains the network and its critic in place, in turn, on crops `(N, 3, SIZE, SIZE)` uint8.

    Implements Gafni et al. (ICCV 2019), section 4; the losses are from memory. Differs from the paper: one
    network learns all strengths; their settings, see `LiveTraining`; two face networks repel, each from
    faces that are slightly misplaced, so that other networks are misled too.
    """
    Z, C = players.network.train(), players.critic.train()
    optimizer_z, optimizer_c = (Adam(m.parameters(), lr=config.lr, betas=BETAS) for m in (Z, C))
    optimizers = {"Z optimizer": optimizer_z, "C optimizer": optimizer_c}
    for judge in players.judges:
        judge.eval().requires_grad_(False)
    state = TrainingState(modules={"Z": Z, "C": C}, optimizers=optimizers)
    run: dict[str, Any] = {"steps": config.train_steps, "lr_drop": config.lr_drop, "seed": seed}
    for step, losses in training_steps(state, name="live", settings=config, **run, **options):
        repel = config.repel_weight * rise(step, config)
        batch = draw_batch(players, crops, config.batch)
        losses |= update_critic(players, optimizer_c, batch)
        losses |= update_network(players, optimizer_z, batch, config, repel=repel)
    return state.history


def rise(step: int, config: LiveTraining) -> float:
    """The share of lambda that is used at a step.

    >>> [rise(step, LiveTraining(warm_steps=10, ramp_steps=10)) for step in (9, 15, 30)]
    [0.0, 0.5, 1.0]
    """
    return min(max(step - config.warm_steps, 0) / config.ramp_steps, 1.0)


def draw_batch(players: LivePlayers, crops: Tensor, count: int) -> LiveBatch:
    """Random faces, half of them mirrored, with random strengths."""
    faces = crops[torch.randint(len(crops), (count,))].float() / 255
    faces[: count // 2] = faces[: count // 2].flip(3)
    strengths = torch.tensor(LIVE_STRENGTHS)[torch.randint(len(LIVE_STRENGTHS), (count,))]
    with torch.no_grad():
        targets = seen(players.judges[0], faces, jitter=0.0)[-1]
    return LiveBatch(faces=faces, inputs=distorted(faces), targets=targets, strengths=strengths)


def seen(judge: SphereFace, faces: Tensor, *, jitter: float) -> list[Tensor]:
    """The `activations` of aligned faces, whose landmarks and places are off by `jitter` pixels each."""
    points = TEMPLATE + jitter * (torch.randn(len(faces), 1, 2) + torch.randn(len(faces), 5, 2))
    return activations(judge, align_faces(faces, points, judge.config.size))


def update_critic(players: LivePlayers, optimizer: Adam, batch: LiveBatch) -> Losses:
    """C names the share of the true picture in a mixture of it with the blend."""
    with torch.no_grad():
        _, blend, _ = redraw(players.network, batch)
    mixture, shares = mix(batch.faces, blend)
    loss = mixup_loss(players.critic(mixture), shares)
    gradient_step(loss, optimizer)
    return {"C": loss.detach()}


def update_network(
    players: LivePlayers, optimizer: Adam, batch: LiveBatch, config: LiveTraining, *, repel: float
) -> Losses:
    """Z: near the picture in pixels and in maps, far from the target's descriptor, and taken for real."""
    drawn, blend, mask = redraw(players.network, batch)
    pixels = redraw_loss(drawn, batch.faces) + redraw_loss(blend, batch.faces)
    weights, ceilings = repel * batch.strengths, config.repel_until * batch.strengths.sqrt()
    near, far = torch.zeros(()), torch.zeros(())
    for judge in players.judges:
        state = torch.get_rng_state()  # all pictures are misplaced alike
        with torch.no_grad():
            wanted = seen(judge, batch.faces, jitter=config.jitter)
        for faces in (drawn, blend):
            torch.set_rng_state(state)
            *maps, descriptor = seen(judge, faces, jitter=config.jitter)
            near = near + attractor_loss(maps, wanted[:-1]) / len(players.judges)
            far = far + repeller_loss(descriptor, wanted[-1], weights, ceilings) / len(players.judges)
    players.critic.requires_grad_(False)  # gradients pass through C to Z
    real = realism_loss(players.critic(mix(batch.faces, blend)[0]))
    players.critic.requires_grad_(True)
    small = mask_loss(mask, size=config.mask_size, edges=config.mask_edges)
    total = config.pixel_weight * pixels + config.attract_weight * near + far + small
    spots = sum((x - batch.faces).square().mean() for x in (drawn, blend)) * config.square_weight
    gradient_step(total + spots + config.critic_weight * real, optimizer)
    found = {"Z pixels": pixels, "Z near": near, "Z far": far, "Z real": real, "mask": mask.mean()}
    return {name: loss.detach() for name, loss in found.items()}


def redraw(network: LiveNetwork, batch: LiveBatch) -> tuple[Tensor, Tensor, Tensor]:
    """The drawing z_raw, its blend z_m with the distorted input, and the mask.

    A blend with the undistorted picture would be right without any drawing: the mask closed within 500 steps.
    """
    drawn, mask = network(batch.inputs, batch.targets, batch.strengths)
    return drawn, torch.lerp(batch.inputs, drawn, mask), mask


def mix(faces: Tensor, blend: Tensor) -> tuple[Tensor, Tensor]:
    """Mixtures of faces with blends, and the shares `(B,)` of the faces in them."""
    shares = torch.rand(len(faces))
    return torch.lerp(blend, faces, shares[:, None, None, None]), shares

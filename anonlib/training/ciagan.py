"""Training of CIAGAN: a generator, a critic that it must fool, and an identity network that guides it.

| paper                    | here                                                        |
|--------------------------|-------------------------------------------------------------|
| generator G              | `players.generator` draws into the hole of a picture        |
| critic C, LSGAN          | `players.critic`, `critic_loss` and `realism_loss`          |
| identity discriminator E | `players.identity`, `contrastive_loss` and `proxy_nca_loss` |
| classifier instead of E  | `players.identity`, `naming_loss`, in an ablation           |
| source, target           | pictures of whom is hidden, and of whom is drawn            |

E is no adversary: it learns from real pictures alone, and G must draw faces that E finds near the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam

from anonlib.config import CiaganTraining
from anonlib.losses import contrastive_loss, critic_loss, proxy_nca_loss, realism_loss, redraw_loss
from anonlib.networks import SphereFace
from anonlib.networks.ciagan import CiaganGenerator
from anonlib.networks.critic import PatchCritic
from anonlib.training.ciagan_data import CiaganFaces, Pairs, draw_pairs
from anonlib.training.loop import History, Losses, RunOptions, TrainingState, training_steps
from anonlib.training.processes import gradient_step

BETAS = (0.5, 0.999)


@dataclass(slots=True)
class CiaganPlayers:
    """G, C and E."""

    generator: CiaganGenerator
    critic: PatchCritic
    identity: SphereFace


def train_ciagan(
    players: CiaganPlayers,
    faces: CiaganFaces,
    config: CiaganTraining,
    *,
    seed: int,
    **options: Unpack[RunOptions],
) -> History:
    """Trains G, C and E in place, in turn.

    Implements CIAGAN (Maximov et al., CVPR 2020), as its public code trains it. Differs from the paper: the
    settings, see `CiaganTraining`; C rates patches; with a `pair_weight` G also learns from pairs.
    """
    G, C, E = players.generator.train(), players.critic.train(), players.identity.train()
    optimizer_g = Adam(G.parameters(), lr=config.lr, betas=BETAS)
    optimizer_c = Adam(C.parameters(), lr=config.lr, betas=BETAS)
    optimizer_e = Adam(E.parameters(), lr=config.identity_lr, betas=BETAS)
    optimizers = {"G optimizer": optimizer_g, "C optimizer": optimizer_c, "E optimizer": optimizer_e}
    state = TrainingState(modules={"G": G, "C": C, "E": E}, optimizers=optimizers)
    pairs = partial(draw_pairs, faces, config.batch)
    run: dict[str, Any] = {"steps": config.adversarial_steps, "lr_drop": config.lr_drop, "seed": seed}
    for _, losses in training_steps(state, name="CIAGAN", settings=config, **run, **options):
        for _ in range(config.identity_updates):
            losses |= update_identity(players, optimizer_e, pairs(), config)
        for _ in range(config.critic_updates):
            losses |= update_critic(players, optimizer_c, pairs())
        for _ in range(config.generator_updates):
            losses |= update_generator(players, optimizer_g, pairs(), config)
    return state.history


def update_identity(players: CiaganPlayers, optimizer: Adam, pairs: Pairs, config: CiaganTraining) -> Losses:
    """E: real pictures of one person together, of two people apart; a classifier names them."""
    first, second = (players.identity(images) for images in (pairs.source.images, pairs.target))
    if config.classifier:
        people = torch.cat([pairs.hidden, pairs.people])
        loss = naming_loss(players.identity, torch.cat([first, second]), people)
    else:
        loss = contrastive_loss(first, second, pairs.same, margin=config.margin)
    gradient_step(loss, optimizer)
    return {"E": loss.detach()}


def update_critic(players: CiaganPlayers, optimizer: Adam, pairs: Pairs) -> Losses:
    """C: 1 for real pictures with their drawings, 0 for drawn faces with the same drawings."""
    with torch.no_grad():
        drawn = redraw(players.generator, pairs)
    drawings = pairs.source.drawings
    real, fake = (players.critic(torch.cat([faces, drawings], 1)) for faces in (pairs.source.images, drawn))
    loss = critic_loss(real, fake)
    gradient_step(loss, optimizer)
    return {"C": loss.detach()}


def update_generator(players: CiaganPlayers, optimizer: Adam, pairs: Pairs, config: CiaganTraining) -> Losses:
    """G: faces that C takes for real, that E finds near a real picture of the target, and near the pairs'."""
    drawn = redraw(players.generator, pairs)
    for judge in (players.critic, players.identity):
        judge.requires_grad_(False)  # gradients pass through C and E to G
    realism = realism_loss(players.critic(torch.cat([drawn, pairs.source.drawings], 1)))
    features, wanted = (players.identity(images) for images in (drawn, pairs.target))
    if config.classifier:
        near = naming_loss(players.identity, features, pairs.people)
    else:
        near = contrastive_loss(features, wanted, torch.ones_like(pairs.same))
    for judge in (players.critic, players.identity):
        judge.requires_grad_(True)
    pair = redraw_loss(drawn, pairs.truth())
    gradient_step(realism + config.identity_weight * near + config.pair_weight * pair, optimizer)
    return {"G realism": realism.detach(), "G identity": near.detach(), "G pair": pair.detach()}


def redraw(generator: CiaganGenerator, pairs: Pairs) -> Tensor:
    """The source pictures with the faces of the target's person, `(B, 3, S, S)`, not clamped."""
    return pairs.source.composed(generator(pairs.source.seen(face=generator.config.face), pairs.people))


def naming_loss(network: SphereFace, features: Tensor, people: Tensor) -> Tensor:
    """Cross-entropy of the people `(B,)`, counted from 0, of features `(B, F)`, with E as a classifier."""
    return F.cross_entropy(features @ network.identities.T, people)


def warm_up(
    generator: CiaganGenerator,
    faces: CiaganFaces,
    config: CiaganTraining,
    *,
    seed: int,
    **options: Unpack[RunOptions],
) -> History:
    """Trains G in place on pairs alone, before the critic judges it.

    Differs from the paper: the paper has no such training, because photographs have no pairs. In the drawn
    world the same picture exists with another person.
    """
    optimizer = Adam(generator.parameters(), lr=config.pair_lr, betas=BETAS)
    state = TrainingState(modules={"G": generator.train()}, optimizers={"optimizer": optimizer})
    run: dict[str, Any] = {"steps": config.pair_steps, "lr_drop": config.lr_drop, "seed": seed}
    for _, losses in training_steps(state, name="warm-up", settings=config, **run, **options):
        pairs = draw_pairs(faces, config.batch)
        loss = redraw_loss(redraw(generator, pairs), pairs.truth())
        gradient_step(loss, optimizer)
        losses["G pair"] = loss.detach()
    return state.history


def pretrain_identity(
    network: SphereFace,
    faces: CiaganFaces,
    config: CiaganTraining,
    *,
    seed: int,
    **options: Unpack[RunOptions],
) -> History:
    """Trains E in place to tell the people apart, before it guides G: by Proxy-NCA, a classifier by its loss.

    Implements the pre-training of CIAGAN's talk. Differs from the paper: the public code has none.
    """
    optimizer = Adam(network.parameters(), lr=10 * config.identity_lr)
    state = TrainingState(modules={"E": network.train()}, optimizers={"optimizer": optimizer})
    run: dict[str, Any] = {"steps": config.pretrain_steps, "lr_drop": config.lr_drop, "seed": seed}
    for _, losses in training_steps(state, name="identity network", settings=config, **run, **options):
        rows = torch.randint(len(faces.labels), (2 * config.batch,))
        features = network(faces.sources.images[rows])
        if config.classifier:
            loss = naming_loss(network, features, faces.labels[rows])
        else:
            loss = proxy_nca_loss(features, network.identities, faces.labels[rows])
        gradient_step(loss, optimizer)
        losses["E"] = loss.detach()
    return state.history

"""Training of the password-conditioned transformer: T, critics, a recogniser and a password reader.

| paper                     | here                                                                         |
|---------------------------|------------------------------------------------------------------------------|
| transformer T             | `players.transformer`                                                        |
| four discriminators       | `players.critics`, `critic_loss` and `realism_loss`                          |
| recogniser F              | `players.recogniser`, `angular_softmax_loss`, `password_identity_loss`       |
| auxiliary network Q       | `players.reader`, `password_loss`                                            |
| A_1, A_2; R; W_1, W_2     | `Faces`: under two passwords; restored; under two wrong passwords            |
| L_rec, L_1; L_feat        | `photorealistic_loss`; `password_feature_loss`                               |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

import torch
from torch import Tensor
from torch.optim import Adam

from anonlib.config import FitTraining
from anonlib.losses import (
    angular_softmax_loss,
    annealing,
    critic_loss,
    password_feature_loss,
    password_identity_loss,
    password_loss,
    photorealistic_loss,
    realism_loss,
)
from anonlib.networks import SphereFace
from anonlib.networks.fit import FaceTransformer, FitCritics, PasswordReader, encoded, halved
from anonlib.training.fit_data import (
    FitFaces,
    Scenes,
    draw_people,
    draw_scenes_of,
    pictures,
    stored,
    wrong_passwords,
)
from anonlib.training.loop import (
    History,
    Losses,
    RunOptions,
    TrainingState,
    fixed_random_numbers,
    training_steps,
)
from anonlib.training.processes import gradient_step

BETAS = (0.5, 0.999)
_LEAST = 1e-3
"""Variance of a pixel between scenes, at least."""


@dataclass(slots=True)
class FitPlayers:
    """T, the critics, F and Q."""

    transformer: FaceTransformer
    critics: FitCritics
    recogniser: SphereFace
    reader: PasswordReader


class Faces(NamedTuple):
    """What T makes of faces I; all `(B, 3, SIZE, SIZE)` in [0, 1]."""

    first: Tensor
    """A_1 = T(I, p)."""
    restored: Tensor
    """R = T(A_1, -p)."""
    wrong: Tensor
    """W_1 = T(A_1, another password than -p)."""
    second: Tensor
    """A_2 = T(I, another password than p)."""
    other: Tensor
    """W_2 = T(A_1, a third password)."""

    def detached(self) -> Faces:
        """The same without gradients."""
        return Faces(*[faces.detach() for faces in self])


def learn_details(
    transformer: FaceTransformer,
    faces: FitFaces,
    config: FitTraining,
    *,
    seed: int,
    **options: Unpack[RunOptions],
) -> History:
    """Trains T in place to predict the details of faces from their means, before it has directions.

    Differs from the paper: the paper's T does not predict details.
    """
    T = transformer.train()
    optimizer = Adam([*T.fine.parameters(), *T.coarse.parameters()], lr=config.detail_lr)
    state = TrainingState(modules={"T": T}, optimizers={"optimizer": optimizer})
    run: dict[str, Any] = {"steps": config.detail_steps, "lr_drop": config.lr_drop, "seed": seed}
    for _, losses in training_steps(state, name="details", settings=config, **run, **options):
        straight, high = T.straightened(pictures(faces, *draw_people(faces, config.batch)))
        middle = halved(straight)[1]
        parts = {"middle": middle.abs().mean(), "high": high.abs().mean()}
        gradient_step(torch.stack(list(parts.values())).sum(), optimizer)
        losses |= {name: loss.detach() for name, loss in parts.items()}
    return state.history


@torch.no_grad()
def find_directions(transformer: FaceTransformer, faces: FitFaces, config: FitTraining, *, seed: int) -> None:
    """Sets T's directions to those in which two people in one scene differ most, scaled to unit variance.

    They are principal components of the differences. The most variable come first, so that the numbers of a
    pair are alike. Differs from the paper: photographs have no such pairs, its T has no directions.
    """
    T = transformer
    found: list[Tensor] = []
    changes: list[Tensor] = []
    with fixed_random_numbers(seed):
        for _ in range(config.pairs // 100):
            first, draw = draw_people(faces, 100)
            second, _ = draw_people(faces, 100)
            random = torch.get_rng_state()
            for labels, parts in ((first, found), (second, changes)):
                torch.set_rng_state(random)  # the same window
                parts.append(T.straightened(pictures(faces, labels, draw))[0].flatten(1))
        known, other = torch.cat(found), torch.cat(changes)
        axes = torch.svd_lowrank(other - known, T.config.code + 20)[2]
    T.mean.copy_((known + other).mean(0) / 2)
    scenes = ((known + other).var(0) - (known - other).var(0)) / 4  # what two pictures of a scene share
    T.trust.copy_(1 / scenes.clamp(min=_LEAST))
    T.directions.copy_(axes[:, : T.config.code].T)
    code = (T.code(other) - T.code(known)) / 2**0.5
    variance, turn = torch.linalg.eigh(code.T @ code / len(code))
    T.directions.copy_(((turn * variance.sqrt()).T @ T.directions).flip(0))


def pretrain_recogniser(
    recogniser: SphereFace, faces: FitFaces, config: FitTraining, *, seed: int, **options: Unpack[RunOptions]
) -> History:
    """Trains F in place to tell the people apart, before the game."""
    optimizer = Adam(recogniser.parameters(), lr=config.recogniser_lr)
    state = TrainingState(modules={"F": recogniser.train()}, optimizers={"optimizer": optimizer})
    run: dict[str, Any] = {"steps": config.pretrain_steps, "lr_drop": config.lr_drop, "seed": seed}
    for step, losses in training_steps(state, name="recogniser", settings=config, **run, **options):
        labels, draw = draw_people(faces, 3 * config.batch)
        features = recogniser(pictures(faces, labels, draw))
        anneal = annealing(step)
        loss = angular_softmax_loss(features, recogniser.identities, labels, anneal=anneal).mean()
        gradient_step(loss, optimizer)
        losses["F clear"] = loss.detach()
    return state.history


def train_fit(
    players: FitPlayers, faces: FitFaces, config: FitTraining, *, seed: int, **options: Unpack[RunOptions]
) -> History:
    """Trains all networks in place, in turn.

    Implements FIT (Gu et al., ECCV 2020), as its public code trains it. Differs from the paper: the settings,
    see `FitTraining`; T starts from `find_directions`; F does not learn to miss R.
    """
    T, C, F, Q = players.transformer, players.critics, players.recogniser, players.reader
    for network in (T, C, F, Q):
        network.train()
    optimizer_t = Adam([*T.parameters(), *Q.parameters()], lr=config.lr, betas=BETAS)
    optimizer_c = Adam(C.parameters(), lr=config.lr, betas=BETAS)
    optimizer_f = Adam(F.parameters(), lr=config.recogniser_lr / 100, betas=BETAS)
    optimizers = {"T optimizer": optimizer_t, "C optimizer": optimizer_c, "F optimizer": optimizer_f}
    modules = {"T": T, "C": C, "F": F, "Q": Q}
    state = TrainingState(modules=modules, optimizers=optimizers)
    run: dict[str, Any] = {"steps": config.adversarial_steps, "lr_drop": config.lr_drop, "seed": seed}
    for _, losses in training_steps(state, name="FIT", settings=config, **run, **options):
        scenes = draw_scenes_of(faces, config.batch)
        changed = change(T, scenes)
        losses |= update_judges(players, optimizer_c, optimizer_f, scenes, changed.detached())
        losses |= update_transformer(players, optimizer_t, scenes, changed, config)
    return state.history


def change(transformer: FaceTransformer, scenes: Scenes) -> Faces:
    """The faces that T makes of I with right and wrong passwords."""
    p, q = scenes.password, scenes.wrong
    first, second = transformer(scenes.images.repeat(2, 1, 1, 1), torch.cat([p, wrong_passwords(p)])).chunk(2)
    passwords = torch.cat([-p, q, wrong_passwords(-p, q)])
    restored, wrong, other = transformer(stored(first).repeat(3, 1, 1, 1), passwords).chunk(3)
    return Faces(first, restored, wrong, second, other)


def update_judges(
    players: FitPlayers, optimizer_c: Adam, optimizer_f: Adam, scenes: Scenes, changed: Faces
) -> Losses:
    """Critics: 1 for real faces, 0 for those of T. F: whose face I was, from I, A_1 and W_1."""
    kinds = {
        "anonymized": (changed.first, changed.second),
        "restored": (changed.restored,),
        "wrong": (changed.wrong, changed.other),
    }
    parts = [
        critic_loss(players.critics(kind, scenes.images), players.critics(kind, torch.cat(fakes)))
        for kind, fakes in kinds.items()
    ]
    loss = torch.stack(parts).mean()
    gradient_step(loss, optimizer_c)
    clear, first, wrong = identity_losses(
        players.recogniser, scenes, scenes.images, changed.first, changed.wrong
    )
    seen = clear.mean() + (first.mean() + wrong.mean()) / 3
    gradient_step(seen, optimizer_f)
    return {"C": loss.detach(), "F clear": clear.mean().detach(), "F anonymized": first.mean().detach()}


def update_transformer(
    players: FitPlayers, optimizer: Adam, scenes: Scenes, changed: Faces, config: FitTraining
) -> Losses:
    """T: faces that look real, that F does not know, that differ by password, and are restored; with Q."""
    judges = (players.critics, players.recogniser)
    for judge in judges:
        judge.requires_grad_(False)  # gradients pass through them to T
    made = {"anonymized": changed.first, "restored": changed.restored, "wrong": changed.wrong}
    parts = picture_losses(scenes, changed.first, changed.restored, changed.wrong, config)
    real = [realism_loss(players.critics(kind, faces)) for kind, faces in made.items()]
    parts["realism"] = config.realism_weight * torch.stack(real).mean()
    known = identity_losses(players.recogniser, scenes, *made.values())
    parts["identity"] = config.identity_weight * password_identity_loss(*known, ceiling=config.ceiling)
    people = (changed.first, changed.second, changed.wrong, changed.other)
    features = players.recogniser(torch.cat(people)).chunk(4)
    parts["features"] = password_feature_loss(*features)
    for judge in judges:
        judge.requires_grad_(True)
    parts["password"] = reading_loss(players.reader, scenes, *made.values())
    gradient_step(torch.stack(list(parts.values())).sum(), optimizer)
    return {name: loss.detach() for name, loss in parts.items()}


def picture_losses(
    scenes: Scenes, first: Tensor, restored: Tensor, wrong: Tensor, config: FitTraining
) -> Losses:
    """L_1 and L_rec: errors of A_1, W_1 and R to I."""
    near = photorealistic_loss(first, scenes.images) + photorealistic_loss(wrong, scenes.images)
    restoring = photorealistic_loss(restored, scenes.images, weight=config.restored_weight)
    return {"change": config.change_weight * near, "R": restoring}


def reading_loss(
    reader: PasswordReader, scenes: Scenes, first: Tensor, restored: Tensor, wrong: Tensor
) -> Tensor:
    """How badly Q reads the passwords from I and A_1, A_1 and R, and A_1 and W_1."""
    before, after = torch.cat([scenes.images, first, first]), torch.cat([first, restored, wrong])
    passwords = torch.cat([scenes.password, -scenes.password, scenes.wrong])
    return password_loss(reader(before, after), encoded(passwords))


def identity_losses(recogniser: SphereFace, scenes: Scenes, *faces: Tensor) -> list[Tensor]:
    """L_D of each of several faces of the same people, `(B,)` each."""
    labels = scenes.labels.repeat(len(faces))
    features = recogniser(torch.cat(faces))
    return list(angular_softmax_loss(features, recogniser.identities, labels).chunk(len(faces)))

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Adam

from anonlib.config import TrainingConfig
from anonlib.errors import NumericError
from anonlib.networks import SphereFace
from anonlib.networks.critic import PatchCritic
from anonlib.training import loop
from anonlib.training.algorithm1 import Players
from anonlib.training.batches import FaceBatch, face_batch
from anonlib.types import ActionFrames, FaceImages
from recipes.real_faces import Adversaries, further_terms, still_features, train_on_real_faces, update_critic

MakePlayers = Callable[..., Players]
MakeClassifier = Callable[..., SphereFace]
TERMS = {"D modified", "D clear", "critic", "L_adv", "L_l1", "L_det", "margin", "crowd", "realism"}


def adversaries(recognizer: SphereFace, seed: int = 1, **weights: float) -> Adversaries:
    torch.manual_seed(seed)
    return Adversaries(recognizer=recognizer, critic=PatchCritic(width=4), **weights)


def weights_of(network: nn.Module) -> dict[str, Any]:
    return copy.deepcopy(network.state_dict())


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return all(torch.equal(value, b[name]) for name, value in a.items())


@pytest.fixture
def f(faces: FaceImages) -> FaceBatch:
    return face_batch(faces, 4, seed=0, step=0)


@pytest.fixture
def short(config: TrainingConfig) -> TrainingConfig:
    return replace(config, adversarial_steps=5)


def test_landmarks_are_shaken_as_a_whole(
    make_classifier: MakeClassifier, f: FaceBatch, monkeypatch: pytest.MonkeyPatch
):
    seen: list[torch.Tensor] = []

    def spy(images: Any, landmarks: Any, size: Any) -> Any:
        seen.append(landmarks)
        return torch.zeros(len(images), 3, *size)

    monkeypatch.setattr("recipes.real_faces.align_faces", spy)
    still_features(make_classifier(), f.images, f.landmarks)
    moved = seen[0] - f.landmarks
    torch.testing.assert_close(moved, moved[:, :1].expand_as(moved), atol=1e-4, rtol=0)
    assert moved.abs().max() > 0.1


def test_updating_the_critic_leaves_the_modified_faces_alone(make_classifier: MakeClassifier, f: FaceBatch):
    critic = adversaries(make_classifier()).critic
    before, modified = weights_of(critic), torch.rand_like(f.images).requires_grad_()
    losses = update_critic(critic, Adam(critic.parameters(), lr=1e-2), modified, f)
    assert set(losses) == {"critic"} and not losses["critic"].requires_grad
    assert modified.grad is None and not same(weights_of(critic), before)


def test_weights_multiply_their_terms(make_classifier: MakeClassifier, f: FaceBatch):
    modified = (f.images + 0.1 * torch.rand_like(f.images)).clamp(0, 1)
    found = []
    for weight in (1.0, 3.0):
        given = {"margin_weight": weight, "crowd_weight": weight, "realism_weight": weight}
        a = adversaries(make_classifier(), **given)
        a.critic.eval()
        torch.manual_seed(5)
        found.append(further_terms(a, modified, f))
    assert set(found[0]) == {"margin", "crowd", "realism"}
    for name, value in found[0].items():
        assert value > 0
        torch.testing.assert_close(found[1][name], 3 * value)


def test_everybody_learns_but_the_recogniser_that_stands_still(
    make_players: MakePlayers,
    make_classifier: MakeClassifier,
    faces: FaceImages,
    frames: ActionFrames,
    short: TrainingConfig,
):
    p, a = make_players(), adversaries(make_classifier(7))
    networks = {"M": p.modifier, "D": p.classifier, "A": p.detector, "critic": a.critic}
    before = {name: weights_of(network) for name, network in networks.items()}
    still = weights_of(a.recognizer)
    rows: list[Any] = []
    history = train_on_real_faces(
        p,
        a,
        lambda step: face_batch(faces, 4, seed=0, step=step),
        frames,
        replace(short, adversarial_steps=1),
        seed=0,
        progress=False,
        report=rows.append,
    )
    assert set(history[0]) == TERMS | {"step"} and rows == history
    assert same(weights_of(a.recognizer), still)
    for name, network in networks.items():
        assert not same(weights_of(network), before[name]), name


def test_resuming_equals_an_uninterrupted_run_bit_for_bit(
    make_players: MakePlayers,
    make_classifier: MakeClassifier,
    faces: FaceImages,
    frames: ActionFrames,
    short: TrainingConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(loop, "SAVE_EVERY", 2)

    def batch(step: int) -> FaceBatch:
        return face_batch(faces, 4, seed=0, step=step)

    def stop(step: int) -> FaceBatch:
        if step == 3:
            raise KeyboardInterrupt
        return batch(step)

    def train(seed: int, batches: Callable[[int], FaceBatch], name: str) -> Any:
        p, a = make_players(seed), adversaries(make_classifier(7), seed)
        history = train_on_real_faces(
            p, a, batches, frames, short, seed=3, checkpoint=tmp_path / name, progress=False
        )
        parts = (p.modifier, p.classifier, p.detector, a.critic)
        return history, [weights_of(network) for network in parts]

    history, whole = train(1, batch, "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        train(1, stop, "run.pt")
    assert loop.load_checkpoint(tmp_path / "run.pt")["step"] == 2
    again, resumed = train(2, batch, "run.pt")
    assert again == history
    assert all(same(a, b) for a, b in zip(whole, resumed, strict=True))


def test_nan_is_reported_with_step_and_losses(
    make_players: MakePlayers,
    make_classifier: MakeClassifier,
    faces: FaceImages,
    frames: ActionFrames,
    short: TrainingConfig,
):
    recognizer = make_classifier()
    nn.init.constant_(recognizer.embed.bias, float("nan"))
    with pytest.raises(NumericError, match=r"not finite at step 0: .*margin, crowd"):
        train_on_real_faces(
            make_players(),
            adversaries(recognizer),
            lambda step: face_batch(faces, 4, seed=0, step=step),
            frames,
            short,
            seed=0,
            progress=False,
        )

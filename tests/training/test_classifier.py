from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from anonlib.config import ClassifierConfig, TrainingConfig
from anonlib.errors import CheckpointError, NumericError
from anonlib.geometry import align_faces
from anonlib.losses import angular_softmax_loss, annealing
from anonlib.networks import SphereFace
from anonlib.training import classifier as module, loop, train_classifier
from anonlib.training.batches import face_batch
from anonlib.training.classifier import identification_loss
from anonlib.types import FaceImages

Maker = Callable[..., SphereFace]


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Ctrl-C when the batch of a step is drawn."""

    def interrupted(*args: Any, **options: Any) -> Any:
        if options["step"] == step:
            raise KeyboardInterrupt
        return face_batch(*args, **options)

    monkeypatch.setattr(module, "face_batch", interrupted)


def test_the_loss_is_a_softmax_of_aligned_faces(faces: FaceImages, make_classifier: Maker):
    d, batch = make_classifier(), face_batch(faces, 5, seed=0, step=0)
    images = torch.rand_like(batch.images)  # the modified faces of the batch, say
    aligned = align_faces(images, batch.landmarks, (16, 16))
    expected = angular_softmax_loss(d(aligned), d.identities, batch.labels, margin=4, anneal=7.0)
    torch.testing.assert_close(identification_loss(d, images, batch, anneal=7.0), expected)


def test_the_loss_uses_the_margin_of_the_classifier(faces: FaceImages, make_classifier: Maker):
    batch, d = face_batch(faces, 5, seed=0, step=0), make_classifier()
    plain = SphereFace(ClassifierConfig(size=(16, 16), depth=4, width=4, features=8, margin=1), people=4)
    plain.load_state_dict(d.state_dict())
    with_margin = identification_loss(d, batch.images, batch, anneal=5.0)
    assert (with_margin > identification_loss(plain, batch.images, batch, anneal=5.0)).all()


def test_gradients_of_the_loss_reach_the_images(faces: FaceImages, make_classifier: Maker):
    batch = face_batch(faces, 3, seed=0, step=0)
    images = batch.images.clone().requires_grad_()
    identification_loss(make_classifier(), images, batch, anneal=5.0).sum().backward()
    assert images.grad is not None
    assert (images.grad.abs().flatten(1).max(1).values > 0).all()


def test_it_learns_who_is_who(faces: FaceImages, config: TrainingConfig, make_classifier: Maker):
    d = make_classifier()
    config = replace(config, classifier_steps=80, pretrain_lr=9e-3)
    history = train_classifier(d, faces, config, seed=0, progress=False)
    assert history[-1]["classifier"] < 0.3 * history[0]["classifier"]
    aligned = align_faces(faces.images.float() / 255, faces.landmarks, (16, 16))
    with torch.no_grad():
        cosines = torch.cosine_similarity(d(aligned)[:, None], d.identities[None], dim=2)
    assert torch.equal(cosines.argmax(1), faces.labels)


def test_it_learns_by_a_loss_that_is_given(
    faces: FaceImages, config: TrainingConfig, make_classifier: Maker
) -> None:
    seen = []

    def plain(
        features: torch.Tensor, people: torch.Tensor, labels: torch.Tensor, **given: Any
    ) -> torch.Tensor:
        seen.append(given)
        return torch.nn.functional.cross_entropy(features @ people.T, labels, reduction="none")

    train_classifier(
        make_classifier(), faces, replace(config, classifier_steps=2), seed=0, loss=plain, progress=False
    )
    assert seen == [{"margin": 4, "anneal": annealing(step)} for step in (0, 1)]


def test_annealing_follows_the_step(
    faces: FaceImages, config: TrainingConfig, make_classifier: Maker, monkeypatch: pytest.MonkeyPatch
):
    seen: list[float] = []

    def spy(*args: Any, anneal: float, **options: Any) -> Any:
        seen.append(anneal)
        return identification_loss(*args, anneal=anneal, **options)

    monkeypatch.setattr(module, "identification_loss", spy)
    train_classifier(make_classifier(), faces, config, seed=0, progress=False)
    assert seen == [annealing(step) for step in range(6)]
    assert seen[0] > seen[-1]
    seen.clear()
    train_classifier(make_classifier(), faces, config, seed=0, age=200, progress=False)
    assert seen == [annealing(200 + step) for step in range(6)]


def test_resuming_equals_an_uninterrupted_run_bit_for_bit(
    faces: FaceImages,
    config: TrainingConfig,
    make_classifier: Maker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(loop, "SAVE_EVERY", 2)

    def train(d: SphereFace, checkpoint: Path) -> Any:
        return train_classifier(d, faces, config, seed=3, checkpoint=checkpoint, progress=False)

    whole, stopped, resumed = make_classifier(1), make_classifier(1), make_classifier(2)
    history = train(whole, tmp_path / "whole.pt")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt_at(patch, 5)
        train(stopped, tmp_path / "run.pt")
    assert loop.load_checkpoint(tmp_path / "run.pt")["step"] == 4
    assert train(resumed, tmp_path / "run.pt") == history
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    assert not torch.equal(whole.identities, make_classifier(1).identities)


def test_a_checkpoint_of_another_profile_is_refused(
    faces: FaceImages, config: TrainingConfig, make_classifier: Maker, tmp_path: Path
):
    train_classifier(make_classifier(), faces, config, seed=0, checkpoint=tmp_path / "d.pt", progress=False)
    wide = SphereFace(ClassifierConfig(size=(16, 16), depth=4, width=8, features=8), people=4)
    with pytest.raises(CheckpointError, match=r"d\.pt is of another profile"):
        train_classifier(wide, faces, config, seed=0, checkpoint=tmp_path / "d.pt", progress=False)


def test_nan_is_reported_with_step_and_loss(
    faces: FaceImages, config: TrainingConfig, make_classifier: Maker
):
    d = make_classifier()
    torch.nn.init.constant_(d.embed.bias, float("nan"))
    with pytest.raises(NumericError, match=r"loss not finite at step 0: classifier;"):
        train_classifier(d, faces, config, seed=0, progress=False)

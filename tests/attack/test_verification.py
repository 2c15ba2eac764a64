from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from anonlib.anonymizers import create
from anonlib.attack import verification as identity
from anonlib.attack.verification import (
    anonymize_faces,
    compare_clear_and_modified,
    face_features,
    similarities,
    verify_features,
    verify_scores,
)
from anonlib.config import ClassifierConfig
from anonlib.geometry import align_faces
from anonlib.metrics.verification import Pairs, verification_pairs
from anonlib.networks import SphereFace
from anonlib.types import FaceImages, LazyImages


def make_classifier() -> SphereFace:
    torch.manual_seed(1)
    return SphereFace(ClassifierConfig(size=(16, 16), depth=4, width=4, features=8), people=4)


def test_doing_nothing_to_faces_leaves_every_bit(faces: FaceImages):
    same = anonymize_faces(faces, lambda images: images)
    assert torch.equal(same.images, faces.images)
    assert torch.equal(same.labels, faces.labels)
    assert torch.equal(same.landmarks, faces.landmarks)


def test_anonymized_faces_are_rounded_to_8_bits_in_order(faces: FaceImages, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(identity, "BATCH", 3)
    seen: list[tuple[int, float]] = []

    def darken(images: Tensor) -> Tensor:
        seen.append((len(images), float(images.max())))
        return images * 0.3

    dark = anonymize_faces(faces, darken).images
    expected = np.rint(faces.images.numpy() * 0.3)
    assert np.abs(dark.numpy() - expected).max() <= 1  # a half may fall to either side
    assert (dark.numpy() == expected).mean() > 0.9
    assert [count for count, _ in seen] == [3, 3, 2]
    assert all(0.5 < top <= 1 for _, top in seen)


def test_lazy_faces_are_anonymized_when_they_are_read(faces: FaceImages, monkeypatch: pytest.MonkeyPatch):
    images = faces.images[:]
    lazy = replace(faces, images=LazyImages(images.__getitem__, torch.arange(len(images))))
    whole = anonymize_faces(lazy, lambda f: 1 - f)
    monkeypatch.setattr("anonlib.types.IN_MEMORY", 0)
    parts = anonymize_faces(lazy, lambda f: 1 - f)
    assert isinstance(whole.images, Tensor) and isinstance(parts.images, LazyImages)
    assert torch.equal(parts.images[[3, 1]], 255 - images[[3, 1]])
    assert torch.equal(parts.images[:], whole.images)


class Elsewhere(nn.Module):
    """A modifier on another device, as far as one can be had everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros((), device="meta"))

    def forward(self, images: Tensor) -> Tensor:
        assert images.device.type == "meta"
        return torch.zeros(images.shape)  # back from there, with what a meta tensor cannot hold


def test_the_modifier_may_be_on_another_device_than_the_faces(faces: FaceImages):
    hidden = anonymize_faces(faces, create("modifier", Elsewhere()))
    assert hidden.images.device.type == "cpu"
    assert not hidden.images.any()


def test_features_are_the_flip_averaged_ones_of_each_face(faces: FaceImages, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(identity, "BATCH", 3)
    d = make_classifier()
    found = face_features(d, faces)
    assert found.shape == (8, 8) and not d.training
    for k in range(8):
        aligned = align_faces(faces.images[k : k + 1].float() / 255, faces.landmarks[k : k + 1], (16, 16))
        with torch.no_grad():
            both = (d(aligned) + d(aligned.flip(3)))[0].numpy()
        np.testing.assert_allclose(found[k], both / np.linalg.norm(both), atol=1e-5)


def test_verification_by_hand():
    # Features of length 1 in one dimension: the score is their product, here that of `first`.
    # fold 0: same 0.9, different 0.7; folds 1 and 2: same 0.5, different 0.1.
    # The best threshold of the other folds is 0.3 for each; it is wrong about the 0.7 only.
    first = np.array([[0.1], [0.5], [0.9], [0.7], [9.0]])
    second = np.array([[9.0]] * 5 + [[1.0]] * 2)
    pairs = Pairs(
        first=np.array([2, 3, 1, 0, 1, 0]),
        second=np.array([5, 6] * 3),
        same=np.array([True, False] * 3),
        fold=np.array([0, 0, 1, 1, 2, 2]),
    )
    result = verify_features(first, second, pairs)
    assert result.accuracy == pytest.approx((0.5 + 1 + 1) / 3)
    # Student's t for two degrees of freedom, 4.3027, times the standard error of 1/6
    assert result.lo == pytest.approx(5 / 6 - 4.302653 / 6, abs=1e-4)
    assert result.hi == 1.0
    assert result.tar == pytest.approx(1 / 3)  # no different pair accepted: only the 0.9
    assert result.eer == pytest.approx(1 / 3)


def test_people_apart_in_feature_space_are_verified_without_error():
    labels = np.repeat(np.arange(20), 4)
    features = np.eye(20)[labels]
    pairs = verification_pairs(labels, pairs=80, folds=10, seed=0)
    result = verify_features(features, features, pairs)
    assert (result.accuracy, result.lo, result.hi) == (1.0, 1.0, 1.0)
    assert (result.eer, result.tar) == (0.0, 1.0)


def test_features_that_know_nothing_are_at_chance():
    labels = np.repeat(np.arange(100), 6)
    features = np.random.default_rng(0).normal(size=(600, 32))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    result = verify_features(features, features, verification_pairs(labels, pairs=1200, folds=10, seed=0))
    assert result.lo < 0.5 < result.hi
    assert 0.45 < result.eer < 0.55


def test_similarities_are_cosines_of_first_with_second():
    first, second = np.eye(2), np.array([[0.6, 0.8], [1.0, 0.0]])
    pairs = Pairs(
        first=np.array([0, 1, 1]),
        second=np.array([0, 0, 1]),
        same=np.array([True, True, False]),
        fold=np.array([0, 1, 1]),
    )
    assert similarities(first, second, pairs).tolist() == [0.6, 0.8, 0.0]


def test_clear_and_modified_faces_are_compared_three_ways(faces: FaceImages):
    classifier = make_classifier()
    pairs = verification_pairs(faces.labels, pairs=4, folds=2, seed=0)
    dark = anonymize_faces(faces, lambda images: images.flip(1) / 2)
    scores = compare_clear_and_modified(classifier, faces, dark, pairs)
    clear, hidden = face_features(classifier, faces), face_features(classifier, dark)
    expected = {
        "original": (clear, clear),
        "modified": (hidden, hidden),
        "modified_original": (hidden, clear),
    }
    assert list(scores) == list(expected)
    for name, (first, second) in expected.items():
        products = [first[i] @ second[j] for i, j in zip(pairs.first, pairs.second, strict=True)]
        np.testing.assert_allclose(scores[name], products, atol=1e-5)
        assert verify_scores(scores[name], pairs) == verify_features(first, second, pairs)


def test_what_a_machine_adds_differently_tells_nobody_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = 3e-4 * np.linspace(-1, 1, 6).repeat(2)[:, None]  # cosines of 1, give or take 1e-7
    features = np.hstack([np.ones((12, 1)), noise])
    labels = torch.arange(6).repeat_interleave(2)
    assert identity.recognisability(features, labels) == 0.5
    monkeypatch.setattr(identity, "DIGITS", 12)
    assert identity.recognisability(features, labels) > 0.6

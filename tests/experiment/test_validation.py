"""The validation score: a D that is briefly retrained, on modified faces of validation people."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from anonlib.anonymizers import create
from anonlib.attack.verification import anonymize_faces, face_features, recognisability
from anonlib.config import ClassifierConfig, DetectorConfig, ModifierConfig, TrainingConfig
from anonlib.experiment.people import hold_back
from anonlib.experiment.validation import some_faces, some_people, validation_score
from anonlib.networks import ActionDetector, Modifier, SphereFace
from anonlib.training import Players, train_classifier
from anonlib.types import FaceImages


def test_people_on_axes_of_their_own_are_recognised():
    features = np.eye(3)[[0, 0, 1, 1, 2, 2]]
    assert recognisability(features, torch.tensor([0, 0, 1, 1, 2, 2])) == 1.0


def test_people_who_all_look_alike_are_recognised_by_chance():
    labels = torch.tensor([0, 0, 1, 1])
    assert recognisability(np.ones((4, 2)) / 2**0.5, labels) == pytest.approx(0.5)


def test_of_many_pairs_always_the_same_are_compared(monkeypatch: pytest.MonkeyPatch):
    features = np.random.default_rng(1).normal(size=(60, 3))
    features[30:] = features[:30] + 0.3 * features[30:]
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    labels = torch.arange(30).repeat(2)
    exact = recognisability(features, labels)
    monkeypatch.setattr("anonlib.attack.verification.MOST_PAIRS", 1500)
    drawn = recognisability(features, labels)
    assert drawn == recognisability(features, labels) != exact
    assert drawn == pytest.approx(exact, abs=0.1)


def test_every_eighth_person_is_held_back(faces: FaceImages):
    train, held = hold_back(faces, every=2)
    assert train.labels.tolist() == held.labels.tolist() == [0, 0, 1, 1]
    torch.testing.assert_close(train.images, faces.images[[0, 1, 4, 5]])
    torch.testing.assert_close(held.images, faces.images[[2, 3, 6, 7]])


def test_nobody_is_held_back_of_a_few(faces: FaceImages):
    train, held = hold_back(faces)
    assert (len(train), len(held)) == (len(faces), 0)
    players = Players(torch.nn.Identity(), torch.nn.Identity(), torch.nn.Identity())  # type: ignore[arg-type]
    assert validation_score(players, train, held, TrainingConfig(), seed=0) is None


CONFIG = TrainingConfig(faces=4, classifier_steps=100, judge_faces=6, judge_steps=2)


@pytest.fixture
def players() -> Players:
    torch.manual_seed(1)
    shape = ClassifierConfig(size=(16, 16), depth=4, width=4, features=8)
    modifier = Modifier(ModifierConfig(size=20, width=4, blocks=1))
    return Players(
        modifier, SphereFace(shape, people=4), ActionDetector(DetectorConfig(backbone="small", width=4))
    )


def scores(players: Players, faces: FaceImages) -> Callable[[], float]:
    score = validation_score(players, faces, faces, CONFIG, seed=7)
    assert score is not None
    return score


def test_the_score_is_that_of_a_d_retrained_on_modified_faces(players: Players, faces: FaceImages):
    attacker, hide = copy.deepcopy(players.classifier), create("modifier", players.modifier)
    known = anonymize_faces(some_faces(faces, 6, seed=7), hide)
    train_classifier(attacker, known, replace(CONFIG, classifier_steps=2, faces=2), seed=7, progress=False)
    unseen = anonymize_faces(some_people(faces, 6, seed=7), hide)
    assert len(unseen) == 6
    assert scores(players, faces)() == recognisability(face_features(attacker, unseen), unseen.labels)


def test_the_d_of_the_game_is_not_asked(players: Players, faces: FaceImages):
    score = scores(players, faces)
    before = score()
    torch.nn.init.zeros_(players.classifier.embed.weight)  # it recognises nobody
    assert score() == before
    torch.nn.init.zeros_(players.modifier.decoder[-1].weight)  # all faces look alike
    assert score() == pytest.approx(0.5)


def test_nothing_but_the_score_remains(players: Players, faces: FaceImages):
    networks = (players.modifier, players.classifier, players.detector)
    states = [copy.deepcopy(network.train().state_dict()) for network in networks]
    score = scores(players, faces)
    torch.manual_seed(3)
    score()
    drawn = torch.rand(4)
    torch.manual_seed(3)
    torch.testing.assert_close(drawn, torch.rand(4), rtol=0, atol=0)
    for network, state in zip(networks, states, strict=True):
        assert network.training and all(p.grad is None for p in network.parameters())
        torch.testing.assert_close(network.state_dict(), state, rtol=0, atol=0)
    players.modifier.eval()
    score()
    assert not players.modifier.training


def test_an_m_that_draws_random_people_gets_one_score(players: Players, faces: FaceImages):
    plain = players.modifier.forward
    players.modifier.forward = lambda f: (plain(f) + torch.rand(len(f), 1, 1, 1)) / 2  # type: ignore[method-assign]
    score = scores(players, faces)
    torch.manual_seed(1)
    first = score()
    torch.manual_seed(2)
    assert score() == first


def test_a_few_faces_are_drawn_by_the_seed_and_stay_whole(faces: FaceImages):
    few = some_faces(faces, 5, seed=1)
    rows = [int((faces.images == image).flatten(1).all(1).nonzero()) for image in few.images]
    assert rows == sorted(set(rows)) and len(rows) == 5
    torch.testing.assert_close(few.landmarks, faces.landmarks[rows])
    assert few.labels.tolist() == faces.labels[rows].tolist()
    assert not torch.equal(some_faces(faces, 5, seed=2).images, few.images)
    assert len(some_faces(faces, 99, seed=1)) == len(faces)


def test_people_are_drawn_with_all_their_faces(faces: FaceImages):
    for count, people in ((8, 4), (7, 3), (4, 2), (1, 2)):  # two faces each, and never one person alone
        few = some_people(faces, count, seed=3)
        assert few.labels.unique(return_counts=True)[1].tolist() == [2] * people
        rows = [int((faces.images == image).flatten(1).all(1).nonzero()) for image in few.images]
        torch.testing.assert_close(few.landmarks, faces.landmarks[rows])
    drawn = {tuple(some_people(faces, 4, seed=seed).labels.tolist()) for seed in range(9)}
    assert len(drawn) > 1

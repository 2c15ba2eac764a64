"""The validation score: D on modified and on clear faces of validation people."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anonlib.attack.verification import recognisability
from anonlib.experiment import validation
from anonlib.experiment.datasets import hold_back
from anonlib.types import FaceImages


def test_people_on_axes_of_their_own_are_recognised():
    features = np.eye(3)[[0, 0, 1, 1, 2, 2]]
    assert recognisability(features, torch.tensor([0, 0, 1, 1, 2, 2])) == 1.0


def test_people_who_all_look_alike_are_recognised_by_chance():
    labels = torch.tensor([0, 0, 1, 1])
    assert recognisability(np.ones((4, 2)) / 2**0.5, labels) == pytest.approx(0.5)


def test_every_eighth_person_is_held_back(faces: FaceImages):
    train, held = hold_back(faces, every=2)
    assert train.labels.tolist() == held.labels.tolist() == [0, 0, 1, 1]
    torch.testing.assert_close(train.images, faces.images[[0, 1, 4, 5]])
    torch.testing.assert_close(held.images, faces.images[[2, 3, 6, 7]])


def test_nobody_is_held_back_of_a_few(faces: FaceImages):
    train, held = hold_back(faces)
    assert (len(train), len(held)) == (len(faces), 0)
    assert validation.validation_score(held, players=None) is None


@pytest.mark.parametrize(("clear", "score"), [(0.99, 0.6), (0.90, 0.6 + 10 * 0.06)])
def test_a_classifier_that_forgot_clear_faces_scores_worse(faces, monkeypatch, clear, score):
    """Whatever `modified` scores, D must still know the originals."""
    players = type("Players", (), {"modifier": torch.nn.Identity(), "classifier": torch.nn.Identity()})
    modified = FaceImages(images=faces.images // 2, labels=faces.labels, landmarks=faces.landmarks)
    monkeypatch.setattr(validation, "anonymize_faces", lambda *_: modified)
    monkeypatch.setattr(validation, "face_features", lambda _, shown: shown)
    monkeypatch.setattr(validation, "recognisability", lambda shown, _: 0.6 if shown is modified else clear)
    score_now = validation.validation_score(faces, players)
    assert score_now is not None
    assert score_now() == pytest.approx(score)


def test_clear_faces_are_looked_at_only_where_a_state_can_still_win(faces, monkeypatch):
    players = type("Players", (), {"modifier": torch.nn.Identity(), "classifier": torch.nn.Identity()})
    modified = FaceImages(images=faces.images // 2, labels=faces.labels, landmarks=faces.landmarks)
    hidden, looks = iter([0.7, 0.8, 0.6, 0.65]), []

    def features(_: torch.nn.Module, shown: FaceImages) -> FaceImages:
        looks.append("modified" if shown is modified else "clear")
        return shown

    monkeypatch.setattr(validation, "anonymize_faces", lambda *_: modified)
    monkeypatch.setattr(validation, "face_features", features)
    monkeypatch.setattr(
        validation, "recognisability", lambda shown, _: next(hidden) if shown is modified else 0.95
    )
    score_now = validation.validation_score(faces, players)
    assert score_now is not None
    scores = [score_now() for _ in range(4)]
    assert scores == pytest.approx([0.7 + 0.1, 0.8, 0.6 + 0.1, 0.65 + 0.1])
    assert looks == ["modified", "clear", "modified", "modified", "clear", "modified", "clear"]
    assert min(scores) == scores[2]

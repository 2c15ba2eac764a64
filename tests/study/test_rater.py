from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anonlib.anonymizers import create
from anonlib.attack.verification import face_features
from anonlib.config import profile
from anonlib.networks import SphereFace
from anonlib.study.answers import Answer, read_answers, statistics
from anonlib.study.questions import Study, synthetic_study
from anonlib.study.rater import simulate, simulated_rater
from anonlib.training.start import trained_classifier


@pytest.fixture(scope="module")
def classifier() -> SphereFace:
    return trained_classifier(profile("smoke"))


def made(method: str) -> Study:
    return synthetic_study(create(method), method=method, people=8)


def shares(answers: list[Answer]) -> dict[str, float]:
    return {share.question: share.share for share in statistics(answers)}


def test_they_know_clear_faces_and_would_not_trust_what_leaves_them_clear(
    classifier: SphereFace, tmp_path: Path
) -> None:
    found = shares(simulate(made("unanonymized"), classifier, tmp_path, participants=3))
    assert found["Q1"] > 0.8
    assert (found["Q2"], found["Q3"]) == (1, 0)


def test_behind_a_mask_each_is_right_in_half_the_pairs(classifier: SphereFace, tmp_path: Path) -> None:
    answers = simulate(made("mask"), classifier, tmp_path, participants=3)
    for number in range(3):
        assert shares([a for a in answers if a.participant == number])["Q1"] == 0.5
    assert shares(answers)["Q3"] == 1


def test_they_are_kept_apart_from_people_and_not_asked_twice(classifier: SphereFace, tmp_path: Path) -> None:
    study = made("blur8")
    answers = simulate(study, classifier, tmp_path, participants=1)
    assert len(answers) == len(study.questions)
    assert read_answers(tmp_path) == []
    more = simulate(study, classifier, tmp_path, participants=2)
    assert more[: len(answers)] == answers
    assert {a.participant for a in more} == {0, 1}


def test_its_answers_repeat_and_differ_between_participants(classifier: SphereFace) -> None:
    study = made("blur8")
    clear, hidden = (face_features(classifier, x) for x in (study.before, study.after))
    one, again, other = (
        [simulated_rater(study, clear, hidden, participant=n)(q) for q in study.questions] for n in (1, 1, 2)
    )
    assert one == again != other


def test_without_introductions_it_goes_by_the_clear_picture() -> None:
    """Features by hand: person k's pictures all point along axis k."""
    study = made("mask")
    features = np.eye(8)[study.before.labels.numpy()]
    asked = [question for question in study.questions if question.kind != "Q3"]
    for introduced in (study.introduced, dict.fromkeys(study.introduced, ())):
        same = replace(study, introduced=introduced)
        rater = simulated_rater(same, features, features, participant=0)
        assert [rater(question) for question in asked] == [question.truth for question in asked]

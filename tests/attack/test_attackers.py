"""Attackers that are known to be perfect or blind, and the real ones with a tiny budget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from anonlib.attack import retrained as retraining, subjects as subjects_module
from anonlib.attack.attackers import Attacker, attack_all, both
from anonlib.attack.budget import Budget
from anonlib.attack.restoring import restored_features, train_restorer
from anonlib.attack.retrained import retrain, settings, tune
from anonlib.attack.scores import FARS, TWO_MODIFIED, WITH_CLEAR, score
from anonlib.attack.subjects import Part, Subjects, View, join, some_pairs, with_landmarks
from anonlib.config import ClassifierConfig
from anonlib.errors import ConfigError
from anonlib.geometry import align_faces
from anonlib.networks import SphereFace
from anonlib.types import FaceImages
from anonlib.world.faces import synthetic_faces

TINY = Budget(
    people=6,
    images=2,
    validation_people=4,
    test_people=8,
    test_images=2,
    pairs=16,
    faces=4,
    steps=2,
    restoring_steps=2,
)


def drawn(people: range, images: int = 2) -> Part:
    """Drawn faces, and their colours inverted."""
    clear = synthetic_faces(people, images=images, size=32, seed=0)
    return Part(clear=clear, modified=replace(clear, images=255 - clear.images))


@pytest.fixture(scope="module")
def everybody() -> Subjects:
    view = View(train=drawn(range(6)), validation=drawn(range(20, 24)), test=drawn(range(30, 38)))
    test, validation = view.test.clear.labels, view.validation.clear.labels
    return Subjects(
        found=view,
        original=view,
        pairs=some_pairs(test, 16, seed=0),
        validation_pairs=some_pairs(validation, 8, seed=0),
    )


@pytest.fixture
def classifier() -> SphereFace:
    torch.manual_seed(0)
    return SphereFace(ClassifierConfig(size=(32, 32), depth=4, width=4, features=8), people=6)


def by_label(faces: FaceImages) -> np.ndarray:
    return np.eye(50)[faces.labels.numpy()]


def blind(faces: FaceImages) -> np.ndarray:
    return np.eye(50)[np.zeros(len(faces), int)]


def test_a_perfect_attacker_is_always_right_and_a_blind_one_guesses(everybody: Subjects) -> None:
    test = everybody.original.test
    for see, accuracy, rank1 in ((by_label, 1.0, 1.0), (blind, 0.5, 1 / 8)):
        attacker = Attacker(compares=both("x"), trained_on="clear", modified=see, clear=see)
        for found in attacker.scores(test, everybody.pairs, "found"):
            assert found.accuracy == accuracy and found.auc == accuracy and found.attacker == "x"
            assert found.rank1 == pytest.approx(rank1) and found.rank1_lo <= rank1 <= found.rank1_hi


def test_a_modified_face_is_compared_with_the_side_that_is_named(everybody: Subjects) -> None:
    attacker = Attacker(compares=both("x"), trained_on="clear", modified=by_label, clear=blind)
    found = {one.pairs: one for one in attacker.scores(everybody.original.test, everybody.pairs, "found")}
    assert found[TWO_MODIFIED].accuracy == 1.0 and found[WITH_CLEAR].accuracy < 1.0
    assert found[TWO_MODIFIED].rank1 == 1.0 and found[WITH_CLEAR].rank1 < 0.5


def test_a_curve_keeps_no_rate_below_one_pair(everybody: Subjects) -> None:
    features = by_label(everybody.original.test.clear)
    found = score(
        features,
        features,
        everybody.pairs,
        everybody.original.test.clear.labels.numpy(),
        attacker="x",
        aligned_by="found",
        trained_on="clear",
        kind=TWO_MODIFIED,
    )
    different = int((~everybody.pairs.same).sum())
    assert FARS[-len(found.curve)] >= 1 / different > FARS[-len(found.curve) - 1]
    assert found.curve[-1] == 1.0 and found.far == 0.1


def test_every_attacker_meets_both_landmarks_and_d_stays_as_it_is(
    everybody: Subjects, classifier: SphereFace
) -> None:
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    scores, tried = attack_all(
        everybody, classifier, TINY, others={"other": by_label}, seed=0, progress=False
    )
    torch.testing.assert_close(classifier.state_dict(), before)
    assert set(tried) == set(TINY.rates)
    assert [one.accuracy for one in scores] == sorted((one.accuracy for one in scores), reverse=True)
    assert scores[0].attacker == "unseen: other"
    rows = {(s.attacker, s.trained_on, s.pairs, s.aligned_by) for s in scores}
    assert len(rows) == len(scores) == 2 * 10
    assert {name for name, *_ in rows} == {"naive", "linking", "retrained", "restoring", "unseen: other"}


def test_the_best_rate_on_validation_people_is_kept(
    everybody: Subjects, classifier: SphereFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taught(_: SphereFace, lessons: FaceImages, config: object, **options: object) -> tuple[object, list]:
        assert lessons is everybody.found.train.modified
        return config.pretrain_lr, []  # type: ignore[attr-defined]

    monkeypatch.setattr(retraining, "retrain", taught)
    see = {0.1: blind, 0.2: by_label}
    monkeypatch.setattr(retraining, "face_features", lambda rate, faces: see[rate](faces))
    tuned = tune(
        classifier,
        everybody.found.train.modified,
        everybody.found.validation.modified,
        everybody.validation_pairs,
        replace(TINY, rates=(0.1, 0.2)),
        seed=0,
    )
    assert tuned.rate == tuned.attacker == 0.2 and tuned.tried == {0.1: 0.5, 0.2: 1.0}


def test_retraining_learns_the_lessons_and_leaves_the_original(
    everybody: Subjects, classifier: SphereFace
) -> None:
    before = classifier.embed.weight.clone()
    config = replace(settings(TINY, rate=3e-3), classifier_steps=30)
    attacker, losses = retrain(classifier, everybody.found.train.modified, config, seed=0, progress=False)
    assert losses[-1]["classifier"] < losses[0]["classifier"]
    assert torch.equal(classifier.embed.weight, before) and not torch.equal(attacker.embed.weight, before)


@pytest.mark.slow
def test_a_restorer_learns_to_undo_an_inversion(everybody: Subjects, classifier: SphereFace) -> None:
    def distance(steps: int) -> float:
        budget = replace(TINY, restoring_steps=steps, faces=24)
        restorer = train_restorer(classifier, everybody.original.train, budget, seed=0, progress=False)
        part = everybody.original.train
        features = restored_features(classifier, restorer, part.modified)
        assert features.shape == (12, 8)
        np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
        aligned = [
            align_faces(faces.images.float() / 255, part.clear.landmarks, (32, 32))
            for faces in (part.modified, part.clear)
        ]
        with torch.no_grad():
            return float((restorer(aligned[0]) - aligned[1]).abs().mean())

    assert distance(60) < 0.8 * distance(0)


def test_pairs_are_as_many_as_there_can_be() -> None:
    labels = torch.arange(40).repeat_interleave(2)
    pairs = some_pairs(labels, 6000, seed=0)
    assert len(pairs) == 80 and pairs.fold.max() == 9  # 4 people with one pair each in each fold
    assert len(some_pairs(labels, 40, seed=0)) == 40
    assert some_pairs(labels[:10], 6000, seed=0).fold.max() == 1
    with pytest.raises(ConfigError, match="2 people cannot fill 2 folds"):
        some_pairs(labels[:4], 6000, seed=0)


def test_faces_are_joined_and_get_other_landmarks() -> None:
    part = drawn(range(2))
    both_parts = part.joined()
    assert torch.equal(both_parts.images, torch.cat([part.clear.images, part.modified.images]))
    assert len(join(part.clear, part.clear, part.clear)) == 12
    points = torch.rand(4, 5, 2)
    found = with_landmarks(part.clear, lambda images: points + len(images))
    torch.testing.assert_close(found.landmarks, points + 4)


def test_drawn_subjects_are_three_groups_and_found_landmarks_are_new() -> None:
    found = subjects_module.drawn_subjects(lambda faces: faces * 0, TINY, seed=0)
    assert [len(part.clear) for part in (found.found.train, found.found.validation, found.found.test)] == [
        12,
        8,
        16,
    ]
    assert not found.original.test.modified.images.any()
    assert not torch.equal(found.found.test.modified.landmarks, found.original.test.modified.landmarks)
    assert torch.equal(found.original.test.modified.landmarks, found.original.test.clear.landmarks)


@pytest.mark.parametrize("name", ["people", "steps"])
def test_a_budget_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"budget {name} 0: use 1 or more"):
        replace(TINY, **{name: 0})

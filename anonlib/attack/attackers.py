"""The five attackers. Every method meets the same ones, with the same budget.

| attacker | knows | does |
|---|---|---|
| naive | clear faces | compares two modified faces by D, trained on clear ones; the paper's attacker |
| linking | clear faces | compares a modified face with a clear photograph by the same D |
| retrained | the method, runs it on its own people | trains D on modified faces, or modified and clear |
| restoring | the same | trains a network to undo the method, then recognises by D |
| unseen | nothing of the method | compares by a recogniser that no method was trained against |

Each aligns the faces by landmarks found on the picture, as an attacker must, and a second time by those of
the original, which no attacker has.

Differs from the paper: only the naive attacker is the paper's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from anonlib.attack.budget import Budget
from anonlib.attack.recognizers import Recognizer
from anonlib.attack.restoring import restored_features, train_restorer
from anonlib.attack.retrained import retrain, settings, tune
from anonlib.attack.scores import TWO_CLEAR, TWO_MODIFIED, WITH_CLEAR, Score, score
from anonlib.attack.subjects import Part, Subjects
from anonlib.attack.verification import face_features
from anonlib.metrics.verification import Pairs
from anonlib.networks import SphereFace

KNOWS = {
    "naive": "clear faces; D is trained on them alone",
    "linking": "the same D, and a clear photograph of the person",
    "retrained": "the method: it trains D on pictures of its own people that the method modified",
    "restoring": "the method: it trains a network to undo it on its own people, then recognises by D",
    "unseen": "nothing of the method; a recogniser of another family or other data",
}
"""What each attacker knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacker:
    """How an attacker turns faces into features, and which pictures it compares."""

    compares: Mapping[str, str]
    """The name of the attacker for each kind of pairs."""
    trained_on: str
    modified: Recognizer
    clear: Recognizer

    def scores(self, test: Part, pairs: Pairs, aligned_by: str) -> Iterator[Score]:
        """One `Score` for each kind of pairs."""
        modified, clear = self.modified(test.modified), self.clear(test.clear)
        sides = {TWO_MODIFIED: (modified, modified), WITH_CLEAR: (modified, clear)}
        for kind, name in self.compares.items():
            yield score(
                *sides[kind],
                pairs,
                test.clear.labels.numpy(),
                attacker=name,
                aligned_by=aligned_by,
                trained_on=self.trained_on,
                kind=kind,
            )


def both(name: str) -> dict[str, str]:
    """An attacker that compares two modified pictures, and a modified one with a clear one."""
    return {TWO_MODIFIED: name, WITH_CLEAR: name}


def naive_and_linking(classifier: SphereFace) -> Attacker:
    """D as it was trained on clear faces. Naive is the attacker of Ren et al., section 5.1."""
    by = partial(face_features, classifier)
    names = {TWO_MODIFIED: "naive", WITH_CLEAR: "linking"}
    return Attacker(compares=names, trained_on="clear", modified=by, clear=by)


def retrained(classifier: SphereFace, trained_on: str) -> Attacker:
    """D after training on modified faces of training people alone, or on modified and clear ones."""
    by = partial(face_features, classifier)
    return Attacker(compares=both("retrained"), trained_on=trained_on, modified=by, clear=by)


def restoring(classifier: SphereFace, train: Part, budget: Budget, *, seed: int, progress: bool) -> Attacker:
    """Undoes the method as well as it can, then recognises."""
    restorer = train_restorer(classifier, train, budget, seed=seed, progress=progress)
    return Attacker(
        compares=both("restoring"),
        trained_on="clear and modified",
        modified=partial(restored_features, classifier, restorer),
        clear=partial(face_features, classifier),
    )


def unseen(name: str, recognizer: Recognizer) -> Attacker:
    """Compares by a recogniser that knows nothing of the method."""
    return Attacker(
        compares=both(f"unseen: {name}"), trained_on="clear", modified=recognizer, clear=recognizer
    )


def attack_all(
    subjects: Subjects,
    classifier: SphereFace,
    budget: Budget,
    *,
    others: Mapping[str, Recognizer],
    seed: int,
    landmarks: Collection[str] = ("found", "original"),
    progress: bool = True,
) -> tuple[list[Score], dict[float, float]]:
    """Scores of all attackers, the most accurate first, and the accuracy at each learning rate.

    Args:
        classifier: D, trained on clear faces; its identities are those of the training people. It is copied.
        others: recognisers for `unseen` by their names.
        landmarks: by which faces are aligned, see `Subjects`.
    """
    options: Any = {"seed": seed, "progress": progress}
    train, unseen_faces = subjects.found.train, subjects.found.validation.modified
    tuned = tune(classifier, train.modified, unseen_faces, subjects.validation_pairs, budget, **options)
    config, scores = settings(budget, rate=tuned.rate), list[Score]()
    for aligned_by in landmarks:
        view = subjects.views[aligned_by]
        alone = tuned.attacker
        if aligned_by != "found":
            alone, _ = retrain(classifier, view.train.modified, config, **options)
        together, _ = retrain(classifier, view.train.joined(), config, **options)
        for attacker in (
            naive_and_linking(classifier),
            *(unseen(name, other) for name, other in others.items()),
            restoring(classifier, view.train, budget, **options),
            retrained(alone, "modified"),
            retrained(together, "clear and modified"),
        ):
            scores += attacker.scores(view.test, subjects.pairs, aligned_by)
    return sorted(scores, key=lambda one: -one.accuracy), tuned.tried


def clear_score(subjects: Subjects, classifier: SphereFace) -> Score:
    """D on two clear pictures: the accuracy without any method."""
    test = subjects.original.test
    features = face_features(classifier, test.clear)
    return score(
        features,
        features,
        subjects.pairs,
        test.clear.labels.numpy(),
        attacker="D",
        aligned_by="original",
        trained_on="clear",
        kind=TWO_CLEAR,
    )

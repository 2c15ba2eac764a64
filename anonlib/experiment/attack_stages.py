"""Stages that attack modified faces: D before and after Algorithm 1, and copies of it that are retrained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from anonlib.anonymizers import Anonymizer
from anonlib.attack.retrained import retrain
from anonlib.attack.subjects import FindLandmarks, Part, with_landmarks
from anonlib.attack.verification import anonymize_faces, compare_clear_and_modified
from anonlib.experiment.predictions import save_attacks
from anonlib.networks import SphereFace
from anonlib.types import FaceImages

if TYPE_CHECKING:
    from anonlib.experiment.methods import Experiment

TWO_CLEAR = "two clear"
_AFTER = ("D after Algorithm 1", "original", "clear and modified")
_BEFORE = ("D before Algorithm 1", "original", "clear")
_PAIRS = {"modified": "two modified", "modified_original": "modified and clear"}
COLUMNS = ("attacker", "aligned_by", "trained_on", "pairs")
ATTACKS = {
    "original": (*_AFTER, TWO_CLEAR),
    "original_start": (*_BEFORE, TWO_CLEAR),
    **{kind: (*_AFTER, pairs) for kind, pairs in _PAIRS.items()},
    **{f"{kind}_start": (*_BEFORE, pairs) for kind, pairs in _PAIRS.items()},
    **{
        f"{kind}_{lessons}{view}": ("D retrained", aligned_by, trained_on, pairs)
        for lessons, trained_on in (("retrained", "modified"), ("together", "clear and modified"))
        for view, aligned_by in (("", "original"), ("_found", "found"))
        for kind, pairs in _PAIRS.items()
    },
}
"""The `COLUMNS` of each attack by its name: the attacker; the landmarks that align the modified faces; the
faces on which the attacker was trained; the pairs that are compared. Landmarks are `found` on the modified
face, or of the `original`, which no attacker has."""


def attack(
    experiment: Experiment,
    name: str,
    anonymizer: Anonymizer,
    classifier: SphereFace,
    *,
    find_landmarks: FindLandmarks | None = None,
) -> dict[str, Any]:
    """Makes the `ATTACKS` on an anonymizer and keeps the similarities of all pairs.

    Implements Ren et al., section 5.6, Does the face classifier remain accurate?
    Differs from the paper: the D before Algorithm 1, the pairs of a modified and a clear face, and the
    retrained attackers are ours. These learn on training people, with A-Softmax's margin annealed from the
    start, because with the full margin the loss stays at the level of guessing.

    Args:
        name: of the anonymizer, for files.
        classifier: D after Algorithm 1.
        find_landmarks: an attacker's detector. Without one there are no attacks by `found` landmarks.
    """
    run, data = experiment.run, experiment.data
    train, test = (
        Part(clear=clear, modified=anonymize_faces(clear, anonymizer))
        for clear in (data.train_faces, data.test_faces)
    )
    cosines: dict[str, np.ndarray] = {}
    for suffix, one in (("", classifier), ("_start", experiment.classifier)):
        scores = compare_clear_and_modified(one, test.clear, test.modified, data.pairs)
        cosines |= {f"{kind}{suffix}": found for kind, found in scores.items()}
    for suffix, lessons, tested in retrainings(train, test, find_landmarks):
        attacker = retrain_start(experiment, lessons, f"attack-{name}-{suffix}")
        scores = compare_clear_and_modified(attacker, tested.clear, tested.modified, data.pairs)
        cosines |= {f"{kind}_{suffix}": scores[kind] for kind in _PAIRS}
    save_attacks(run.predictions, name, cosines)
    return {}


def attack_without_game(experiment: Experiment, name: str, anonymizer: Anonymizer) -> dict[str, Any]:
    """The attacks of `attack` without Algorithm 1: D from clear faces, and D retrained on modified ones."""
    run, data = experiment.run, experiment.data
    modified = anonymize_faces(data.test_faces, anonymizer)
    lessons = anonymize_faces(data.train_faces, anonymizer)
    attackers = {
        "start": experiment.classifier,
        "retrained": retrain_start(experiment, lessons, f"attack-{name}-retrained"),
    }
    cosines: dict[str, np.ndarray] = {}
    for suffix, attacker in attackers.items():
        scores = compare_clear_and_modified(attacker, data.test_faces, modified, data.pairs)
        cosines |= {f"{kind}_{suffix}": scores[kind] for kind in _PAIRS}
    save_attacks(run.predictions, name, cosines)
    return {}


def retrainings(
    train: Part, test: Part, find_landmarks: FindLandmarks | None
) -> Iterator[tuple[str, FaceImages, Part]]:
    """For each retrained attacker: the end of its name, the faces to train on, and those to test on.

    The attacker that trains on clear and modified faces gets `found` landmarks if there is a finder.
    """
    yield "retrained", train.modified, test
    suffix = ""
    if find_landmarks is not None:
        train, test = (
            Part(
                clear=with_landmarks(part.clear, find_landmarks),
                modified=with_landmarks(part.modified, find_landmarks),
            )
            for part in (train, test)
        )
        suffix = "_found"
        yield f"retrained{suffix}", train.modified, test
    yield f"together{suffix}", train.joined(), test


def retrain_start(experiment: Experiment, faces: FaceImages, file: str) -> SphereFace:
    """A copy of D, as it was before Algorithm 1, trained on these faces of training people."""
    run = experiment.run
    attacker, losses = retrain(
        experiment.classifier, faces, run.profile.training, **run.training_options(file)
    )
    run.log(file, losses)
    return attacker

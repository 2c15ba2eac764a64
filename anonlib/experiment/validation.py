"""The validation score by which Algorithm 1 keeps the best checkpoint of M and D."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import torch

from anonlib.anonymizers import create
from anonlib.attack.verification import anonymize_faces, face_features, recognisability
from anonlib.config import TrainingConfig
from anonlib.training import Players, train_classifier
from anonlib.training.loop import fixed_random_numbers
from anonlib.types import FaceImages


def validation_score(
    players: Players, train: FaceImages, validation: FaceImages, config: TrainingConfig, *, seed: int
) -> Callable[[], float] | None:
    """A function that scores the current M on validation people; lower is better.

    Call this before Algorithm 1. Each time, a copy of D as it is now is retrained for `judge_steps` on
    `judge_faces` modified training faces, in half of the usual batches. The score is its 1 - EER on pairs of
    as many modified validation faces. The D that is trained with M is not asked, because it may be weak where
    it broke, and not where M hides people best.

    The players, their training or evaluation mode and the random numbers stay as they are.

    Args:
        train: the faces of Algorithm 1.
        validation: faces of further people.
        seed: chooses the training faces, and the random numbers of D and M.

    Returns None if there are fewer than two validation people.
    """
    if len(validation.labels.unique()) < 2:
        return None
    start = copy.deepcopy(players.classifier)
    known = some_faces(train, config.judge_faces, seed=seed)
    others = some_people(validation, config.judge_faces, seed=seed)
    settings = replace(config, classifier_steps=config.judge_steps, faces=max(1, config.faces // 2))
    device = start.identities.device

    def score() -> float:
        modifier, judge, training = players.modifier, copy.deepcopy(start), players.modifier.training
        with fixed_random_numbers(seed, device):
            hide = create("modifier", modifier, seed=seed)
            lessons, unseen = anonymize_faces(known, hide), anonymize_faces(others, hide)
            train_classifier(judge, lessons, settings, seed=seed, progress=False)
        modifier.train(training)
        return recognisability(face_features(judge, unseen), unseen.labels)

    return score


def some_faces(faces: FaceImages, count: int, *, seed: int) -> FaceImages:
    """At most `count` faces, drawn by the seed."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(faces), generator=generator)[:count].sort().values
    return faces.select(rows)


def some_people(faces: FaceImages, count: int, *, seed: int) -> FaceImages:
    """All faces of some people, at least two, drawn by the seed: about `count` faces or fewer."""
    generator, people = torch.Generator().manual_seed(seed), faces.labels.unique()
    most = max(2, count * len(people) // len(faces))
    chosen = people[torch.randperm(len(people), generator=generator)[:most]]
    return faces.select(torch.isin(faces.labels, chosen))

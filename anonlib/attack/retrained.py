"""The attacker who retrains: D learns to recognise modified faces of other people than the test's."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from anonlib.attack.budget import Budget
from anonlib.attack.framing import BeforeAfter
from anonlib.attack.recognizers import recognizing_classifier
from anonlib.attack.verification import face_features, similarities, verify_scores
from anonlib.config import TrainingConfig
from anonlib.data.face_folders import FaceFolder
from anonlib.data.lfw import people_in_folds
from anonlib.errors import FaceDatasetError
from anonlib.metrics.verification import Pairs
from anonlib.networks import SphereFace
from anonlib.training import train_classifier
from anonlib.training.loop import History
from anonlib.types import FaceImages

Crop = Callable[[Sequence[Path]], BeforeAfter]
"""Crops picture files before and after the method under attack, as `crop_before_and_after` does."""
IMAGES = 10
"""Pictures a person at most, so that the few people with hundreds do not dominate the batches."""


def retrain(
    classifier: SphereFace, faces: FaceImages, config: TrainingConfig, **options: Any
) -> tuple[SphereFace, History]:
    """A copy of D trained on these faces, modified or modified and clear, and its losses.

    The margin of A-Softmax is annealed from the start, because with the full margin the loss stays at the
    level of guessing. `options` are those of `train_classifier`.
    """
    attacker = copy.deepcopy(classifier)
    return attacker, train_classifier(attacker, faces, config, **options)


def settings(budget: Budget, *, rate: float) -> TrainingConfig:
    """The training of an attacker within the budget."""
    return TrainingConfig(faces=max(1, budget.faces // 2), classifier_steps=budget.steps, pretrain_lr=rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """The attacker of the best learning rate."""

    attacker: SphereFace
    rate: float
    tried: dict[float, float]
    """Accuracy on modified faces of validation people at each rate."""


def tune(
    classifier: SphereFace,
    lessons: FaceImages,
    unseen: FaceImages,
    pairs: Pairs,
    budget: Budget,
    *,
    seed: int,
    progress: bool = True,
) -> Tuned:
    """Retrains D at each rate of the budget and keeps the attacker that is best on validation people.

    Each rate is trained at full length: a high rate can be worse after a short trial and better at the end.

    Args:
        lessons: modified faces of training people.
        unseen: modified faces of validation people, compared in `pairs`.
    """
    attackers, tried = {}, {}
    for rate in budget.rates:
        options = {"seed": seed, "progress": progress}
        attackers[rate], _ = retrain(classifier, lessons, settings(budget, rate=rate), **options)
        features = face_features(attackers[rate], unseen)
        tried[rate] = verify_scores(similarities(features, features, pairs), pairs).accuracy
    best = max(tried, key=lambda rate: tried[rate])
    return Tuned(attacker=attackers[best], rate=best, tried=tried)


def retrained_classifier(
    root: Path,
    crop: Crop,
    folds: Collection[int],
    *,
    steps: int,
    seed: int,
    device: str = "cpu",
    progress: bool = True,
) -> SphereFace:
    """D trained on modified faces of the people in LFW's folder `root` who are in no pair of the test folds.

    Training starts from the shipped weights with new identities and anneals the margin of A-Softmax again.
    Each of the `steps` updates sees 48 faces.

    Differs from the paper: the paper has no attacker that is retrained on modified faces.

    Raises:
        FaceDatasetError: fewer than two people outside the folds have two pictures.
    """
    faces = modified_people(root, crop, folds)
    known = recognizing_classifier()
    torch.manual_seed(seed)
    classifier = SphereFace(known.config, people=int(faces.labels.max()) + 1)
    layers = {k: v for k, v in known.state_dict().items() if k != "identities"}
    classifier.load_state_dict({"identities": classifier.identities, **layers})
    classifier.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    train_classifier(
        classifier, faces, TrainingConfig(faces=24, classifier_steps=steps), seed=seed, progress=progress
    )
    return classifier


def modified_people(root: Path, crop: Crop, folds: Collection[int]) -> FaceImages:
    """Modified faces of everybody with two or more pictures who is in no pair of the folds."""
    folder, excluded = FaceFolder(root), people_in_folds(root, folds)
    names = [name for name in folder.people_with(2) if name not in excluded]
    if len(names) < 2:
        raise FaceDatasetError(
            f"face root '{root}': nobody is left to retrain D on, all with two pictures are in the "
            "folds; add people or leave --retrain out"
        )
    paths = [(label, path) for label, name in enumerate(names) for path in folder.pictures(name)[:IMAGES]]
    faces = crop([path for _, path in paths])
    return faces.modified.faces(faces.original.found, torch.tensor([label for label, _ in paths]))

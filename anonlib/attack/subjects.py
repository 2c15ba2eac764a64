"""Whom the attackers train on and whom they attack, before and after a method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from anonlib.anonymizers import Anonymizer
from anonlib.attack.budget import Budget
from anonlib.attack.landmarks import found_landmarks
from anonlib.attack.verification import anonymize_faces
from anonlib.config import profile
from anonlib.metrics.verification import Pairs, verification_pairs
from anonlib.training.start import starting_modifier
from anonlib.types import FaceImages, Images, join_images
from anonlib.world.faces import PEOPLE, SyntheticPeople, synthetic_faces

FindLandmarks = Callable[[Images], Tensor]
"""From uint8 faces `(N, 3, S, S)` to their landmarks `(N, 5, 2)`, xy pixels."""
FOLDS = 10
VALIDATION = 2000
"""First validation person. Those before are used to choose the settings of M and of the attackers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The same pictures before and after a method, in the same order."""

    clear: FaceImages
    modified: FaceImages

    def joined(self) -> FaceImages:
        """Clear and modified pictures of the same people."""
        return join(self.clear, self.modified)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everybody, with the landmarks by which an attacker aligns the faces."""

    train: Part
    validation: Part
    test: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """Everybody in both views, and the pairs that are compared."""

    found: View
    """Aligned by landmarks that are found on the picture itself: what an attacker has."""
    original: View
    """Modified pictures aligned by the landmarks of the clear ones: an upper bound."""
    pairs: Pairs
    validation_pairs: Pairs

    @property
    def views(self) -> dict[str, View]:
        """The views by the name of their landmarks, `found` first."""
        return {"found": self.found, "original": self.original}


def drawn_subjects(
    anonymizer: Anonymizer, budget: Budget, *, seed: int, first: int = PEOPLE["test"].start
) -> Subjects:
    """People who do not exist, in crops of 64 pixels.

    The landmarks are found by the reader of M-state, which was trained on clear drawn faces.
    The people who are attacked have the numbers from `first` on, in those of the test split.
    """
    size, people = profile("laptop").modifier.size, SyntheticPeople()
    test_people = range(first, first + budget.test_people)
    validation = people.people("validation")[VALIDATION : VALIDATION + budget.validation_people]
    parts = {}
    for name, numbers, images in (
        ("train", people.people("train")[: budget.people], budget.images),
        ("validation", validation, budget.test_images),
        ("test", test_people, budget.test_images),
    ):
        clear = synthetic_faces(numbers, images=images, size=size, seed=seed)
        parts[name] = Part(clear=clear, modified=anonymize_faces(clear, anonymizer))
    return subjects(View(**parts), budget, seed=seed, find=drawn_finder(seed=seed))


def drawn_finder(*, seed: int) -> FindLandmarks:
    """Finds the landmarks of drawn faces of 64 pixels."""
    reader = starting_modifier(profile("laptop"), seed=seed)
    return lambda images: found_landmarks(reader, images)  # type: ignore[arg-type]


def subjects(original: View, budget: Budget, *, seed: int, find: FindLandmarks) -> Subjects:
    """The view by the original's landmarks, the one by found landmarks, and pairs."""
    parts = {name: getattr(original, name) for name in ("train", "validation", "test")}
    found = {
        name: Part(clear=with_landmarks(part.clear, find), modified=with_landmarks(part.modified, find))
        for name, part in parts.items()
    }
    return Subjects(
        found=View(**found),
        original=original,
        pairs=some_pairs(original.test.clear.labels, budget.pairs, seed=seed),
        validation_pairs=some_pairs(original.validation.clear.labels, budget.pairs, seed=seed),
    )


def some_pairs(labels: Tensor, most: int, *, seed: int) -> Pairs:
    """At most `most` pairs in ten folds of people; fewer if there are too few people or pictures.

    Raises:
        ConfigError: there are fewer than four people.
    """
    people, counts = labels.unique(return_counts=True)
    folds = max(2, min(FOLDS, len(people) // 2))
    # the fold with the fewest pairs of one person may have the people with the fewest pictures
    fewest = (counts * (counts - 1) // 2).sort().values[: len(people) // folds].sum()
    each = max(1, min(most // (2 * folds), int(fewest)))
    return verification_pairs(labels, pairs=2 * folds * each, folds=folds, seed=seed)


def with_landmarks(faces: FaceImages, find: FindLandmarks) -> FaceImages:
    """The same faces with the landmarks that are found on them."""
    return replace(faces, landmarks=find(faces.images))


def join(*parts: FaceImages) -> FaceImages:
    """Faces of all parts in one set, with the labels that they have."""
    return FaceImages(
        images=join_images([part.images for part in parts]),
        labels=torch.cat([part.labels for part in parts]),
        landmarks=torch.cat([part.landmarks for part in parts]),
    )

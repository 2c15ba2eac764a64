"""All attackers on a method: on drawn people, or on pictures of real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from anonlib.anonymizers import Anonymizer
from anonlib.attack import recognizers
from anonlib.attack.attackers import attack_all, clear_score
from anonlib.attack.audit.pictures import picture_subjects
from anonlib.attack.budget import Budget
from anonlib.attack.recognizers import Recognizer
from anonlib.attack.retrained import Crop
from anonlib.attack.scores import Score
from anonlib.attack.subjects import Subjects, drawn_subjects
from anonlib.config import profile
from anonlib.data.face_folders import FaceFolder
from anonlib.errors import ConfigError
from anonlib.training.start import starting_classifier

GALLERY = 200
"""The page warns of a gallery with fewer people: its rank-1 is too high."""
EXAMPLES = 8
FOUND = 0.5
"""If a smaller share of the modified faces is found, the page warns about landmarks `found`."""
LOST = (
    "no face is found in {:.0f}% of the modified test pictures: there the attackers get the landmarks of the "
    "original"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was measured."""

    method: str
    data: str
    """Whose pictures."""
    scores: tuple[Score, ...]
    """Of every attacker, the most accurate first."""
    clear: Score
    """D on two clear pictures."""
    skipped: dict[str, str]
    """Attackers that did not run, and why."""
    rates: dict[float, float]
    """Learning rates that were tried, and their accuracy on validation people."""
    counts: dict[str, int]
    """People in each part, test pictures, pairs, folds."""
    warnings: tuple[str, ...]
    budget: Budget
    seed: int
    examples: Tensor | None = field(default=None, compare=False)
    """uint8 `(2, n, 3, S, S)`: drawn faces before and after; None for real people."""

    @property
    def strongest(self) -> Score:
        """The most accurate attacker, with landmarks of either kind."""
        return self.scores[0]

    @property
    def strongest_found(self) -> Score:
        """The most accurate attacker with landmarks `found`, which a real attacker has."""
        return next(score for score in self.scores if score.aligned_by == "found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """People before and after a method, and who attacks them."""

    subjects: Subjects
    profile: str
    """The profile whose D attacks."""
    data: str
    """Whose pictures."""
    unseen: tuple[str, ...]
    """Recognisers that no method was trained against, if they are installed."""
    warnings: tuple[str, ...] = ()
    examples: Tensor | None = None
    """As in `Audit`."""


def drawn_case(anonymizer: Anonymizer, budget: Budget, *, seed: int) -> Case:
    """People who do not exist."""
    subjects = drawn_subjects(anonymizer, budget, seed=seed)
    test, step = subjects.original.test, budget.test_images
    shown = [part.images[: EXAMPLES * step : step] for part in (test.clear, test.modified)]
    return Case(
        subjects=subjects,
        profile="laptop",
        data="drawn people",
        unseen=("dlib", "sphereface"),
        examples=torch.stack(shown),
    )


def picture_case(folder: FaceFolder, crop: Crop, budget: Budget, *, seed: int) -> Case:
    """Real people. `crop` cuts their faces out before and after a method.

    Raises:
        FaceDatasetError: there are too few people with two pictures, or nearly no face is found.
    """
    subjects, again, without = picture_subjects(folder, crop, budget, seed=seed)
    warnings: tuple[str, ...] = () if again > FOUND else (LOST.format(100 * (1 - again)),)
    if without:
        warnings += (f"{without} pictures left out: no face is found in the original",)
    data = f"pictures in {folder.root.name}"
    return Case(subjects=subjects, profile="workstation", data=data, unseen=("dlib",), warnings=warnings)


def audit(
    method: str, case: Case, budget: Budget, *, seed: int, device: str = "cpu", progress: bool = True
) -> Audit:
    """All attackers on the people of a case; `method` is its name."""
    subjects = case.subjects
    classifier = starting_classifier(
        profile(case.profile),
        subjects.original.train.clear,
        seed=seed,
        synthetic=case.profile == "laptop",
        device=device,
        checkpoint=None,
        progress=progress,
    )
    others, skipped = unseen_recognizers(*case.unseen, device=device)
    scores, rates = attack_all(subjects, classifier, budget, others=others, seed=seed, progress=progress)
    counts = _count(subjects)
    return Audit(
        method=method,
        data=case.data,
        scores=tuple(scores),
        clear=clear_score(subjects, classifier),
        skipped=skipped,
        rates=rates,
        counts=counts,
        warnings=(*case.warnings, *small(counts)),
        budget=budget,
        seed=seed,
        examples=case.examples,
    )


def unseen_recognizers(*names: str, device: str = "cpu") -> tuple[dict[str, Recognizer], dict[str, str]]:
    """The recognisers that are installed, and why the others are not used."""
    found, skipped = {}, {}
    for name in names:
        try:
            found[name] = recognizers.create(name, device=device)
        except ConfigError as error:
            skipped[f"unseen: {name}"] = str(error)
    return found, skipped


def _count(subjects: Subjects) -> dict[str, int]:
    view, pairs = subjects.original, subjects.pairs
    parts = {"train": view.train, "validation": view.validation, "test": view.test}
    people = {f"{name}_people": len(part.clear.labels.unique()) for name, part in parts.items()}
    pictures = {f"{name}_pictures": len(part.clear) for name, part in parts.items()}
    folds = int(pairs.fold.max()) + 1
    return {**people, **pictures, "pairs": len(pairs), "folds": folds, "pairs_of_a_fold": len(pairs) // folds}


def small(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Warnings where there are too few people or pairs.

    >>> small({"test_people": 12, "train_people": 400, "folds": 6, "pairs_of_a_fold": 100})[0]
    'gallery of 12 people, fewer than 200: rank-1 is too high to compare with other audits'
    """
    out = []
    if counts["test_people"] < GALLERY:
        out.append(
            f"gallery of {counts['test_people']} people, fewer than {GALLERY}: rank-1 is too high to compare "
            "with other audits"
        )
    if counts["train_people"] < 100:
        out.append(
            f"{counts['train_people']} people to train attackers on, fewer than 100: a real attacker may "
            "have more and be stronger"
        )
    if counts["folds"] < 10 or counts["pairs_of_a_fold"] < 60:
        out.append(
            f"{counts['folds']} folds of {counts['pairs_of_a_fold']} pairs: the intervals are wide or "
            "uncertain; ten folds of 60 pairs or more are better"
        )
    return tuple(out)

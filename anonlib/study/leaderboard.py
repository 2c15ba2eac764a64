"""The capstone of the course: a method in one file, attacked on people whom its author has not seen."""

from __future__ import annotations

import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.nn.functional as F

from anonlib.anonymizers import Anonymizer
from anonlib.attack.attackers import KNOWS, attack_all
from anonlib.attack.audit.measure import unseen_recognizers
from anonlib.attack.budget import Budget
from anonlib.attack.scores import Score
from anonlib.attack.subjects import FOLDS, drawn_subjects
from anonlib.config import profile
from anonlib.errors import ConfigError
from anonlib.experiment.own_method import SIZES, check_anonymizer
from anonlib.metrics.intervals import jackknife_interval
from anonlib.study.usefulness import read_state, state_kept
from anonlib.training.start import starting_classifier
from anonlib.world.faces import synthetic_faces

UNSEEN = 2_500_000_000
"""First person who is attacked. No chapter draws these people, and nothing was trained or chosen on them."""
COURSE = Budget(
    people=120,
    images=6,
    validation_people=12,
    test_people=120,
    test_images=4,
    pairs=2000,
    steps=80,
    rates=(2.7e-3,),
    restoring_steps=60,
)
"""A fraction of the budget of `anonlib audit`, for one file in minutes."""
TRIAL = Budget(
    people=8,
    images=2,
    validation_people=4,
    test_people=8,
    test_images=2,
    pairs=16,
    faces=4,
    steps=2,
    rates=(2.7e-3,),
    restoring_steps=2,
)
"""Shows that the code runs; its numbers mean nothing."""
FUNCTION = "hide"
"""Name of the function in a submitted file."""
LEAST = 0.01
"""Mean change of a pixel, below which a method hides nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a method reaches."""

    method: str
    scores: tuple[Score, ...]
    """Of every attacker, the most accurate first; faces are aligned by landmarks found on the picture."""
    kept: float
    """See `state_kept`; with its 95% interval over ten folds of people."""
    kept_lo: float
    kept_hi: float

    def row(self) -> dict[str, Any]:
        """One line of the leaderboard, shares rounded to four digits; each attacker's best kind of pairs."""
        first = self.scores[0]
        named = {"method": self.method}
        numbers = {key: getattr(first, key) for key in ("accuracy", "accuracy_lo", "accuracy_hi")}
        numbers |= {"kept": self.kept, "kept_lo": self.kept_lo, "kept_hi": self.kept_hi}
        for kind in KNOWS:
            numbers[kind] = max(one.accuracy for one in self.scores if one.attacker.startswith(kind))
        numbers |= {"rank1": max(score.rank1 for score in self.scores)}
        who = {"attacker": first.attacker, "trained_on": first.trained_on, "pairs": first.pairs}
        return named | {key: round(value, 4) for key, value in numbers.items()} | who


def load_method(path: Path) -> Anonymizer:
    """The function `hide` of a Python file. The file is run: read it first if somebody else wrote it.

    Raises:
        ConfigError: there is no such file, it fails, or it has no such function.
    """
    try:
        found = runpy.run_path(str(path)).get(FUNCTION)
    except Exception as error:  # whatever the file raises
        raise ConfigError(f"submission '{path}' fails ({type(error).__name__}: {error}): mend it") from error
    if not callable(found):
        raise ConfigError(f"submission '{path}' has no function {FUNCTION}(faces): define it there")
    return found


def check_method(hide: Anonymizer) -> str:
    """What a submission must do, tried on drawn faces of several sizes; for `choose`.

    Raises:
        ConfigError: as `check_anonymizer`.
        NumericError: as `check_anonymizer`.
        AssertionError: a pixel changes by less than `LEAST` on average.
    """
    faces = synthetic_faces(range(3), images=1, size=64, seed=0).images[:3].float() / 255
    change = float((check_anonymizer(hide, faces) - faces).abs().mean())
    assert change >= LEAST, f"a pixel changes by {change:.1%} on average: the faces are not hidden"
    for size in SIZES:
        check_anonymizer(hide, F.interpolate(faces, size, mode="bilinear", antialias=True))
    return f"it hides faces of {1 + len(SIZES)} sizes, each by itself"


def standing(
    method: str, hide: Anonymizer, budget: Budget = COURSE, *, first: int = UNSEEN, seed: int = 0
) -> Standing:
    """All attackers of `anonlib audit` on drawn people, and how much of the state is left.

    Differs from the paper: it has the naive attacker alone, and measures actions, not the state.

    Args:
        hide: float RGB faces `(B, 3, H, W)` in [0, 1] to the same.
        budget: the attackers'; the same for all methods that are compared.
        first: number of the first person who is attacked, in those of the test split.
        seed: chooses pictures, pairs and batches.
    """
    subjects = drawn_subjects(hide, budget, seed=seed, first=first)
    rules, train = profile("laptop"), subjects.original.train.clear
    options: dict[str, Any] = {"seed": seed, "progress": False}
    classifier = starting_classifier(rules, train, synthetic=True, checkpoint=None, **options)
    others, _ = unseen_recognizers("sphereface")
    scores, _ = attack_all(subjects, classifier, budget, others=others, landmarks=("found",), **options)
    test = subjects.original.test
    before, after = (read_state(part.images) for part in (test.clear, test.modified))
    low, high = jackknife_interval(
        lambda chosen: state_kept(before[chosen], after[chosen]), test.clear.labels.numpy() % FOLDS
    )
    kept = state_kept(before, after)
    return Standing(method=method, scores=tuple(scores), kept=kept, kept_lo=low, kept_hi=high)

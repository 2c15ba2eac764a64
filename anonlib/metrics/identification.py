"""Identification: whose picture is this, of all people in a gallery?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonlib.errors import ConfigError
from anonlib.metrics.intervals import accuracy_interval

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """Share of probes whose most similar gallery picture is of the same person, with its 95% interval."""

    rank1: float
    lo: float
    hi: float
    gallery: int
    """People in the gallery, one picture of each. Guessing reaches 1 / gallery."""
    probes: int


def identify(gallery: Floats, probes: Floats, labels: Ints, *, folds: int = 10) -> Identification:
    """Rank-1 identification. The first picture of each person is in the gallery, the others are probes.

    The interval is Student's t over folds of people; every probe is compared with the whole gallery.
    Equal similarities count as a share of the tie, so that equal features reach 1 / gallery.

    Args:
        gallery: `(N, F)` unit features of all pictures as they are in the gallery.
        probes: `(N, F)` unit features of the same pictures as probes, such as modified ones.
        labels: `(N,)` the person of each picture.

    Raises:
        ConfigError: no person has a second picture, or there are fewer than two folds of people.

    >>> features = np.eye(2)[[0, 0, 1, 1]]
    >>> identify(features, features, np.array([0, 0, 1, 1]), folds=2).rank1
    1.0
    """
    people, first = np.unique(labels, return_index=True)
    others = np.setdiff1d(np.arange(len(labels)), first)
    if not len(others) or not 2 <= folds <= len(people):
        raise ConfigError(
            f"{len(people)} people with {len(labels)} pictures cannot fill {folds} folds of a gallery: "
            "use two folds or more, and two pictures of each person"
        )
    cosines = (probes[others] @ gallery[first].T).round(5)  # (probes, people)
    own = np.searchsorted(people, labels[others])
    best = cosines.max(1)
    tied = (cosines == best[:, None]).sum(1)
    right = (cosines[np.arange(len(others)), own] == best) / tied
    fold = own * folds // len(people)
    per_fold = np.array([right[fold == f].mean() for f in np.unique(fold)])
    lo, hi = accuracy_interval(per_fold)
    return Identification(rank1=float(right.mean()), lo=lo, hi=hi, gallery=len(people), probes=len(others))

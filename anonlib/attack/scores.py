"""What an attacker reaches: verification and identification, with 95% intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anonlib.attack.verification import similarities
from anonlib.metrics.identification import identify
from anonlib.metrics.intervals import accuracy_interval, jackknife_interval
from anonlib.metrics.verification import (
    Pairs,
    area_under_roc,
    roc,
    supported_far,
    tar_at_far,
    verification_accuracy,
)

TWO_MODIFIED, WITH_CLEAR, TWO_CLEAR = "two modified", "modified and clear", "two clear"
"""Which pictures are compared. For identification the second kind is in the gallery."""
FARS = tuple(float(far) for far in np.geomspace(1e-4, 1, 41).round(6))
"""False accept rates at which the curve is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One attacker on one kind of pairs. Shares in [0, 1]; guessing reaches 0.5 and 1 / gallery."""

    attacker: str
    aligned_by: str
    """`found`: landmarks found on the picture. `original`: those of the clear picture, an upper bound."""
    trained_on: str
    pairs: str
    accuracy: float
    accuracy_lo: float
    accuracy_hi: float
    auc: float
    auc_lo: float
    auc_hi: float
    far: float
    """Smallest false accept rate that so many pairs can measure, see `supported_far`."""
    tar: float
    """True accept rate at this rate."""
    tar_lo: float
    tar_hi: float
    rank1: float
    """Share of pictures whose most similar picture in the gallery is of the same person."""
    rank1_lo: float
    rank1_hi: float
    curve: tuple[float, ...]
    """True accept rates at `FARS`; those below one different pair are left out."""


def score(
    first: np.ndarray,
    second: np.ndarray,
    pairs: Pairs,
    labels: np.ndarray,
    *,
    attacker: str,
    aligned_by: str,
    trained_on: str,
    kind: str,
) -> Score:
    """All figures of an attacker.

    Args:
        first: `(N, F)` unit features of the pictures as the first of a pair, and as probes.
        second: the same pictures as the second of a pair, and in the gallery.
        labels: `(N,)` the person of each picture.
        kind: which pictures are compared.
    """
    cosines, same, fold = similarities(first, second, pairs), pairs.same, pairs.fold
    folds = verification_accuracy(cosines, same, fold)
    lo, hi = accuracy_interval(folds.per_fold)
    far = supported_far(int((~same).sum()))
    auc = jackknife_interval(lambda chosen: area_under_roc(cosines[chosen], same[chosen]), fold)
    tar = jackknife_interval(lambda chosen: tar_at_far(cosines[chosen], same[chosen], far=far), fold)
    found = identify(second, first, labels, folds=len(folds.per_fold))
    return Score(
        attacker=attacker,
        aligned_by=aligned_by,
        trained_on=trained_on,
        pairs=kind,
        accuracy=folds.mean,
        accuracy_lo=lo,
        accuracy_hi=hi,
        auc=area_under_roc(cosines, same),
        auc_lo=auc[0],
        auc_hi=auc[1],
        far=far,
        tar=tar_at_far(cosines, same, far=far),
        tar_lo=tar[0],
        tar_hi=tar[1],
        rank1=found.rank1,
        rank1_lo=found.lo,
        rank1_hi=found.hi,
        curve=_curve(cosines, same),
    )


def _curve(cosines: np.ndarray, same: np.ndarray) -> tuple[float, ...]:
    found, least = roc(cosines, same), 1 / int((~same).sum())
    rates = [far for far in FARS if far >= least]
    return tuple(round(float(found.tar[found.far <= far].max()), 5) for far in rates)

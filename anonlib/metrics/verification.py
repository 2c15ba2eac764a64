"""Face verification as on LFW: pairs, accuracy over folds, ROC, EER and TAR at a FAR.

Scores are similarities: higher is better, and a pair is accepted when `score >= t`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anonlib.errors import ConfigError, NumericError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Pairs of face images, of one person or of two."""

    first: Ints
    """`(P,)` index of one image."""
    second: Ints
    """`(P,)` index of the other."""
    same: Bools
    """`(P,)` whether both images show one person."""
    fold: Ints
    """`(P,)` fold of the pair, 0 up to the number of folds; folds share no person."""

    def __len__(self) -> int:
        return len(self.first)


class FoldAccuracy(NamedTuple):
    """Verification accuracy over folds."""

    mean: float
    standard_error: float
    """Sample standard deviation of the folds over the square root of their number."""
    per_fold: Floats
    """`(F,)` accuracy of each fold, by rising fold number."""
    thresholds: Floats
    """`(F,)` threshold of each fold, chosen on the others."""


class Roc(NamedTuple):
    """Points of the receiver operating characteristic, from (0, 0) to (1, 1)."""

    far: Floats
    """`(K,)` share of different pairs accepted, rising."""
    tar: Floats
    """`(K,)` share of same pairs accepted, rising."""
    thresholds: Floats
    """`(K,)` falling; the first is infinite."""


def verification_pairs(labels: ArrayLike, *, pairs: int, folds: int = 10, seed: int) -> Pairs:
    """Balanced pairs drawn as LFW's View 2 was: folds of disjoint people, no pair twice.

    For a pair of one person, every person of the fold is equally likely, then every two images.
    For a pair of two people, every two people are equally likely, then every image of each.
    Pairs are ordered by fold; in each fold those of one person come first. `labels` has the person
    of each image; the number of pairs is a multiple of `2 * folds`.

    Raises:
        ConfigError: there are too few people or images for so many pairs or folds.

    >>> drawn = verification_pairs([0, 0, 1, 1, 2, 2, 3, 3], pairs=8, folds=2, seed=0)
    >>> drawn.same.tolist()
    [True, True, False, False, True, True, False, False]
    """
    labels = np.asarray(labels)
    rng = np.random.default_rng(seed)
    people = rng.permutation(np.unique(labels))
    if folds < 2 or len(people) < 2 * folds:
        raise ConfigError(
            f"{len(people)} people cannot fill {folds} folds: "
            "use two folds or more and at least two people a fold"
        )
    if pairs <= 0 or pairs % (2 * folds):
        raise ConfigError(f"{pairs} pairs in {folds} folds: use a multiple of {2 * folds}")
    each = pairs // (2 * folds)
    drawn = []
    for fold, group in enumerate(np.array_split(people, folds)):
        members = np.flatnonzero(np.isin(labels, group))
        drawn += [_draw(members, labels, each, same=same, fold=fold, rng=rng) for same in (True, False)]
    first, second = np.concatenate(drawn, axis=1)
    same = np.tile(np.repeat([True, False], each), folds)
    return Pairs(first=first, second=second, same=same, fold=np.repeat(np.arange(folds), 2 * each))


def _draw(
    members: Ints, labels: NDArray[Any], count: int, *, same: bool, fold: int, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Pairs among members without replacement, each person or two people equally likely."""
    _, person, images = np.unique(labels[members], return_inverse=True, return_counts=True)
    a, b = np.triu_indices(len(members), k=1)
    wanted = (person[a] == person[b]) == same
    a, b = a[wanted], b[wanted]
    if len(a) < count:
        kind = "same" if same else "different"
        raise ConfigError(
            f"fold {fold} has {len(a)} {kind} pairs and {count} are asked for: "
            "use fewer pairs, or more images a person"
        )
    na, nb = images[person[a]], images[person[b]]
    chances = na * (na - 1) if same else na * nb
    keys = rng.exponential(size=len(a)) * chances  # the smallest keys: a weighted draw
    chosen = np.argsort(keys, kind="stable")[:count]
    return members[a[chosen]], members[b[chosen]]


def _checked(scores: ArrayLike, same: ArrayLike) -> tuple[Floats, Bools]:
    scores, same = np.asarray(scores, dtype=np.float64), np.asarray(same, dtype=bool)
    if scores.shape != same.shape or scores.ndim != 1:
        raise ValueError(f"scores {scores.shape} and same {same.shape} must be of one length")
    if np.isnan(scores).any():
        raise NumericError(f"score of pair {int(np.isnan(scores).argmax())} is NaN: check the face features")
    return scores, same


def _accepted(scores: Floats, same: Bools) -> tuple[Floats, Ints, Ints]:
    """Distinct scores, falling, and how many same and different pairs score at least as much."""
    values, index = np.unique(-scores, return_inverse=True)
    true = np.bincount(index[same], minlength=len(values)).cumsum()
    false = np.bincount(index[~same], minlength=len(values)).cumsum()
    return -values, true, false


def _best_threshold(scores: Floats, same: Bools) -> float:
    """The most accurate threshold, midway between two scores; of several, the middle one."""
    values, true, false = _accepted(scores, same)
    right = np.concatenate([[0], true - false])  # the number of right decisions, less a constant
    best = np.flatnonzero(right == right.max())
    k = int(best[len(best) // 2])  # accept the k highest distinct scores
    if k == 0:
        return float(np.nextafter(values[0], np.inf))
    if k == len(values):
        return float(values[-1])
    middle = (values[k - 1] + values[k]) / 2
    return float(middle if values[k] < middle else values[k - 1])


def verification_accuracy(scores: ArrayLike, same: ArrayLike, fold: ArrayLike) -> FoldAccuracy:
    """Accuracy of each fold at the threshold that is most accurate on all other folds.

    Scores are `(P,)` similarities; `same` and `fold` are as in `Pairs`.

    Implements Ren et al., section 5.1, Face Recognition (LFW's protocol, image-restricted).
    Differs from the paper: none with ten folds; any number from two is accepted.

    Raises:
        NumericError: a score is NaN.
        ConfigError: fewer than two folds.

    >>> verification_accuracy([0.9, 0.1, 0.8, 0.3], [True, False, True, False], [0, 0, 1, 1]).mean
    1.0
    """
    scores, same = _checked(scores, same)
    fold = np.asarray(fold)
    numbers = np.unique(fold)
    if len(numbers) < 2:
        raise ConfigError("verification needs two folds or more: a threshold is chosen on the other folds")
    thresholds = np.array([_best_threshold(scores[fold != f], same[fold != f]) for f in numbers])
    right = (scores >= thresholds[np.searchsorted(numbers, fold)]) == same
    per_fold = np.array([right[fold == f].mean() for f in numbers])
    error = per_fold.std(ddof=1) / np.sqrt(len(numbers))
    return FoldAccuracy(float(per_fold.mean()), float(error), per_fold, thresholds)


def roc(scores: ArrayLike, same: ArrayLike) -> Roc:
    """False and true accept rates at every distinct score, by falling threshold.

    >>> roc([0.9, 0.5, 0.1], [True, False, True]).tar.tolist()
    [0.0, 0.5, 0.5, 1.0]
    """
    scores, same = _checked(scores, same)
    if same.all() or not same.any():
        raise ValueError("a ROC needs pairs of both kinds, same and different")
    values, true, false = _accepted(scores, same)
    far = np.concatenate([[0.0], false / false[-1]])
    tar = np.concatenate([[0.0], true / true[-1]])
    return Roc(far, tar, np.concatenate([[np.inf], values]))


def equal_error_rate(scores: ArrayLike, same: ArrayLike) -> float:
    """Rate at which false accepts equal false rejects, interpolated linearly between points of the ROC.

    >>> equal_error_rate([0.9, 0.6, 0.7, 0.1], [True, True, False, False])
    0.5
    """
    far, tar, _ = roc(scores, same)
    gap = far - (1 - tar)  # rises from -1 to 1
    k = int(np.argmax(gap >= 0))
    share = -gap[k - 1] / (gap[k] - gap[k - 1])
    return float(far[k - 1] + share * (far[k] - far[k - 1]))


def tar_at_far(scores: ArrayLike, same: ArrayLike, *, far: float) -> float:
    """Highest true accept rate over all thresholds whose false accept rate is at most `far`.

    With fewer than `1 / far` different pairs, none of them is accepted.

    >>> tar_at_far([0.9, 0.8, 0.7, 0.1], [True, False, True, False], far=0.0)
    0.5
    """
    curve = roc(scores, same)
    return float(curve.tar[curve.far <= far].max())


def area_under_roc(scores: ArrayLike, same: ArrayLike) -> float:
    """Probability that a pair of one person scores higher than a pair of two people; a tie counts half.

    It is the area under the ROC: 0.5 for guessing, 1 if the two kinds never overlap.

    >>> area_under_roc([0.9, 0.6, 0.7, 0.1], [True, True, False, False])
    0.75
    """
    curve = roc(scores, same)
    return float(np.trapezoid(curve.tar, curve.far))


def supported_far(different: int, *, accepted: int = 10) -> float:
    """Smallest FAR among 0.1, 0.01, ... that so many different pairs can measure.

    At this FAR at least `accepted` of them are accepted. Below it the rate rests on a handful of pairs.

    >>> supported_far(3000), supported_far(900), supported_far(30)
    (0.01, 0.1, 0.1)
    """
    digits = 1
    while different >= accepted * 10 ** (digits + 1):
        digits += 1
    return float(10.0**-digits)

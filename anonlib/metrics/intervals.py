"""Confidence intervals of means over folds, of other statistics of folds, and of proportions."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anonlib.errors import ConfigError


def accuracy_interval(per_fold: ArrayLike, *, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval of a mean over folds, such as the accuracy, by Student's t; in [0, 1].

    Folds share no person, so they are independent trials. Pairs in a fold are not, and resampling
    them would give too narrow an interval. That the thresholds of the folds depend on each other
    is neglected, as in LFW's own standard error.

    Raises:
        ConfigError: fewer than two folds.

    >>> [round(x, 4) for x in accuracy_interval([0.90, 0.92, 0.94])]
    [0.8703, 0.9697]
    """
    lo, hi = mean_interval(per_fold, confidence=confidence)
    return max(lo, 0.0), min(hi, 1.0)


def mean_interval(per_fold: ArrayLike, *, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval of a mean over folds by Student's t, such as a difference of two accuracies.

    Raises:
        ConfigError: fewer than two folds.

    >>> [round(x, 4) for x in mean_interval([-0.02, 0.0, 0.02])]
    [-0.0497, 0.0497]
    """
    from scipy.special import stdtrit  # quantiles of Student's t, like scipy.stats but quick to import

    values = np.asarray(per_fold, dtype=np.float64)
    if len(values) < 2:
        raise ConfigError("a confidence interval needs two folds or more")
    quantile = stdtrit(len(values) - 1, (1 + confidence) / 2)
    reach = quantile * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - reach), float(values.mean() + reach)


def jackknife_interval(
    statistic: Callable[[NDArray[np.bool_]], float], fold: ArrayLike
) -> tuple[float, float]:
    """95% confidence interval of a statistic that is not a mean over folds, such as the EER.

    Each fold is left out once; the interval is Student's t over the pseudo-values (Tukey, 1958),
    around the statistic of all folds together, in [0, 1].

    Args:
        statistic: from a `(P,)` mask of pairs to a share in [0, 1].
        fold: `(P,)` fold of each pair.

    Raises:
        ConfigError: fewer than two folds.

    >>> scores = np.array([0.90, 0.92, 0.94])
    >>> low, high = jackknife_interval(lambda mask: scores[mask].mean(), [0, 1, 2])
    >>> round(low, 4), round(high, 4)  # of a mean: as `accuracy_interval`
    (0.8703, 0.9697)
    """
    fold = np.asarray(fold)
    numbers = np.unique(fold)
    if len(numbers) < 2:
        raise ConfigError("a confidence interval needs two folds or more")
    whole = statistic(np.ones(len(fold), dtype=bool))
    without = np.array([statistic(fold != number) for number in numbers])
    pseudo = whole + (len(numbers) - 1) * (without.mean() - without)
    return accuracy_interval(pseudo)


def proportion_interval(successes: int, trials: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's confidence interval of a proportion: every p that the score test does not reject.

    With p = k / n (successes, trials) and z the normal quantile, its ends are:

        (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    It stays within [0, 1] and has a width also for 0 of n. It assumes independent trials. Answers
    of one person, or about one picture, are correlated, so that it is too narrow for them; see
    `anonlib.study.answers`.

    Implements E. B. Wilson, Journal of the American Statistical Association 22, 1927.
    Differs from the paper (Ren et al., section 5.5): the paper gives no intervals.

    Raises:
        ValueError: k is not from 0 to n, or n is 0.

    >>> [round(end, 3) for end in proportion_interval(8, 10)]
    [0.49, 0.943]
    """
    from scipy.stats import binomtest

    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} successes in {trials} trials: give 0 to n of n, n > 0")
    ends = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(ends.low), float(ends.high)


def counts_behind(percent: float, *, decimals: int, trials: Iterable[int]) -> list[tuple[int, int]]:
    """The counts (k, n) that round to a percentage printed with some decimals, n among `trials`.

    >>> counts_behind(33.3, decimals=1, trials=range(1, 7))
    [(1, 3), (2, 6)]
    """
    half = 0.5 * 10**-decimals + 1e-9
    nearest = ((round(percent * n / 100), n) for n in trials)
    return [(k, n) for k, n in nearest if abs(100 * k / n - percent) <= half]

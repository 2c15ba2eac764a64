"""Confidence intervals of figures that are no mean, such as the EER: leave a fold out at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anonlib.errors import ConfigError
from anonlib.metrics.verification import accuracy_interval


def jackknife_interval(
    statistic: Callable[[NDArray[np.bool_]], float], fold: ArrayLike
) -> tuple[float, float]:
    """95% confidence interval of a share, from Student's t over its pseudo-values (Tukey, 1958).

    Folds share no person, so they are the independent trials, as in `accuracy_interval`; the
    interval lies about the figure of all folds together and is cut to [0, 1].

    Args:
        statistic: the figure, a share in [0, 1], of the pairs that a `(P,)` mask chooses.
        fold: `(P,)` fold of each pair.

    Raises:
        ConfigError: fewer than two folds.

    >>> scores = np.array([0.90, 0.92, 0.94])
    >>> low, high = jackknife_interval(lambda mask: scores[mask].mean(), [0, 1, 2])
    >>> round(low, 4), round(high, 4)  # of a mean, the usual interval
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
    """Wilson's confidence interval of a share: every p that the score test does not reject.

    With p = k / n and z the normal quantile, the ends are

        (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n).

    It stays within [0, 1] and has a width at 0 of n, too. It assumes independent trials of one
    chance. Answers of one person, or about one picture, are alike: the interval is then too
    narrow, see `anonlib.study.statistics`.

    Implements E. B. Wilson, Journal of the American Statistical Association 22, 1927. Differs from
    the paper (Ren et al., section 5.5): which gives its shares without intervals.

    Args:
        successes: k, from 0 to the number of trials.
        trials: n, one or more.
        confidence: chance that such intervals hold the true share.

    Returns:
        Lower and upper end.

    Raises:
        ValueError: there is no trial, or not from 0 to n successes.

    >>> [round(end, 3) for end in proportion_interval(8, 10)]
    [0.49, 0.943]
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} successes in {trials} trials: give 0 to n of n, n > 0")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, weight = successes / trials, z * z / trials
    middle = share + weight / 2
    reach = sqrt(weight * (share * (1 - share) + weight / 4))
    low, high = (middle - reach) / (1 + weight), (middle + reach) / (1 + weight)
    return max(min(low, share), 0.0), min(max(high, share), 1.0)  # rounding may fall short


def counts_behind(percent: float, *, decimals: int, trials: Iterable[int]) -> list[tuple[int, int]]:
    """Which counts (k, n) round to a published percentage.

    Args:
        percent: as printed, 0 to 100.
        decimals: how many of them were printed.
        trials: the numbers n that are possible.

    >>> counts_behind(33.3, decimals=1, trials=range(1, 7))
    [(1, 3), (2, 6)]
    """
    half = 0.5 * 10**-decimals + 1e-9
    nearest = ((round(percent * n / 100), n) for n in trials)
    return [(k, n) for k, n in nearest if abs(100 * k / n - percent) <= half]

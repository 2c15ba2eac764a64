"""Shares of answers and how far they can be trusted."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from statistics import NormalDist


def proportion_interval(
    successes: int, trials: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Wilson's confidence interval of a share: every p that the score test does not reject.

    With p = k / n and z the normal quantile, the ends are

        (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n).

    It stays within [0, 1] and has a width at 0 of n, too. It assumes independent trials of one
    chance. Answers of one person, or about one picture, are alike: the interval is then too
    narrow, see `anonlib.evaluation.study_statistics`.

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

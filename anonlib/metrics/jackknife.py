"""Confidence intervals of figures that are no mean, such as the EER: leave a fold out at a time."""

from __future__ import annotations

from collections.abc import Callable

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

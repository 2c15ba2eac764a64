from __future__ import annotations

import numpy as np
import pytest

from anonlib.errors import ConfigError
from anonlib.metrics.intervals import jackknife_interval


def test_by_hand() -> None:
    """The largest of 0.5 and 0.3: without fold 0 it is 0.3, without fold 1 it is 0.5."""
    values = np.array([0.5, 0.3, 0.1])
    # whole 0.5; without: 0.3, 0.5, 0.5; standard error sqrt(2/3 * sum((w - mean)^2)) = 0.1333...
    error = np.sqrt(2 / 3 * (0.4 / 3 * 0.4 / 3 + 2 * (0.2 / 3) ** 2))
    low, high = jackknife_interval(lambda chosen: values[chosen].max(), [0, 1, 2])
    assert (low, high) == pytest.approx(
        (max(0, 0.5 - 4.302653 * error), min(1, 0.5 + 4.302653 * error)), abs=1e-4
    )


def test_the_interval_lies_about_the_figure_of_all_and_is_cut() -> None:
    values = np.array([0.9, 0.9, 0.4, 0.5])
    low, high = jackknife_interval(lambda chosen: values[chosen].mean(), [6, 6, 9, 9])
    assert (low, high) == (0.0, 1.0)  # of two folds nearly nothing is known
    assert jackknife_interval(lambda chosen: 0.25, [1, 2, 3]) == (0.25, 0.25)


def test_one_fold_has_no_interval() -> None:
    with pytest.raises(ConfigError, match="two folds or more"):
        jackknife_interval(lambda chosen: 0.0, [3, 3])

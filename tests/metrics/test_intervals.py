from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from anonlib.errors import ConfigError
from anonlib.metrics.intervals import (
    accuracy_interval,
    counts_behind,
    jackknife_interval,
    proportion_interval,
)


def test_interval_has_students_quantiles():
    # t(0.975, 9) = 2.262157, t(0.975, 1) = 12.706205, t(0.95, 4) = 2.131847, from printed tables.
    for count, confidence, quantile in ((10, 0.95, 2.262157), (2, 0.95, 12.706205), (5, 0.9, 2.131847)):
        values = 0.5 + 1e-3 * np.arange(count)
        low, high = accuracy_interval(values, confidence=confidence)
        reach = quantile * values.std(ddof=1) / np.sqrt(count)
        mean = values.mean()
        np.testing.assert_allclose([low, high], [mean - reach, mean + reach], rtol=1e-6)


def test_interval_stays_between_zero_and_one():
    assert accuracy_interval([0.9, 1.0, 1.0])[1] == 1.0
    assert accuracy_interval([0.0, 0.0, 0.1])[0] == 0.0
    with pytest.raises(ConfigError, match="two folds or more"):
        accuracy_interval([0.9])


def test_the_jackknife_by_hand() -> None:
    """The largest of 0.5 and 0.3: without fold 0 it is 0.3, without fold 1 it is 0.5."""
    values = np.array([0.5, 0.3, 0.1])
    # whole 0.5; without: 0.3, 0.5, 0.5; standard error sqrt(2/3 * sum((w - mean)^2)) = 0.1333...
    error = np.sqrt(2 / 3 * (0.4 / 3 * 0.4 / 3 + 2 * (0.2 / 3) ** 2))
    low, high = jackknife_interval(lambda chosen: values[chosen].max(), [0, 1, 2])
    assert (low, high) == pytest.approx(
        (max(0, 0.5 - 4.302653 * error), min(1, 0.5 + 4.302653 * error)), abs=1e-4
    )


def test_the_jackknife_lies_about_the_figure_of_all_and_is_cut() -> None:
    values = np.array([0.9, 0.9, 0.4, 0.5])
    low, high = jackknife_interval(lambda chosen: values[chosen].mean(), [6, 6, 9, 9])
    assert (low, high) == (0.0, 1.0)  # of two folds nearly nothing is known
    assert jackknife_interval(lambda chosen: 0.25, [1, 2, 3]) == (0.25, 0.25)


def test_one_fold_has_no_jackknife() -> None:
    with pytest.raises(ConfigError, match="two folds or more"):
        jackknife_interval(lambda chosen: 0.0, [3, 3])


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_intervals_as_newcombe_tabulates_them(
    successes: int, trials: int, low: float, high: float
) -> None:
    """R. G. Newcombe, Statistics in Medicine 17, 1998, Table I, method 3."""
    found = proportion_interval(successes, trials)
    assert found == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_ends_solve_the_score_test_and_mirror_each_other(counts: tuple[int, int]) -> None:
    successes, trials = counts
    low, high = proportion_interval(successes, trials)
    share = successes / trials
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            assert (share - end) ** 2 == pytest.approx(1.959964**2 * end * (1 - end) / trials)
    mirrored = proportion_interval(trials - successes, trials)
    assert mirrored == pytest.approx((1 - high, 1 - low))


def test_more_trials_and_less_confidence_make_it_narrower() -> None:
    widths = [
        high - low
        for low, high in (
            proportion_interval(8, 10),
            proportion_interval(80, 100),
            proportion_interval(80, 100, confidence=0.8),
        )
    ]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 5)])
def test_impossible_counts_are_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="give 0 to n of n, n > 0"):
        proportion_interval(successes, trials)


def test_counts_behind_a_percentage_round_to_it() -> None:
    assert counts_behind(53.3, decimals=1, trials=[240]) == [(128, 240)]
    assert counts_behind(19.75, decimals=2, trials=range(1, 161)) == [(16, 81), (31, 157)]
    assert counts_behind(53.3, decimals=1, trials=[10]) == []

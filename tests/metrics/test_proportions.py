from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonlib.metrics.intervals import counts_behind, proportion_interval


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

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest

from anonlib.errors import ConfigError, NumericError
from anonlib.metrics.verification import (
    area_under_roc,
    equal_error_rate,
    roc,
    supported_far,
    tar_at_far,
    verification_accuracy,
    verification_pairs,
)

LABELS = np.repeat(np.arange(40), 6)


def noisy_scores(count: int = 400, folds: int = 10, seed: int = 0):
    rng = np.random.default_rng(seed)
    same = rng.random(count) < 0.5
    scores = np.round(rng.normal(size=count) + 1.5 * same, 2)  # rounded: scores occur twice
    return scores, same, np.arange(count) % folds


def slow_accuracy(scores, same, t):
    return sum((s >= t) == bool(y) for s, y in zip(scores, same, strict=True)) / len(scores)


def slow_best(scores, same):
    candidates = [*sorted(set(scores.tolist())), max(scores) + 1]
    return max(slow_accuracy(scores, same, t) for t in candidates)


def test_pairs_are_balanced_and_right_about_who_is_who():
    drawn = verification_pairs(LABELS, pairs=400, folds=10, seed=1)
    assert len(drawn) == 400
    assert (np.bincount(drawn.fold) == 40).all()
    assert (np.bincount(drawn.fold, weights=drawn.same) == 20).all()
    assert ((LABELS[drawn.first] == LABELS[drawn.second]) == drawn.same).all()
    assert (drawn.first != drawn.second).all()


def test_folds_share_no_person_and_no_pair_occurs_twice():
    drawn = verification_pairs(LABELS, pairs=400, folds=10, seed=1)
    for a in range(10):
        mine = LABELS[np.r_[drawn.first[drawn.fold == a], drawn.second[drawn.fold == a]]]
        others = LABELS[np.r_[drawn.first[drawn.fold != a], drawn.second[drawn.fold != a]]]
        assert not set(mine) & set(others)
    unordered = {frozenset(p) for p in zip(drawn.first, drawn.second, strict=True)}
    assert len(unordered) == 400


def test_pairs_follow_the_seed():
    one, again = (verification_pairs(LABELS, pairs=100, folds=5, seed=3) for _ in range(2))
    other = verification_pairs(LABELS, pairs=100, folds=5, seed=4)
    assert (one.first == again.first).all() and (one.second == again.second).all()
    assert (one.first != other.first).any()


def test_people_with_many_images_are_not_drawn_more_often():
    labels = np.repeat(np.arange(8), [100] + [10] * 7)
    counts = np.zeros(8)
    for seed in range(60):
        drawn = verification_pairs(labels, pairs=32, folds=2, seed=seed)
        counts += np.bincount(labels[drawn.first[drawn.same]], minlength=8)
    assert 0.6 < counts[0] / counts[1:].mean() < 1.5  # by images it would be over 100


def test_all_pairs_can_be_asked_for():
    drawn = verification_pairs([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3], pairs=24, folds=2, seed=0)
    assert {tuple(sorted(p)) for p in zip(drawn.first, drawn.second, strict=True)} >= {
        (3 * k + a, 3 * k + b) for k in range(4) for a, b in ((0, 1), (0, 2), (1, 2))
    }


@pytest.mark.parametrize(
    ("labels", "pairs", "folds", "message"),
    [
        (LABELS, 401, 10, "401 pairs in 10 folds: use a multiple of 20"),
        (LABELS[:30], 40, 10, "5 people cannot fill 10 folds"),
        (np.arange(40), 40, 10, r"has 0 same pairs and 2 are asked for"),
    ],
)
def test_too_little_for_the_pairs_is_named(labels, pairs, folds, message):
    with pytest.raises(ConfigError, match=message):
        verification_pairs(labels, pairs=pairs, folds=folds, seed=0)


def test_accuracy_by_hand():
    # Threshold of fold 0 from fold 1: midway 0.4 | 0.8 = 0.6 -> 0.7 and 0.5 rightly judged, 0.2
    # (same) not: 2/3. Threshold of fold 1 from fold 0: best keeps 0.7 only, or all (2 of 3
    # right both ways): middle of the equal ones.
    scores = [0.7, 0.5, 0.2, 0.8, 0.4, 0.3]
    same = [True, False, True, True, False, False]
    result = verification_accuracy(scores, same, [0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(result.thresholds[0], 0.6)
    np.testing.assert_allclose(result.per_fold[0], 2 / 3)
    assert slow_accuracy(scores[:3], same[:3], result.thresholds[1]) == 2 / 3
    np.testing.assert_allclose(result.mean, result.per_fold.mean())


def test_accuracy_against_a_slow_reference():
    scores, same, fold = noisy_scores(150)
    result = verification_accuracy(scores, same, fold)
    for f in range(10):
        train, test = fold != f, fold == f
        t = result.thresholds[f]
        assert slow_accuracy(scores[train], same[train], t) == slow_best(scores[train], same[train])
        assert result.per_fold[f] == slow_accuracy(scores[test], same[test], t)
    deviation = np.sqrt(((result.per_fold - result.mean) ** 2).sum() / 9)
    np.testing.assert_allclose(result.standard_error, deviation / np.sqrt(10))


def test_separable_scores_are_all_right_and_the_threshold_lies_midway():
    same = np.tile([True, False], 20)
    result = verification_accuracy(np.where(same, 0.75, 0.25), same, np.arange(40) // 4)
    assert result.mean == 1.0 and result.standard_error == 0.0
    np.testing.assert_allclose(result.thresholds, 0.5)


def test_equal_scores_are_chance():
    same = np.tile([True, False], 20)
    assert verification_accuracy(np.ones(40), same, np.arange(40) // 4).mean == 0.5


def test_a_threshold_is_reached_by_a_score_equal_to_it():
    # Fold 1's scores leave no number between 1.0 and the next: the threshold is the score itself.
    low, high = 1.0, float(np.nextafter(1.0, 2.0))
    result = verification_accuracy([high, low] * 2, [True, False] * 2, [0, 0, 1, 1])
    assert result.mean == 1.0


def test_of_equally_good_thresholds_the_middle_one_is_taken():
    # 4.5 and 2.5 both judge three of the four pairs rightly; then 6.5, 4.5 and 2.5 five of six.
    for scores, expected in (([5, 4, 3, 2], 2.5), ([7, 6, 5, 4, 3, 2], 4.5)):
        same = [True, False] * (len(scores) // 2)
        fold = [0] * len(scores) + [1] * len(scores)
        result = verification_accuracy(scores * 2, same * 2, fold)
        assert result.thresholds.tolist() == [expected] * 2


def test_a_threshold_may_reject_everything():
    """Where different pairs score higher than same ones, rejecting all is the best one can do."""
    result = verification_accuracy([0.9, 0.8, 0.1] * 2, [False, False, True] * 2, [0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(result.per_fold, 2 / 3)
    assert (result.thresholds > 0.9).all()


def test_the_tested_fold_does_not_choose_its_threshold():
    scores = np.r_[np.array([0.9, 0.1] * 9), [0.1, 0.9]]  # the last fold is turned round
    same = np.array([True, False] * 10)
    result = verification_accuracy(scores, same, np.arange(20) // 2)
    np.testing.assert_allclose(result.per_fold, [1.0] * 9 + [0.0])


def test_accuracy_knows_only_the_order_of_scores():
    scores, same, fold = noisy_scores()
    np.testing.assert_allclose(
        verification_accuracy(3 * scores + 7, same, fold).per_fold,
        verification_accuracy(scores, same, fold).per_fold,
    )


def test_six_thousand_pairs_take_milliseconds():
    scores, same, fold = noisy_scores(6000)
    start = time.perf_counter()
    verification_accuracy(scores, same, fold)
    assert time.perf_counter() - start < 1


def test_roc_against_a_slow_reference():
    scores, same, _ = noisy_scores(200)
    far, tar, thresholds = roc(scores, same)
    assert (far[0], tar[0], far[-1], tar[-1]) == (0, 0, 1, 1)
    assert all(a > b for a, b in pairwise(thresholds))
    for k, t in enumerate(thresholds):
        assert far[k] == np.mean([s >= t for s in scores[~same]])
        assert tar[k] == np.mean([s >= t for s in scores[same]])


def test_roc_area_is_the_chance_of_ranking_a_couple_rightly():
    scores, same, _ = noisy_scores(200)
    curve = roc(scores, same)
    ranked = [(a > b) + 0.5 * (a == b) for a in scores[same] for b in scores[~same]]
    np.testing.assert_allclose(np.trapezoid(curve.tar, curve.far), np.mean(ranked))


def test_equal_error_rate_by_hand():
    # Same pairs rejected, different ones accepted, of 3, as t falls: 3/0, 2/0, 2/1, 1/1.
    assert equal_error_rate([6, 5, 4, 3, 2, 1], [1, 0, 1, 0, 1, 0]) == pytest.approx(1 / 3)
    assert equal_error_rate([6, 5, 4, 3, 2, 1], [1, 1, 0, 1, 0, 0]) == pytest.approx(1 / 3)
    assert equal_error_rate([4, 3, 2, 1], [1, 1, 0, 0]) == 0.0
    assert equal_error_rate([4, 3, 2, 1], [0, 0, 1, 1]) == 1.0
    # Of 2: 1/0, then, with the two equal scores, 0/1: half way between them.
    assert equal_error_rate([3, 2, 2, 1], [1, 1, 0, 0]) == 0.25
    assert equal_error_rate([1, 1, 1, 1], [0, 1, 0, 1]) == 0.5


def test_equal_error_rate_of_shifted_normals():
    rng = np.random.default_rng(0)
    same = np.arange(100_000) % 2 == 0
    scores = rng.normal(size=100_000) + 2.0 * same
    assert equal_error_rate(scores, same) == pytest.approx(0.158655, abs=0.004)  # Phi(-1)


def test_tar_at_far_by_hand():
    scores = [9, 8, 7, 6, 5, 4, 3, 2]
    same = [True, True, False, True, False, True, False, False]
    assert tar_at_far(scores, same, far=0.0) == 0.5
    assert tar_at_far(scores, same, far=0.24) == 0.5
    assert tar_at_far(scores, same, far=0.25) == 0.75
    assert tar_at_far(scores, same, far=0.5) == 1.0
    assert tar_at_far(scores, same, far=1.0) == 1.0


def test_tar_at_far_against_a_slow_reference():
    scores, same, _ = noisy_scores(300)
    for far in (0.0, 0.01, 0.1, 0.3):
        best = max(
            np.mean(scores[same] >= t) for t in [*scores, np.inf] if np.mean(scores[~same] >= t) <= far
        )
        assert tar_at_far(scores, same, far=far) == best


def test_bad_input_is_named():
    with pytest.raises(NumericError, match="score of pair 1 is NaN"):
        verification_accuracy([0.1, np.nan], [True, False], [0, 1])
    with pytest.raises(ConfigError, match="two folds or more"):
        verification_accuracy([0.1, 0.2], [True, False], [0, 0])
    with pytest.raises(ValueError, match="one length"):
        roc([0.1, 0.2], [True])
    with pytest.raises(ValueError, match="both kinds"):
        roc([0.1, 0.2], [True, True])


def test_area_is_the_probability_that_one_person_scores_higher():
    scores, same, _ = noisy_scores()
    ones, others = scores[same][:, None], scores[~same]
    slow = ((ones > others) + 0.5 * (ones == others)).mean()
    assert area_under_roc(scores, same) == pytest.approx(slow)
    assert area_under_roc(-scores, same) == pytest.approx(1 - slow)


def test_a_rate_needs_ten_accepted_pairs():
    assert [supported_far(n) for n in (5, 999, 1000, 9999, 10_000)] == [0.1, 0.1, 0.01, 0.01, 0.001]

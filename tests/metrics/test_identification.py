from __future__ import annotations

import numpy as np
import pytest

from anonlib.errors import ConfigError
from anonlib.metrics.identification import identify


def unit(features):
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def test_the_share_equals_a_count_by_hand():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 4)
    gallery, probes = unit(rng.normal(size=(80, 5))), unit(rng.normal(size=(80, 5)))
    right = []
    for probe in range(80):
        if probe % 4:  # the first picture of each person is in the gallery
            best = max(range(20), key=lambda person: probes[probe] @ gallery[4 * person])
            right.append(best == labels[probe])
    found = identify(gallery, probes, labels)
    assert found.rank1 == pytest.approx(np.mean(right))
    assert found.gallery == 20 and found.probes == 60
    assert found.lo <= found.rank1 <= found.hi


def test_equal_features_are_a_guess():
    labels = np.repeat(np.arange(20), 3)
    same = np.ones((60, 1))
    assert identify(same, same, labels).rank1 == pytest.approx(1 / 20)


def test_one_picture_of_each_person_is_no_gallery():
    with pytest.raises(ConfigError, match="20 people with 20 pictures cannot fill 10 folds"):
        identify(np.eye(20), np.eye(20), np.arange(20))

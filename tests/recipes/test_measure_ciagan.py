from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from recipes.measure_ciagan import mean_features, spread


def test_spread_is_one_where_everybody_is_nearest_equally_often():
    assert spread(torch.tensor([0, 1, 2, 3]), 4) == pytest.approx(1)
    assert spread(torch.tensor([2, 2, 2]), 4) == pytest.approx(0.25)


def test_mean_features_have_length_one():
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0]]).numpy()
    means = mean_features(features, torch.tensor([0, 0, 1]))
    assert means == pytest.approx(np.array([[math.sqrt(0.5)] * 2, [1.0, 0.0]]))

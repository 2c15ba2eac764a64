from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from anonlib.detection import Faces
from anonlib.world.faces import synthetic_faces
from recipes.measure_ciagan import found, mean_features, spread


def test_a_face_is_found_where_a_box_holds_its_middle():
    faces = synthetic_faces([0, 1], images=1, size=64, seed=0)
    boxes = [torch.tensor([[40.0, 40.0, 90.0, 90.0]]), torch.tensor([[0.0, 0.0, 20.0, 20.0]])]

    def detector(frames: Tensor) -> list[Faces]:
        assert frames.shape == (2, 3, 128, 128)
        return [Faces(boxes=box, scores=torch.ones(1), landmarks=torch.zeros(1, 5, 2)) for box in boxes]

    assert found(detector, faces) == 0.5


def test_spread_is_one_where_everybody_is_nearest_equally_often():
    assert spread(torch.tensor([0, 1, 2, 3]), 4) == pytest.approx(1)
    assert spread(torch.tensor([2, 2, 2]), 4) == pytest.approx(0.25)


def test_mean_features_have_length_one():
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0]]).numpy()
    means = mean_features(features, torch.tensor([0, 0, 1]))
    assert means == pytest.approx(np.array([[math.sqrt(0.5)] * 2, [1.0, 0.0]]))

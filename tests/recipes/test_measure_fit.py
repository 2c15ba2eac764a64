from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from anonlib.config import FitConfig
from anonlib.networks.fit import FaceTransformer
from anonlib.types import FaceImages
from anonlib.world.faces import synthetic_faces
from recipes.measure_fit import changed, match, restored


class Invert(FaceTransformer):
    """Adds a grey by the first bit, so that the flipped password restores the face."""

    def forward(self, faces: Tensor, password: Tensor) -> Tensor:
        return faces + password[:, :1, None, None] / 10


def test_a_perfect_transformer_restores_faces():
    network = Invert(FitConfig(code=16, width=4))
    clear = synthetic_faces([3, 5], images=2, size=64, seed=0)
    clear.images.clamp_(40, 215)  # so that nothing is lost above 1 or below 0
    torch.manual_seed(0)
    sets = changed(network, clear)
    assert (sets["R"].images.int() - clear.images.int()).abs().max() <= 1
    assert not torch.equal(sets["A"].images, clear.images)
    found = restored(network, range(2 * 10**9, 3 * 10**9))
    assert found["PNG, 64 pixels"] > found["PNG, 64 pixels, A"] + 3


def test_a_match_is_right_where_scores_tell_people_apart():
    labels = torch.tensor([0, 0, 1, 1])
    images, points = torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.zeros(4, 5, 2)
    people = FaceImages(images=images, labels=labels, landmarks=points)
    rows = torch.tensor([0, 2])
    faces = people.select(rows)
    scores = np.array([[0.9, 0.8, 0.1, 0.2], [0.0, 0.3, 0.9, 0.7]])
    assert match(scores, faces, people, rows) == 1
    assert match(np.zeros((2, 4)), faces, people, rows) == 0.5

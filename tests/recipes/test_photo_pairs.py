"""Pairs for M-state on photographs, made here from a drawn face."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from anonlib.anonymizers.swap.model import MeshModel
from anonlib.anonymizers.swap.state import read_state
from recipes.photo_pairs import FINE, SIDE, cut, expression, light, random_view


@pytest.fixture(scope="module")
def mesh() -> Tensor:
    """The mean face, 80 pixels high, in the middle of a picture of 200 pixels, rolled by 0.2."""
    points = MeshModel.load().rest.clone()
    points = points / float(points[:, 1].max() - points[:, 1].min()) * 80
    cos, sin = math.cos(0.2), math.sin(0.2)
    turned = points[:, :2] @ torch.tensor([[cos, sin], [-sin, cos]])
    return torch.cat([turned + 100, points[:, 2:]], 1)


def test_a_view_holds_the_face_at_about_its_share_and_in_the_middle(mesh: Tensor):
    generator = np.random.default_rng(0)
    views = [random_view(mesh, generator) for _ in range(200)]
    seen = torch.stack([mesh[:, :2] @ view[:, :2].T + view[:, 2] for view in views]) / (FINE * SIDE)
    heights = (seen.amax(1) - seen.amin(1)).amax(1)
    assert float(heights.mean()) == pytest.approx(1 / 1.7, rel=0.08) and float(heights.std()) > 0.03
    middle = ((seen.amax(1) + seen.amin(1)) / 2).mean(0)
    torch.testing.assert_close(middle, torch.full((2,), 0.5), atol=0.03, rtol=0)
    eyes = seen[:, 263] - seen[:, 33]
    upright = torch.atan2(eyes[:, 1], eyes[:, 0]).abs() < 0.1
    assert 0.3 < float(upright.float().mean()) < 0.75  # the other views keep the roll of the picture


def test_beyond_the_picture_its_border_is_repeated():
    picture = torch.zeros(1, 3, 50, 50)
    picture[..., 25:] = 1
    view = torch.tensor([[2.0, 0.0, 80.0], [0.0, 2.0, 80.0]])
    crop = cut(picture, view)
    assert crop.shape == (3, FINE * SIDE, FINE * SIDE)
    assert crop[:, 5, 5].max() == 0 and crop[:, 5, -5].min() == 1
    assert crop[0, 130, 120] == 0 and crop[0, 130, 140] == 1


def test_light_by_hand():
    line = torch.linspace(-1, 1, 64)
    face = torch.ones(1, 64, 64)
    right = (0.4 * line).exp()[None, None].expand(3, 64, 64) / 2 - 0.03
    slopes = light(right, face)
    torch.testing.assert_close(slopes, torch.tensor([0.4, 0.0, math.log(0.5)]), atol=1e-3, rtol=0)
    above = light(right.transpose(1, 2).flip(1), face)
    torch.testing.assert_close(above, torch.tensor([0.0, 0.4, math.log(0.5)]), atol=1e-3, rtol=0)


def test_an_open_mouth_raises_the_first_number(mesh: Tensor):
    model = MeshModel.load()
    opened = model.rest + 2 * model.spread[0] * model.expression[0]
    mouth, smile = expression(read_state(opened[None], model), model) - expression(
        read_state(model.rest[None], model), model
    )
    assert float(mouth) > 1 and abs(float(smile)) < 0.7

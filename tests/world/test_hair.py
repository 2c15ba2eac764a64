from __future__ import annotations

import pytest
import torch

from anonlib.world.hair import TRAITS, paint


def heads(crown: float, *, beside: float = -0.05, skin: float = 0.55) -> torch.Tensor:
    """One grey mean face of 64 px: an oval outline, a crown, hair or none at the jaw."""
    step = (torch.arange(64) + 0.5) / 64
    y, x = torch.meshgrid(step, step, indexing="ij")
    layers = torch.zeros(1, 4, 64, 64)
    layers[:, 0] = torch.where(y < 0.22, crown, skin)
    layers[:, 3] = 0.3 - ((x - 0.5) ** 2 + (0.75 * (y - 0.5)) ** 2).sqrt()
    layers[:, 3, 38:50, [12, 13, 14, 49, 50, 51]] = beside
    return layers


def painted(layers: torch.Tensor, light: tuple[float, float, float] = (0, 0, 0)) -> torch.Tensor:
    return paint(layers, layers, torch.zeros(1, TRAITS), torch.tensor([light]))


def test_hair_leaves_eyes_nose_and_mouth_alone():
    layers = heads(0.2)
    assert torch.equal(painted(layers)[:, :, 26:50, 24:40], layers[:, :, 26:50, 24:40])


def test_dark_crowns_give_dark_hair_and_light_ones_light_hair():
    crowns = [painted(heads(c))[0, 0, 9:12, 28:36].mean() for c in (0.15, 0.5, 0.65)]
    assert crowns[0] + 0.02 < crowns[1] < crowns[2] - 0.02


def test_a_crown_as_light_as_can_be_is_bald():
    layers = heads(0.95)
    torch.testing.assert_close(painted(layers), layers, atol=0, rtol=0)


def test_dark_skin_has_no_white_hair():
    fair = painted(heads(0.65, skin=0.55))[0, 0, 9:12, 28:36].mean()
    dark = painted(heads(0.30, skin=0.20))[0, 0, 9:12, 28:36].mean()
    assert dark < fair - 0.1


def test_hair_beside_the_jaw_is_long():
    short, long = (painted(heads(0.2, beside=b))[0, 3] for b in (-0.05, 0.05))
    assert (long > 0).sum() > (short > 0).sum() + 100


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_hair_lies_under_the_light_of_the_face(side: float):
    lit = painted(heads(0.5), (side, 0.0, 0.0))[0, 0, 10:20]
    left, right = lit[:, 16:24].mean(), lit[:, 40:48].mean()
    assert (right - left) * side > 0

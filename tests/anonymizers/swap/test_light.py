from __future__ import annotations

import torch

from anonlib.anonymizers.swap.light import light_field, lit


def test_the_field_of_a_flat_picture_is_flat_and_ignores_what_has_no_weight() -> None:
    picture = torch.full((3, 40, 50), 0.3)
    weight = torch.zeros(40, 50)
    weight[10:30, 10:40] = 1
    picture[:, weight == 0] = 0.9
    torch.testing.assert_close(
        light_field(picture, weight, sigma=6.0), torch.full((3, 40, 50), 0.3), atol=0.02, rtol=0
    )


def test_the_field_keeps_light_from_the_side_and_drops_fine_detail() -> None:
    ramp = torch.linspace(0.2, 0.8, 64).expand(3, 64, 64)
    stripes = 0.2 * (torch.arange(64) // 2 % 2 * 2 - 1)
    field = light_field(ramp + stripes, torch.ones(64, 64), sigma=8.0)
    assert field[0, 32, 50] > field[0, 32, 14] + 0.15
    assert field[0, 32].diff().abs().max() < 0.03


def test_skin_without_detail_has_the_colour_of_the_field() -> None:
    field = torch.tensor([0.6, 0.4, 0.3])[:, None, None].expand(3, 8, 8)
    torch.testing.assert_close(lit(torch.zeros(3, 8, 8), field), field.clone(), atol=2e-3, rtol=0)


def test_a_grey_picture_stays_grey() -> None:
    skin = torch.full((3, 8, 8), 0.1)
    new = lit(skin, torch.full((3, 8, 8), 0.5))
    assert (new - new.mean(0)).abs().max() < 2e-3 and new.mean() > 0.5

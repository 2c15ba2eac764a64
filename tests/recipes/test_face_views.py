from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recipes.face_views import CENTRE, REACH, box_views


def dots(points: Tensor, side: int) -> Tensor:
    """One picture a point: a soft white dot on black."""
    line = torch.arange(side) + 0.5
    y, x = torch.meshgrid(line, line, indexing="ij")
    away = (x - points[:, 0, None, None]) ** 2 + (y - points[:, 1, None, None]) ** 2
    return torch.exp(-away / 8)[:, None].expand(-1, 3, -1, -1)


def centres(images: Tensor) -> Tensor:
    """`(B, 2)` xy centres of mass."""
    weight, line = images[:, 0], torch.arange(images.shape[-1]) + 0.5
    x, y = (weight.sum(1) * line).sum(1), (weight.sum(2) * line).sum(1)
    return torch.stack([x, y], dim=1) / weight.sum((1, 2))[:, None]


@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_landmarks_move_with_the_pixels(jitter: float):
    eyes = torch.tensor([[40.0, 38.0], [58.0, 38.0], [48.5, 52.0]])
    landmarks = eyes[:, None].expand(3, 5, 2)
    views, points = box_views(dots(eyes, 96), landmarks, size=64, jitter=jitter)
    torch.testing.assert_close(centres(views), points[:, 0], atol=0.1, rtol=0)


def test_without_jitter_the_view_is_the_enlarged_box():
    x, y = CENTRE[0] * 32, CENTRE[1] * 32
    half = torch.tensor(REACH) * 16
    middle = torch.tensor([x, y])
    landmarks = torch.stack([middle, middle - half, middle + half, middle, middle])[None]
    _, points = box_views(torch.rand(1, 3, 32, 32), landmarks, size=16, jitter=0)
    expected = torch.tensor([[8.0, 8.0], [0.0, 0.0], [16.0, 16.0], [8.0, 8.0], [8.0, 8.0]])
    torch.testing.assert_close(points[0], expected, atol=1e-4, rtol=0)


def test_borders_are_continued_and_values_kept():
    views, _ = box_views(torch.full((8, 3, 32, 32), 0.7), torch.zeros(8, 5, 2), size=16, jitter=0)
    torch.testing.assert_close(views, torch.full((8, 3, 16, 16), 0.7))


def test_a_generator_repeats_its_views_and_every_face_has_its_own():
    faces, points = torch.rand(1, 3, 32, 32).expand(2, 3, 32, 32), torch.zeros(2, 5, 2)

    def views() -> Tensor:
        return box_views(faces, points, size=16, generator=torch.Generator().manual_seed(4))[0]

    assert torch.equal(views(), views())
    assert not torch.equal(views()[0], views()[1])

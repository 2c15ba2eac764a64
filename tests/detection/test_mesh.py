from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.detection.mesh import MeshLandmarks
from anonlib.errors import ImageError
from anonlib.geometry import warp_affine
from anonlib.world.face_model import FaceModel


@pytest.fixture(scope="module")
def find() -> MeshLandmarks:
    return MeshLandmarks()


@pytest.fixture(scope="module")
def crops() -> Tensor:
    """Two drawn people before grey, the face half as high as the crop, `(2, 3, 256, 256)`."""
    model = FaceModel.load()
    pose, expression = torch.tensor([[0.0, 0, 0], [1, 1, 0]]), torch.tensor([[0.0, 0], [1, 1]])
    heads = model.render(
        model.identity([1, 2]), pose=pose, expression=expression, illumination=torch.zeros(2, 3), size=192
    )
    pictures = heads.rgb * heads.alpha + 0.5 * (1 - heads.alpha)
    return F.pad(pictures, (32, 32, 32, 32), value=0.5)


def similarity(*, degrees: float, scale: float, shift: tuple[float, float], about: float) -> Tensor:
    """The matrix `(1, 2, 3)` that turns and scales about the pixel (about, about), then shifts."""
    turn = math.radians(degrees)
    cos, sin = scale * math.cos(turn), scale * math.sin(turn)
    matrix = torch.tensor([[cos, -sin], [sin, cos]])
    centre = torch.full((2, 1), about)
    return torch.cat([matrix, centre + torch.tensor(shift)[:, None] - matrix @ centre], 1)[None]


def off(points: Tensor, expected: Tensor) -> float:
    """Mean distance of points, xy."""
    return (points[..., :2] - expected[..., :2]).norm(dim=-1).mean().item()


@pytest.mark.parametrize(
    ("degrees", "scale", "shift"),
    [(0.0, 1.0, (12.0, -9.0)), (20.0, 1.0, (0.0, 0.0)), (0.0, 0.8, (0.0, 0.0)), (-20.0, 1.1, (-10.0, 8.0))],
)
def test_points_move_with_the_picture(
    find: MeshLandmarks, crops: Tensor, degrees: float, scale: float, shift: tuple[float, float]
):
    matrix = similarity(degrees=degrees, scale=scale, shift=shift, about=128.0)
    before, _ = find(crops)
    moved = warp_affine(crops - 0.5, matrix.expand(2, 2, 3), (256, 256)) + 0.5
    after, scores = find(moved)
    expected = before[:, :, :2] @ matrix[0, :, :2].T + matrix[0, :, 2]
    assert off(after, expected) < 3.0  # the face is 120 pixels high
    assert (scores > 0.9).all()
    wide = (after[..., 2].amax(1) - after[..., 2].amin(1)) / (before[..., 2].amax(1) - before[..., 2].amin(1))
    torch.testing.assert_close(wide, torch.full((2,), scale), atol=0.15, rtol=0)


@pytest.mark.parametrize("factor", [0.25, 4])
def test_large_and_small_crops_have_points_in_their_own_pixels(
    find: MeshLandmarks, crops: Tensor, factor: float
):
    before, _ = find(crops)
    after, scores = find(F.interpolate(crops, scale_factor=factor, mode="bilinear", antialias=True))
    assert off(after / factor, before) < 2.0 and (scores > 0.9).all()


def test_crops_of_any_sizes_together_and_alone(find: MeshLandmarks, crops: Tensor):
    mixed = [crops[0], crops[1, :, 20:, 10:240]]
    points, scores = find(mixed)
    for i, crop in enumerate(mixed):
        alone, score = find([crop])
        torch.testing.assert_close(points[i], alone[0], atol=1e-2, rtol=0)
        torch.testing.assert_close(scores[i], score[0], atol=1e-4, rtol=0)
    shifted = points[1] + torch.tensor([10.0, 20.0, 0.0])
    assert off(shifted, find(crops[1:])[0][0]) < 2.0


def test_a_start_leads_to_the_same_points(find: MeshLandmarks, crops: Tensor):
    points, _ = find(crops)
    eyes = points[:, [[33, 133], [362, 263]], :2].mean(2)
    five = torch.cat([eyes, points[:, [1, 61, 291], :2]], 1)
    moved = five + torch.tensor([9.0, -7.0])
    for starts in (list(points), list(five), list(moved), [points[0], None]):
        assert off(find(crops, starts)[0], points) < 2.0


def test_a_lost_start_is_forgotten(find: MeshLandmarks, crops: Tensor):
    points, _ = find(crops)
    away = points - torch.tensor([150.0, 150.0, 0.0])
    again, scores = find(crops, [away[0], points[1]])
    assert off(again, points) < 2.0 and (scores > 0.9).all()


def test_nothing_is_found_where_nobody_is(find: MeshLandmarks):
    empty = [torch.rand(3, 100, 100), torch.full((3, 60, 80), 0.5), torch.zeros(3, 1, 1)]
    points, scores = find(empty)
    assert (scores < 0.1).all() and points.isfinite().all()


def test_no_crops_no_points(find: MeshLandmarks):
    points, scores = find([])
    assert points.shape == (0, 468, 3) and scores.shape == (0,)


def test_wrong_shapes_are_named(find: MeshLandmarks):
    with pytest.raises(ImageError, match=r"crop has shape \(1, 8, 8\): use RGB"):
        find([torch.zeros(1, 8, 8)])
    with pytest.raises(ImageError, match=r"starts \[\(4, 2\)\] for 1 crops: give each crop None, a mesh"):
        find([torch.zeros(3, 8, 8)], [torch.zeros(4, 2)])
    with pytest.raises(ImageError, match=r"starts \[\] for 1 crops"):
        find([torch.zeros(3, 8, 8)], [None, None])

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from anonlib.anonymizers.swap.mask import Masker, outline, soft_mask, upright_crop
from anonlib.detection.mesh import PRESENT, MeshLandmarks
from anonlib.networks.face_mesh import topology
from recipes.skin_scenes import DrawnFace, drawn_faces

HEIGHT, WIDTH = 150, 130


def mesh(angle: float = 0.0, radius: float = 40.0) -> Tensor:
    """A mesh `(468, 3)` whose outline is a circle about (60, 80), turned by an angle."""
    points = torch.zeros(468, 3)
    oval = topology().oval
    turn = torch.arange(len(oval)) / len(oval) * 2 * math.pi + angle
    points[oval, 0], points[oval, 1] = radius * turn.sin(), -radius * turn.cos()
    cos, sin = math.cos(angle), math.sin(angle)
    points[33, :2], points[263, :2] = torch.tensor([-20 * cos, -20 * sin]), torch.tensor([20 * cos, 20 * sin])
    return points + torch.tensor([60.0, 80.0, 0.0])


def test_the_outline_is_filled_in_the_upright_crop() -> None:
    filled = outline(mesh(0.4))
    assert filled.shape == (1, 96, 96)
    # the diameter is a third less than the crop: 64 pixels
    assert float(filled.sum()) == pytest.approx(math.pi * 32**2, rel=0.02)
    assert filled[0, 48, 48] == 1 and filled[0, 48, 12] == 0


def test_the_crop_is_upright() -> None:
    picture = torch.zeros(3, HEIGHT, WIDTH)
    points = mesh(math.pi / 2)  # the face lies on its side: its top is at the right
    picture[:, :, 60:] = 1.0
    crop = upright_crop(picture, points)
    assert crop[:3, :46].min() > 0.99 and crop[:3, 50:].max() < 0.01


def test_all_inside_is_replaced_where_all_is_skin_and_nothing_outside() -> None:
    mask = soft_mask(torch.full((1, 96, 96), 9.0), mesh(0.3), (HEIGHT, WIDTH))
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    away = torch.hypot(x - 60, y - 80)
    assert mask.shape == (1, HEIGHT, WIDTH)
    assert mask[0, away < 34].min() > 0.99
    assert mask[0, away > 41].max() < 0.02
    assert mask.min() >= 0 and mask.max() <= 1


def test_what_is_in_front_is_left_with_a_narrow_edge() -> None:
    logits = torch.full((1, 96, 96), 4.0)
    logits[:, 48:] = -4.0
    mask = soft_mask(logits, mesh(), (HEIGHT, WIDTH))[0, :, 60]
    assert mask[50:78].min() > 0.99 and mask[83:].max() < 0.01


@pytest.fixture(scope="module")
def drawn() -> list[tuple[DrawnFace, Tensor, Tensor]]:
    """Faces of drawn clips with their pictures `(3, h, w)` and meshes."""
    finder, found = MeshLandmarks(), []
    for face in drawn_faces(clips=8, split="test", seed=5, heights=(144,)):
        picture = torch.from_numpy(face.picture.copy()).permute(2, 0, 1) / 255
        points, scores = finder([picture], [torch.from_numpy(face.landmarks).float()])
        if scores[0] >= PRESENT:
            found.append((face, picture, points[0]))
    return found


def test_the_same_face_gets_the_same_mask(drawn: list[tuple[DrawnFace, Tensor, Tensor]]) -> None:
    masker, (_, picture, points) = Masker(), drawn[0]
    torch.testing.assert_close(masker(picture, points), masker(picture, points), rtol=0, atol=0)


def test_tools_before_drawn_faces_are_kept_and_their_skin_is_replaced(
    drawn: list[tuple[DrawnFace, Tensor, Tensor]],
) -> None:
    masker, front, skin = Masker(), [], []
    for face, picture, points in drawn:
        height, width = face.skin.shape
        inside = soft_mask(torch.full((1, 96, 96), 99.0), points, (height, width))[0] > 0.99
        mask = masker(picture, points)[0]
        front.append(mask[inside & torch.from_numpy(face.front > 250)])
        skin.append(mask[inside & torch.from_numpy(face.skin > 250)])
    assert sum(map(len, front)) > 300
    assert (torch.cat(front) < 0.5).float().mean() >= 0.95
    assert (torch.cat(skin) > 0.5).float().mean() >= 0.99

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from anonlib.anonymizers import create
from anonlib.anonymizers.ciagan import CiaganAnonymizer, load_ciagan
from anonlib.anonymizers.conditions import JAW, NOSE, condition, conditions_of, draw
from anonlib.anonymizers.sessions import Session
from anonlib.config import CiaganConfig, to_dict
from anonlib.detection.mesh import MeshLandmarks
from anonlib.errors import CheckpointError
from anonlib.networks.ciagan import SIZE, CiaganGenerator
from anonlib.training.checkpoints import save_weights
from anonlib.types import FaceImages
from anonlib.world.faces import synthetic_faces

TINY = CiaganConfig(people=5, width=4, blocks=1)


@pytest.fixture(scope="module")
def faces() -> FaceImages:
    return synthetic_faces([700_000_000, 700_000_001], images=2, size=64, seed=3)


@pytest.fixture(scope="module")
def points(faces: FaceImages) -> Tensor:
    found, scores = MeshLandmarks()(list(faces.images.float() / 255))
    assert (scores > 0.5).all()
    return found


class Known:
    """Finds the given points in pictures of 64 pixels, and nothing in others."""

    def __init__(self, points: Tensor) -> None:
        self.points = points

    def __call__(self, crops: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        found = torch.tensor([1.0 if crop.shape[1] == 64 else 0.0 for crop in crops])
        return self.points[:1].expand(len(crops), -1, -1), found


@pytest.fixture
def method(points: Tensor) -> CiaganAnonymizer:
    torch.manual_seed(0)
    return CiaganAnonymizer(CiaganGenerator(TINY), find=Known(points), seed=1)


def test_the_input_is_zero_under_the_mask_and_no_colour_of_the_face_passes(faces: FaceImages, points: Tensor):
    picture = faces.images[0].float() / 255
    _, there = conditions_of(picture, points[0])
    hole = there.masks[:, 0] > 0
    assert 0.1 < hole.float().mean() < 0.5 and hole[0, SIZE // 2, SIZE // 2]
    assert (there.seen()[:, 3:].movedim(1, 3)[hole] == 0).all()
    painted = picture.clone()
    left, top, right, bottom = 27, 30, 37, 42  # in the middle of the face
    painted[:, top:bottom, left:right] = torch.rand(3, bottom - top, right - left)
    _, other = conditions_of(painted, points[0])
    assert not torch.equal(there.images, other.images) and torch.equal(there.seen(), other.seen())


def test_with_the_full_face_the_colours_of_the_face_pass(faces: FaceImages, points: Tensor):
    picture = faces.images[0].float() / 255
    torch.manual_seed(0)
    method = CiaganAnonymizer(CiaganGenerator(replace(TINY, face=True)), find=Known(points), seed=1)
    _, there = conditions_of(picture, points[0])
    assert torch.equal(there.seen(face=True)[:, :3], there.images)
    assert torch.equal(there.seen(face=True)[:, 3:], there.seen()[:, 3:])
    painted = picture.clone()
    painted[:, 30:42, 27:37] = 0
    (first, second), _ = method.redraw([picture, painted], [0, 0])
    middle = there.masks[0, 0, 32, 32]  # the generator alone decides there
    assert middle == 1 and not torch.equal(first[:, 32, 32], second[:, 32, 32])
    plain = CiaganAnonymizer(CiaganGenerator(TINY), find=Known(points), seed=1)
    (first, second), _ = plain.redraw([picture, painted], [0, 0])
    torch.testing.assert_close(first[:, 32, 32], second[:, 32, 32], atol=1e-5, rtol=0)


def test_a_drawing_shows_the_lines_in_blue_on_white(points: Tensor):
    flat = (points[0, :, :2] - 32) * 1.1 + 32
    drawing, mask = draw(flat)
    assert (drawing[2] == 1).all() and torch.equal(drawing[0], drawing[1])
    for x, y in flat[[JAW[11], NOSE[1]]].long().tolist():
        assert drawing[0, y - 1 : y + 2, x - 1 : x + 2].min() < 0.5
    assert (drawing[0] == 1).float().mean() > 0.85 and mask[0, 0, 0] == 0


def test_faces_without_a_mesh_are_left_out(faces: FaceImages, points: Tensor):
    scores = torch.tensor([1.0, 0.0, 1.0, 0.2])
    there, windows, rows = condition(faces.images, lambda crops: (points, scores))
    assert len(there.images) == len(windows) == 2 and rows.tolist() == [0, 2]


def test_only_the_face_changes_and_the_wanted_person_decides(method: CiaganAnonymizer, faces: FaceImages):
    crop = faces.images[0].float() / 255
    (first, second), found = method.redraw([crop, crop], [0, 3])
    assert found == [True, True] and first.shape == crop.shape and not torch.equal(first, second)
    changed = (first != crop).any(0)
    assert changed[32, 32] and 0.1 < changed.float().mean() < 0.5
    assert not changed[0].any() and not changed[:, 0].any()


def test_a_track_is_one_person_and_a_face_without_a_mesh_is_veiled(
    method: CiaganAnonymizer, faces: FaceImages
):
    session, crops = method.session(), list(faces.images[:3].float() / 255)
    assert isinstance(session, Session)
    session.people = {7: 2}
    unknown = torch.rand(3, 40, 36)
    out = session.replace([*crops, unknown], [7, 7, 8, 9], [(0, 0)] * 4)
    expected, _ = method.redraw(crops[:2], [2, 2])
    assert all(torch.equal(*pair) for pair in zip(out[:2], expected, strict=True))
    assert session.people[8] == method.person_for(crops[2])
    assert session.counts == {"redrawn": 3, "veiled": 1}
    assert out[3].shape == unknown.shape and out[3].std() < 0.5 * unknown.std()


def test_weights_come_back_and_foreign_ones_are_refused(tmp_path: Path, faces: FaceImages):
    torch.manual_seed(0)
    path, network = tmp_path / "ciagan.safetensors", CiaganGenerator(TINY)
    save_weights(path, network, config=to_dict(TINY), bits=16)
    batch = faces.images[:2].float() / 255
    hidden = create("ciagan", weights=path, seed=4)(batch)
    assert hidden.shape == batch.shape and not torch.equal(hidden, batch)
    assert load_ciagan(path).generator.config == TINY
    save_weights(path, network, config={"size": 64})
    with pytest.raises(CheckpointError, match="do not fit CIAGAN's generator"):
        load_ciagan(path)

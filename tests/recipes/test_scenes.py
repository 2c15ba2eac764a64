from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from recipes.scenes import (
    Canvas,
    Labelled,
    Placing,
    Scenes,
    disturb,
    mirror_boxes,
    mirror_landmarks,
    move_boxes,
    move_points,
    texture,
)

NOWHERE = np.zeros((0, 4), np.float32)


@pytest.fixture
def white_face():
    """A white rectangle with a red nose on black."""
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[10:40, 30:50] = 255
    points = np.array([[[34, 18], [46, 18], [40, 25], [35, 33], [45, 33]]], np.float32)
    return Labelled(picture, np.array([[30, 10, 50, 40]], np.float32), points, NOWHERE)


def ground(colour=100, size=100):
    return Image.new("RGB", (size, size), (colour,) * 3)


def test_a_placing_moves_its_source_to_its_target():
    placing = Placing(source=np.array([3.0, 4.0]), target=np.array([50.0, 60.0]), scale=2, angle=np.pi / 2)
    moved = move_points(placing.matrix(), np.array([[3.0, 4.0], [4.0, 4.0]]))
    np.testing.assert_allclose(moved, [[50, 60], [50, 62]], atol=1e-4)


def test_boxes_scale_about_their_moved_middle():
    placing = Placing(source=np.zeros(2), target=np.array([10.0, 0.0]), scale=2, squeeze=0.5)
    moved = move_boxes(placing.matrix(), np.array([[0, 0, 4, 6]], np.float32))
    np.testing.assert_allclose(moved, [[10, 0, 14, 12]], atol=1e-5)


@pytest.mark.parametrize(("scale", "cut"), [(1.0, None), (0.3, None), (1.5, 1.0), (0.3, 1.5)])
def test_the_face_lies_where_its_box_says(white_face, scale, cut):
    canvas = Canvas(ground())
    placing = Placing(source=np.array([40.0, 25.0]), target=np.array([60.0, 40.0]), scale=scale)
    canvas.lay(white_face, placing, cut=cut)
    x0, y0, x1, y1 = (int(v) for v in canvas.boxes[0].round())
    assert (x0 + x1) / 2 == pytest.approx(60, abs=1) and y1 - y0 == pytest.approx(30 * scale, abs=1)
    inner = np.asarray(canvas.image)[
        y0 + (y1 - y0) // 3 : y1 - (y1 - y0) // 3, x0 + (x1 - x0) // 3 : x1 - (x1 - x0) // 3
    ]
    assert inner.min() > 240
    np.testing.assert_allclose(canvas.landmarks[0, 2], [60, 40], atol=1e-3)
    assert np.asarray(canvas.image)[99, 0].tolist() == [100, 100, 100]


def test_a_hidden_face_is_gone_and_a_half_hidden_one_doubtful(white_face):
    for shift, faces, doubtful in ((0.0, 1, 0), (8.0, 1, 1), (30.0, 2, 0)):
        canvas = Canvas(ground())
        for x in (40.0, 40.0 + shift):
            placing = Placing(source=np.array([40.0, 25.0]), target=np.array([x, 50.0]), scale=1)
            canvas.lay(white_face, placing, cut=1.0)
        assert (len(canvas.boxes), len(canvas.doubtful)) == (faces, doubtful)


def test_a_cut_off_or_tiny_face_is_doubtful(white_face):
    for target, scale in (((0.0, 50.0), 1.0), ((50.0, 50.0), 0.2)):
        canvas = Canvas(ground())
        placing = Placing(source=np.array([40.0, 25.0]), target=np.array(target), scale=scale)
        canvas.lay(white_face, placing, cut=1.0)
        scene = canvas.finish(mirror=False, rng=np.random.default_rng(0))
        assert len(scene.boxes) == 0 and len(scene.doubtful) == 1


def test_in_a_mirror_the_left_eye_is_the_right_one(white_face):
    points = mirror_landmarks(white_face.landmarks, 80)
    assert points[0, 0].tolist() == [80 - 46, 18] and points[0, 3].tolist() == [80 - 45, 33]
    np.testing.assert_allclose(mirror_landmarks(points, 80), white_face.landmarks)
    boxes = mirror_boxes(white_face.boxes, 80)
    assert boxes.tolist() == [[30, 10, 50, 40]]
    np.testing.assert_allclose(mirror_boxes(mirror_boxes(boxes + 3, 80), 80), boxes + 3)


def test_a_scene_depends_on_its_number_and_seed_alone(white_face):
    dark = Labelled(white_face.picture // 9, NOWHERE, np.zeros((0, 5, 2), np.float32), NOWHERE)
    scenes = Scenes([white_face], [dark], size=96, seed=3)
    first, again = scenes[7], scenes[7]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    other = Scenes([white_face], [dark], size=96, seed=4)[7]
    assert not torch.equal(first.picture, other.picture)
    assert first.picture.shape == (3, 96, 96) and first.picture.dtype == torch.uint8
    counts = [len(scenes[n].boxes) for n in range(30)]
    assert min(counts) == 0 and max(counts) >= 3
    assert all(torch.equal(a, b) for a, b in zip(next(iter(scenes)), scenes[0], strict=True))


def test_every_other_scene_shows_a_part_of_a_whole_frame(white_face):
    dark = Labelled(white_face.picture // 9, NOWHERE, np.zeros((0, 5, 2), np.float32), NOWHERE)
    plain = Scenes([white_face], [dark], size=96, seed=3)
    mixed = Scenes([white_face], [dark], size=96, seed=3, whole=[white_face])
    assert torch.equal(mixed[6].picture, plain[6].picture)
    shown = [mixed[n] for n in range(1, 61, 2)]
    assert {len(scene.boxes) for scene in shown} == {0, 1}  # never laid on one another
    tall = torch.cat([scene.boxes[:, 3] - scene.boxes[:, 1] for scene in shown])
    assert tall.min() >= 30 * 0.8 - 0.01 and tall.max() <= 30 * 2.5 + 0.01


def test_textures_and_disturbances_keep_the_size():
    for seed in range(12):
        rng = np.random.default_rng(seed)
        image = disturb(texture(64, rng), rng)
        assert image.size == (64, 64) and image.mode == "RGB"

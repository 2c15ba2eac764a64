from __future__ import annotations

import numpy as np
import pytest
import torch

from anonlib.detection import Faces, MtcnnDetector
from anonlib.detection.mtcnn import _faces, most_prominent
from anonlib.errors import ConfigError


def test_faces_are_tensors_with_the_surest_first():
    """With numpy 2, facenet-pytorch returns arrays of objects, the largest box first."""
    boxes = np.array([[0, 0, 9, 9], [1, 1, 4, 4]], dtype=object)
    points = np.stack([np.zeros((5, 2)), np.ones((5, 2))]).astype(object)
    found = _faces(boxes, np.array([0.7, 0.9], dtype=object), points)
    assert found.boxes.tolist() == [[1, 1, 4, 4], [0, 0, 9, 9]]
    torch.testing.assert_close(found.scores, torch.tensor([0.9, 0.7]))
    assert found.landmarks[:, 0, 0].tolist() == [1, 0] and found.boxes.dtype == torch.float32


def test_nobody_found_is_empty():
    found = _faces(None, [None], None)
    assert len(found) == 0
    assert (found.boxes.shape, found.scores.shape) == ((0, 4), (0,))
    assert found.landmarks.shape == (0, 5, 2)


def test_above_keeps_scores_of_at_least_the_threshold():
    points = torch.arange(30.0).reshape(3, 5, 2)
    found = Faces(boxes=points[:, :2].reshape(3, 4), scores=torch.tensor([0.9, 0.8, 0.3]), landmarks=points)
    kept = found.above(0.8)
    assert torch.equal(kept.boxes, found.boxes[:2]) and torch.equal(kept.landmarks, points[:2])
    assert len(found.above(0.0)) == 3 and len(found.above(1.0)) == 0


@pytest.mark.parametrize(
    ("boxes", "scores", "expected"),
    [
        ([[0, 0, 30, 30], [40, 40, 60, 60]], [0.99, 0.99], 1),  # central before large
        ([[40, 40, 60, 60], [20, 20, 80, 80]], [0.99, 0.99], 1),  # large before small
        ([[40, 40, 60, 60], [20, 20, 80, 80]], [0.99, 0.5], 0),  # sure before unsure
        ([[40, 40, 60, 60]], [0.5], None),
        ([], [], None),
    ],
)
def test_the_most_prominent_face_is_chosen(boxes, scores, expected):
    points = torch.arange(float(len(boxes)))[:, None, None].expand(-1, 5, 2)
    faces = Faces(
        boxes=torch.tensor(boxes).float().reshape(-1, 4), scores=torch.tensor(scores), landmarks=points
    )
    found = most_prominent(faces, centre=(50, 50))
    if expected is None:
        assert found is None
    else:
        assert torch.equal(found, torch.full((5, 2), float(expected)))


@pytest.mark.parametrize("thresholds", [(0.6, 0.7), (0.6, 0.7, 1.1), (-0.1, 0.7, 0.7)])
def test_thresholds_must_be_three_probabilities(thresholds):
    with pytest.raises(ConfigError, match="three numbers from 0 to 1"):
        MtcnnDetector(thresholds=thresholds)


def test_a_face_smaller_than_the_networks_read_is_refused():
    with pytest.raises(ConfigError, match="use 12 or more"):
        MtcnnDetector(smallest=11)


@pytest.fixture(scope="module")
def scene():
    """Six frames of synthetic people."""
    from anonlib.world.actions import render_clips
    from anonlib.world.faces import SyntheticPeople

    return render_clips(clips=6, frames=1, split="validation", seed=3, heads=SyntheticPeople())


@pytest.mark.slow  # importing facenet-pytorch takes seconds
def test_mtcnn_finds_synthetic_faces_and_their_landmarks(scene):
    found = MtcnnDetector()(scene.frames / 255)
    assert len(found) == 6
    near, faces = 0, 0
    for one, points in zip(found, scene.landmarks, strict=True):
        faces += len(points)
        for landmarks in points:
            span = (landmarks[0] - landmarks[1]).norm()
            off = (one.landmarks - landmarks).norm(dim=2).amax(dim=1)
            near += bool((off < 0.5 * span).any())
    assert faces >= 6 and near >= 0.7 * faces


@pytest.mark.slow
def test_a_frame_comes_out_the_same_whatever_else_is_in_its_batch(scene):
    detector = MtcnnDetector()
    together, alone = detector(scene.frames / 255), detector(scene.frames[2:3] / 255)[0]
    assert len(together[2]) == len(alone) > 0
    torch.testing.assert_close(together[2].boxes, alone.boxes, atol=0.5, rtol=0)
    torch.testing.assert_close(together[2].scores, alone.scores, atol=1e-2, rtol=0)


@pytest.mark.slow
def test_a_stricter_last_stage_is_a_cut_of_the_scores(scene):
    """Which is why one lenient run is enough for a whole curve over that threshold."""
    lenient = MtcnnDetector(thresholds=(0.6, 0.7, 0.1))(scene.frames / 255)
    strict = MtcnnDetector(thresholds=(0.6, 0.7, 0.95))(scene.frames / 255)
    assert [len(x) for x in strict] == [len(x.above(0.95)) for x in lenient]
    for a, b in zip(strict, lenient, strict=True):
        torch.testing.assert_close(a.boxes, b.above(0.95).boxes)


@pytest.mark.slow
def test_nobody_is_found_in_frames_without_or_smaller_than_a_face():
    detector = MtcnnDetector()
    assert [len(f) for f in detector(torch.zeros(2, 3, 60, 60))] == [0, 0]
    assert [len(f) for f in detector(torch.ones(1, 3, 16, 40))] == [0]
    assert detector(torch.zeros(0, 3, 60, 60)) == []

from __future__ import annotations

import threading

import pytest
import torch
from hypothesis import given, settings, strategies as st

from anonlib.training.batches import (
    FaceBatch,
    batches,
    face_batch,
    face_regions,
    frame_batch,
    frames_drawn,
    mirror_boxes,
)
from anonlib.types import ActionFrames, FaceImages


def coordinate_faces(count: int = 3, side: int = 10) -> FaceImages:
    """Faces with bright pixels where their landmarks are; person k is marked by channel 2."""
    images = torch.zeros(count, 3, side, side, dtype=torch.uint8)
    points = torch.tensor([[2, 3], [7, 4], [5, 5], [3, 8], [6, 7]])
    for k, (x, y) in enumerate(points.tolist()):
        images[:, 0, y, x] = 50 * (k + 1)
    images[:, 2] = torch.arange(count, dtype=torch.uint8)[:, None, None]
    landmarks = (points + 0.5).expand(count, 5, 2).clone()
    return FaceImages(images=images, labels=10 + torch.arange(count), landmarks=landmarks)


def test_a_batch_depends_on_the_seed_and_the_step_alone():
    faces = coordinate_faces(50)

    def drawn(seed: int, step: int) -> list[int]:
        return face_batch(faces, 16, seed=seed, step=step).labels.tolist()

    first = drawn(3, 7)
    torch.rand(5)  # whatever else was drawn meanwhile
    assert drawn(3, 7) == first
    assert len({tuple(drawn(s, t)) for s in (3, 4) for t in (7, 8)}) == 4


def test_drawing_a_batch_leaves_the_global_random_numbers_alone(frames: ActionFrames):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    face_batch(coordinate_faces(), 4, seed=0, step=0)
    frame_batch(frames, 4, seed=0, step=0)
    torch.testing.assert_close(torch.rand(3), expected)


def test_images_labels_and_landmarks_stay_together_mirrored_or_not():
    batch = face_batch(coordinate_faces(), 64, seed=0, step=0)
    assert batch.images.shape == (64, 3, 10, 10)
    assert torch.equal(batch.labels - 10, (batch.images[:, 2, 0, 0] * 255).round().long())
    # left eye at (2, 3), right eye at (7, 4): mirrored, the right eye comes to lie at (2, 4)
    eyes = {False: (50, 100), True: (100, 50)}
    seen = set()
    for image, landmarks in zip(batch.images, batch.landmarks, strict=True):
        mirrored = bool(landmarks[0, 1] == 4.5)
        assert landmarks[0, 0] < landmarks[1, 0] and landmarks[3, 0] < landmarks[4, 0]
        for (x, y), value in zip(landmarks[:2].int().tolist(), eyes[mirrored], strict=True):
            assert round(image[0, y, x].item() * 255) == value
        seen.add(mirrored)
    assert seen == {True, False}


def test_mirrored_landmarks_by_hand():
    batch = face_batch(coordinate_faces(1), 32, seed=0, step=0)
    expected = {
        False: [[2.5, 3.5], [7.5, 4.5], [5.5, 5.5], [3.5, 8.5], [6.5, 7.5]],
        True: [[2.5, 4.5], [7.5, 3.5], [4.5, 5.5], [3.5, 7.5], [6.5, 8.5]],
    }
    for landmarks in batch.landmarks.tolist():
        assert landmarks in expected.values()


def test_about_half_of_the_faces_are_mirrored():
    batch = face_batch(coordinate_faces(1), 1000, seed=0, step=0)
    assert 430 < int((batch.landmarks[:, 0, 1] == 4.5).sum()) < 570


def test_batches_leave_the_data_alone(frames: ActionFrames):
    faces = coordinate_faces()
    images, landmarks, video = faces.images.clone(), faces.landmarks.clone(), frames.frames.clone()
    boxes = [b.clone() for b in frames.boxes]
    face_batch(faces, 32, seed=0, step=0)
    frame_batch(frames, 32, seed=0, step=0)
    assert torch.equal(faces.images, images) and torch.equal(faces.landmarks, landmarks)
    assert torch.equal(frames.frames, video)
    assert all(torch.equal(a, b) for a, b in zip(frames.boxes, boxes, strict=True))


def test_boxes_and_regions_follow_their_frames_through_the_mirror():
    video = torch.zeros(1, 3, 20, 30, dtype=torch.uint8)
    video[0, 0, 4:16, 2:9] = 200  # the actor
    video[0, 1, 6:11, 5:10] = 100  # the face, centre (7.5, 8.5), enlarged to 3.5..11.5
    data = ActionFrames(
        frames=video,
        boxes=[torch.tensor([[2.0, 4.0, 9.0, 16.0]])],
        labels=[torch.tensor([6])],
        face_boxes=[torch.tensor([[5.0, 6.0, 10.0, 11.0]])],
        landmarks=[torch.zeros(1, 5, 2)],
        identities=[torch.tensor([1])],
        clips=torch.zeros(1, dtype=torch.int64),
    )
    batch = frame_batch(data, 16, seed=0, step=0)
    left = set()
    for frame, box, label, region in zip(batch.frames, batch.boxes, batch.labels, batch.regions, strict=True):
        ((x0, y0, x1, y1),) = box.int().tolist()
        assert (frame[0, y0:y1, x0:x1] > 0.7).all()
        assert torch.count_nonzero(frame[0]) == 7 * 12
        assert label.tolist() == [6]
        left.add((x0, *region[0].tolist()))
    assert left == {(2, 3.0, 4.0, 12.0, 13.0), (21, 18.0, 4.0, 27.0, 13.0)}


def test_regions_are_enlarged_may_leave_the_frame_but_not_all_of_it_and_are_never_empty():
    boxes = torch.tensor(
        [
            [10.0, 10.0, 20.0, 20.0],
            [0.0, 0.5, 10.0, 10.0],  # 9.5 px high, enlarged to 15.2
            [99.0, 0.0, 120.0, 9.0],  # right of the frame
            [-13.0, 5.0, -3.0, 15.0],  # ends at its left side when enlarged
            [5.0, 5.0, 5.0, 15.0],  # no width
        ]
    )
    regions = face_regions([boxes, torch.zeros(0, 4)], height=40, width=30)
    assert regions[0].tolist() == [[7.0, 7.0, 23.0, 23.0], [-3.0, -3.0, 13.0, 13.0]]
    assert regions[1].shape == (0, 4)


@given(st.floats(0, 20), st.floats(0, 20), st.integers(30, 60))
@settings(deadline=None, max_examples=30)
def test_mirroring_twice_changes_nothing(x: float, w: float, width: int):
    box = torch.tensor([[x, 1.0, x + w, 5.0]], dtype=torch.float64)
    mirrored = mirror_boxes(box, width)
    assert mirrored[0, 2] >= mirrored[0, 0]
    torch.testing.assert_close(mirror_boxes(mirrored, width), box)
    assert mirrored[0, 0] + box[0, 2] == pytest.approx(width)


def test_batches_prepared_ahead_are_those_prepared_when_asked_for():
    faces = coordinate_faces(50)
    threads: dict[int, str] = {}

    def make(number: int) -> FaceBatch:
        threads[number] = threading.current_thread().name
        return face_batch(faces, 8, seed=1, step=number)

    batch_of = batches(make, "cuda:1")  # the batches themselves stay on the CPU
    for number in (5, 6, 7):  # a resumed training does not begin at 0
        torch.rand(3)
        found, expected = batch_of(number), face_batch(faces, 8, seed=1, step=number)
        assert torch.equal(found.images, expected.images)
        assert torch.equal(found.labels, expected.labels)
    assert threading.current_thread().name not in threads.values()


def test_an_error_while_a_batch_is_prepared_ahead_is_raised_when_it_is_asked_for():
    def make(number: int) -> int:
        if number == 4:
            raise ValueError("no frame 4")
        return number

    batch_of = batches(make, "cuda")
    assert batch_of(3) == 3
    with pytest.raises(ValueError, match="no frame 4"):
        batch_of(4)


def test_a_cpu_prepares_its_batches_itself():
    assert batches(abs, "cpu") is abs


def test_the_frames_of_a_training_are_known_beforehand(frames: ActionFrames):
    shown = [frame_batch(frames, 2, seed=5, step=step).frames for step in range(4)]
    drawn = frames_drawn(len(frames), 2, seed=5, steps=4).tolist()
    assert drawn == sorted(set(drawn)) and len(drawn) <= 6
    known = {tuple((frames.frames[i].float() / 255).flatten().tolist()) for i in drawn}
    mirrored = {tuple((frames.frames[i].float() / 255).flip(2).flatten().tolist()) for i in drawn}
    assert all(tuple(x.flatten().tolist()) in known | mirrored for x in torch.cat(shown))
    assert frames_drawn(6, 2, seed=5, steps=0).tolist() == []

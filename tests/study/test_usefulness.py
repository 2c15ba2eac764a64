"""What a method keeps besides the person: each measure by hand or on drawn faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from anonlib.anonymizers import create
from anonlib.detection import Faces
from anonlib.experiment import flicker
from anonlib.study import Bench, usefulness
from anonlib.study.usefulness import (
    aligned_faces,
    aligned_points,
    drawn_clip,
    found,
    hidden_clip,
    milliseconds,
    read_state,
    state_errors,
)
from anonlib.world.faces import drawn_states, synthetic_faces


def test_a_face_is_found_where_a_box_holds_its_middle() -> None:
    faces = synthetic_faces([0, 1], images=1, size=64, seed=0)
    boxes = [torch.tensor([[40.0, 40.0, 90.0, 90.0]]), torch.tensor([[0.0, 0.0, 20.0, 20.0]])]

    def detector(frames: Tensor) -> list[Faces]:
        assert frames.shape == (2, 3, 128, 128)
        return [Faces(boxes=box, scores=torch.ones(1), landmarks=torch.zeros(1, 5, 2)) for box in boxes]

    assert found(detector, faces) == 0.5


def test_the_errors_of_the_state_by_hand() -> None:
    read, drawn = np.array([[3.0, 0, 0, 1, 0], [0, 0, 0, 1, 4]]), np.zeros((2, 5))
    errors = state_errors(read, drawn)
    assert errors == pytest.approx({"pose": 1.5**0.5, "mouth": 1, "smile": 8**0.5})


def test_the_state_that_was_drawn_is_read_on_clear_faces_and_not_on_masks() -> None:
    faces = synthetic_faces(range(10), images=4, size=64, seed=5)
    drawn = drawn_states(range(10), images=4, seed=5)[:, :5].numpy()
    clear = state_errors(read_state(faces.images), drawn)
    masked = state_errors(read_state(torch.zeros_like(faces.images[:])), drawn)
    assert all(clear[name] < 0.75 * masked[name] for name in clear)
    assert clear["pose"] < 0.4


def test_points_are_in_pixels_of_the_aligned_face() -> None:
    faces = synthetic_faces([0, 1], images=1, size=64, seed=0)
    mesh = torch.zeros(2, 468, 3)
    mesh[:, 33, 0] = 1.0
    doubled = replace(faces, landmarks=faces.landmarks * 2)
    one, half = (aligned_points(each, lambda _: (mesh, torch.ones(2)), (33, 7)) for each in (faces, doubled))
    assert one.shape == (2, 2, 2)
    torch.testing.assert_close(one, 2 * half)
    assert (one[:, 0, 0] > 0).all() and not one[:, 1].any()


def test_a_clip_moves_is_aligned_and_is_one_track_of_a_session() -> None:
    frames, landmarks = drawn_clip(5, frames=4, size=64, seed=0)
    aligned = aligned_faces(frames, landmarks)
    assert aligned.shape == frames.shape
    assert flicker(frames, aligned) > 0
    assert not hidden_clip(create("mask"), frames).any()
    live = create("live")
    apart = torch.cat([hidden_clip(live, frame[None]) for frame in frames])
    together = hidden_clip(live, frames)
    torch.testing.assert_close(together[0], apart[0])
    assert (together[1:] - apart[1:]).abs().max() > 1e-3  # the target is that of the first frame


def test_time_is_that_of_the_processor_and_the_first_face_does_not_count() -> None:
    calls = []

    def hide(faces: Tensor) -> Tensor:
        calls.append(len(faces))
        if len(calls) == 1:
            sum(range(2_000_000))
        return faces

    assert milliseconds(hide, torch.rand(4, 3, 8, 8)) < 5
    assert calls == [1, 1, 1, 1]


@pytest.mark.slow
def test_a_row_of_the_clear_pictures_and_of_a_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("CLIPS", 1), ("FRAMES", 3), ("TIMED", 3)):
        monkeypatch.setattr(usefulness, name, value)
    bench = Bench(range(2_400_000_000, 2_400_000_008), images=3, seed=0)
    clear, mask = bench.row(create("unanonymized")), bench.row(create("mask"))
    assert list(clear) == [
        *("found_mtcnn", "found_centerface", "pose", "mouth", "smile"),
        *("eyes", "frechet", "flicker", "milliseconds"),
    ]
    assert clear["found_mtcnn"] == clear["found_centerface"] == clear["flicker"] == 1
    assert clear["eyes"] == mask["found_mtcnn"] == mask["found_centerface"] == mask["flicker"] == 0
    assert mask["frechet"] > clear["frechet"] and mask["pose"] > clear["pose"]

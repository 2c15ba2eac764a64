from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st

from anonlib.anonymizers import create, names
from anonlib.anonymizers.frames import anonymize_frames
from anonlib.config import ENLARGE
from anonlib.errors import ImageError
from anonlib.geometry import clip_boxes, enlarge_boxes

NONE = torch.zeros(0, 4)


def boxes(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows)


def test_only_the_enlarged_face_changes():
    frames = torch.rand(1, 3, 60, 80) + 0.0
    out = anonymize_frames(frames, [boxes([20, 20, 30, 40])], create("mask"))
    expected = frames.clone()
    expected[:, :, 14:46, 17:33] = 0  # 10x20 about (25, 30), 1.6 times as large
    assert torch.equal(out, expected)


def test_frames_without_a_face_are_unchanged():
    frames = torch.rand(2, 3, 40, 40)
    out = anonymize_frames(frames, [NONE, boxes([10, 10, 20, 20])], create("mask"))
    assert torch.equal(out[0], frames[0]) and not torch.equal(out[1], frames[1])
    assert out.data_ptr() != frames.data_ptr()


def test_every_crop_goes_through_at_its_own_size():
    seen = []

    def record(faces):
        seen.append(tuple(faces.shape))
        return faces

    frames = torch.rand(2, 3, 60, 60)
    found = [boxes([10, 10, 20, 20], [30, 30, 45, 50]), boxes([40, 10, 50, 20])]
    assert torch.equal(anonymize_frames(frames, found, record), frames)
    assert sorted(seen) == [(1, 3, 32, 25), (2, 3, 16, 16)]  # x from 25.5 to 49.5


def test_faces_return_to_where_they_came_from():
    """Crops of one size share a batch; each must find its own box again."""
    frames = torch.rand(2, 3, 60, 60)
    found = [boxes([10, 10, 20, 20], [30, 30, 45, 50]), boxes([40, 10, 50, 20])]
    out = anonymize_frames(frames, found, lambda faces: 1 - faces)
    inside = torch.zeros(2, 1, 60, 60, dtype=torch.bool)
    inside[0, :, 7:23, 7:23] = inside[1, :, 7:23, 37:53] = True
    inside[0, :, 24:56, 25:50] = True  # 15x20 about (37.5, 40): x from 25.5 to 49.5, outwards
    assert torch.equal(out, torch.where(inside, 1 - frames, frames))


def test_overlapping_faces_come_from_the_original_and_are_covered():
    frames = torch.full((1, 3, 40, 40), 0.25)
    found = boxes([10, 10, 20, 20], [15, 10, 25, 20])
    out = anonymize_frames(frames, [found], lambda faces: faces * 2)
    assert set(out.unique().tolist()) == {0.25, 0.5}  # 1.0 where a crop had been changed before
    assert (out[0, 0, 7:23, 7:28] == 0.5).all()


def test_faces_at_the_border_and_beyond():
    frames = torch.ones(1, 3, 40, 50)
    found = boxes([-5, -5, 3, 3], [49, 39, 60, 60], [200, 200, 220, 220])
    out = anonymize_frames(frames, [found], create("mask"))[0, 0]
    assert (out[:8, :8] == 0).all() and (out[-8:, -8:] == 0).all()
    assert out.sum() == 40 * 50 - 2 * 64


def test_tiny_faces_are_hidden_too():
    frames = torch.ones(1, 3, 40, 50)
    found = [boxes([20, 20, 22, 22], [5, 5, 6, 30])]
    expected = frames.clone()
    expected[..., 17:25, 17:25] = 0  # 4 pixels grown to 8 about their middle
    expected[..., :38, 2:10] = 0  # 3 pixels (4.7 to 6.3, outwards) grown to 8
    assert torch.equal(anonymize_frames(frames, found, create("mask")), expected)


@pytest.mark.parametrize("name", names()[:-1])
def test_every_method_hides_several_faces(name):
    frames = torch.rand(2, 3, 48, 64)
    found = [boxes([5, 5, 20, 20], [30, 20, 50, 40]), boxes([10, 10, 30, 30])]
    out = anonymize_frames(frames, found, create(name))
    alone = anonymize_frames(frames[1:], found[1:], create(name))
    assert torch.equal(out[1], alone[0])
    assert (out - frames)[0].abs().amax(0).bool().any() == (name != "unanonymized")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.floats(-30, 70) for _ in range(2)], *[st.floats(0.5, 40) for _ in range(2)]),
        max_size=4,
    )
)
def test_no_pixel_of_an_enlarged_face_survives(found):
    rows = torch.tensor([[x, y, x + w, y + h] for x, y, w, h in found]).reshape(-1, 4)
    out = anonymize_frames(torch.ones(1, 3, 40, 50), [rows], create("mask"))
    for x0, y0, x1, y1 in clip_boxes(enlarge_boxes(rows), height=40, width=50).int().tolist():
        assert (out[0, :, y0:y1, x0:x1] == 0).all()


def test_frames_too_small_for_a_face_are_named():
    with pytest.raises(ImageError, match="frames of 6x40 pixels are too small"):
        anonymize_frames(torch.rand(1, 3, 6, 40), [NONE], create("mask"))


class HidesTheMiddle:
    """Blackens what an enlarged box holds of the box itself, as a method that hides the box alone."""

    size = 64

    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        hidden = faces.clone()
        edge = round(64 * (1 - 1 / ENLARGE) / 2) - 1
        hidden[:, :, edge : 64 - edge, edge : 64 - edge] = 0
        return hidden


@pytest.mark.parametrize(
    "box", [[40, 40, 72, 72], [-8, 30, 24, 62], [0, 0, 32, 32], [70, 75, 102, 107], [-20, 40, 12, 72]]
)
def test_a_face_at_the_border_is_as_much_in_the_middle_as_any(box: list[float]) -> None:
    found = torch.tensor([box]).float()
    changed = anonymize_frames(torch.ones(1, 3, 96, 96), [found], HidesTheMiddle())
    x0, y0, x1, y1 = (int(v) for v in found[0].clamp(0, 96))
    assert changed[0, :, y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].max() < 0.05
    assert changed[0].mean() > 0.7

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor
from torch.autograd import gradcheck
from torchvision import ops

from anonlib.geometry import (
    ALIGNED_SIZE,
    CANONICAL_LANDMARKS,
    align_faces,
    box_corners,
    box_iou,
    clip_boxes,
    crop_boxes,
    enlarge_boxes,
    nms,
    paste_boxes,
    similarity_transform,
    warp_affine,
)

# Liu et al., SphereFace: where five landmarks lie in a face 96 wide and 112 high.
TEMPLATE = torch.tensor(
    [[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041]],
    dtype=torch.float64,
)
UPRIGHT = torch.tensor([[[2.0, 2.2], [5.0, 2.1], [3.6, 3.7], [2.2, 5.1], [4.9, 5.0]]]).double()

coordinate = st.floats(-50, 250, width=32)
side = st.floats(0, 120, width=32)


@st.composite
def boxes(draw: st.DrawFn) -> Tensor:
    rows = draw(st.lists(st.tuples(coordinate, coordinate, side, side), min_size=1, max_size=4))
    x0, y0, width, height = torch.tensor(rows, dtype=torch.float64).unbind(1)
    return torch.stack([x0, y0, x0 + width, y0 + height], dim=1)


def similarity(scale: float, degrees: float, shift: tuple[float, float]) -> Tensor:
    c, s = (scale * f(math.radians(degrees)) for f in (math.cos, math.sin))
    return torch.tensor([[c, -s, shift[0]], [s, c, shift[1]]], dtype=torch.float64)


def carry(matrix: Tensor, points: Tensor) -> Tensor:
    return points @ matrix[:, :2].T + matrix[:, 2]


def coordinates(height: int, width: int) -> Tensor:
    """An image that says of each pixel centre where it is: x, y and a spare channel."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)])[None].double()


def read_at(image: Tensor, points: Tensor) -> Tensor:
    """The image's values at points, interpolated between pixel centres in plain numpy."""
    image, out = image[0].numpy(), []
    for x, y in (points - 0.5).tolist():
        j, i = int(x), int(y)
        u, v = x - j, y - i
        top = (1 - u) * image[:, i, j] + u * image[:, i, j + 1]
        below = (1 - u) * image[:, i + 1, j] + u * image[:, i + 1, j + 1]
        out.append((1 - v) * top + v * below)
    return torch.tensor(np.stack(out))


# Boxes


def test_enlarged_box_by_hand():
    # centre (20, 40), half sides 10 and 20; 1.6 times as much is 16 and 32
    enlarged = enlarge_boxes(torch.tensor([[10.0, 20.0, 30.0, 60.0]]))
    torch.testing.assert_close(enlarged, torch.tensor([[4.0, 8.0, 36.0, 72.0]]))


def test_the_face_box_of_a_canonical_crop_enlarges_to_the_crop():
    torch.testing.assert_close(
        enlarge_boxes(torch.tensor([[0.1875, 0.1875, 0.8125, 0.8125]])), torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    )


@given(boxes(), st.floats(0.1, 4))
@settings(deadline=None, max_examples=60)
def test_enlarging_keeps_centres_and_multiplies_sides(before: Tensor, factor: float):
    after = enlarge_boxes(before, factor)
    torch.testing.assert_close(after[:, :2] + after[:, 2:], before[:, :2] + before[:, 2:])
    torch.testing.assert_close(
        after[:, 2:] - after[:, :2], factor * (before[:, 2:] - before[:, :2]), atol=1e-9, rtol=1e-7
    )


@given(boxes())
@settings(deadline=None, max_examples=30)
def test_enlarging_by_one_changes_nothing(before: Tensor):
    torch.testing.assert_close(enlarge_boxes(before, 1.0), before)


@given(boxes(), st.integers(1, 200), st.integers(1, 200))
@settings(deadline=None, max_examples=60)
def test_clipped_boxes_are_whole_pixels_inside_that_lose_nothing(before: Tensor, height: int, width: int):
    after = clip_boxes(before, height=height, width=width)
    limit = torch.tensor([width, height, width, height])
    assert (after == after.round()).all()
    assert (after >= 0).all() and (after <= limit).all()
    assert (after[:, 2:] >= after[:, :2]).all()
    inside = torch.minimum(before.clamp(min=0), limit)  # the part of the box in the frame
    assert (after[:, :2] <= inside[:, :2]).all() and (after[:, 2:] >= inside[:, 2:]).all()
    assert ((after - inside).abs() <= 1).all()
    assert torch.equal(clip_boxes(after, height=height, width=width), after)


def test_corners_are_integers_for_slicing():
    assert box_corners(torch.tensor([[1.0, 2.0, 5.0, 9.0]])) == [(1, 2, 5, 9)]


# Alignment


@given(st.floats(0.2, 5), st.floats(-180, 180), st.tuples(coordinate, coordinate))
@settings(deadline=None, max_examples=60)
def test_similarities_are_recovered(scale: float, degrees: float, shift: tuple[float, float]):
    true = similarity(scale, degrees, shift)
    found = similarity_transform(UPRIGHT, carry(true, UPRIGHT[0]))
    torch.testing.assert_close(found[0], true, atol=1e-8, rtol=1e-8)


def test_the_similarity_is_the_least_squares_one():
    source, target = torch.randn(5, 2).double(), torch.randn(5, 2).double()
    rows = [[x, -y, 1.0, 0.0] for x, y in source.tolist()]
    rows += [[y, x, 0.0, 1.0] for x, y in source.tolist()]
    a, b, x, y = np.linalg.lstsq(np.array(rows), target.T.reshape(-1).numpy(), rcond=None)[0]
    torch.testing.assert_close(
        similarity_transform(source[None], target)[0],
        torch.tensor([[a, -b, x], [b, a, y]], dtype=torch.float64),
    )


def test_every_row_of_a_batch_has_its_own_similarity():
    source = torch.randn(3, 5, 2).double()
    target = torch.randn(3, 5, 2).double()
    together = similarity_transform(source, target)
    for row in range(3):
        alone = similarity_transform(source[row : row + 1], target[row : row + 1])
        torch.testing.assert_close(together[row], alone[0])


def test_a_quarter_turn_moves_every_pixel_exactly():
    image = torch.rand(1, 3, 6, 6).double()
    turn = torch.tensor([[[0.0, -1.0, 6.0], [1.0, 0.0, 0.0]]]).double()  # (x, y) to (6 - y, x)
    torch.testing.assert_close(warp_affine(image, turn, (6, 6)), torch.rot90(image, -1, dims=(2, 3)))


def test_what_lies_outside_is_black():
    image = torch.rand(1, 3, 4, 6).double()
    right = torch.tensor([[[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]]]).double()
    warped = warp_affine(image, right, (7, 8))
    expected = torch.zeros(1, 3, 7, 8).double()
    expected[:, :, 1:5, 2:8] = image
    torch.testing.assert_close(warped, expected)


def test_a_face_already_on_the_template_stays_as_it_is():
    faces = torch.rand(2, 3, 112, 96).double()
    assert ALIGNED_SIZE == (112, 96)
    torch.testing.assert_close(align_faces(faces, TEMPLATE.expand(2, 5, 2)), faces)


@pytest.mark.parametrize("size", [(112, 96), (56, 48), (64, 48)])
def test_landmarks_come_to_lie_on_the_template(size: tuple[int, int]):
    template = TEMPLATE * torch.tensor([size[1] / 96, size[0] / 112]).double()
    landmarks = carry(similarity(0.9, 20, (60, 15)), template)
    aligned = align_faces(coordinates(200, 220), landmarks[None], size)
    assert aligned.shape == (1, 3, *size)
    assert aligned[:, 2].min() > 0.999  # all of it from inside the image
    torch.testing.assert_close(read_at(aligned, template)[:, :2], landmarks)


def test_alignment_passes_exact_gradients_to_the_face_and_its_landmarks():
    face = torch.rand(1, 2, 7, 7).double().requires_grad_()
    landmarks = UPRIGHT.clone().requires_grad_()
    assert gradcheck(lambda f, p: align_faces(f, p, (6, 5)), (face, landmarks))


def test_canonical_landmarks_have_the_agreed_eyes():
    left, right = CANONICAL_LANDMARKS[0], CANONICAL_LANDMARKS[1]
    torch.testing.assert_close((left + right) / 2, torch.tensor([0.5, 0.45]))
    torch.testing.assert_close((right - left).norm(), torch.tensor(1 / 4.6), atol=1e-4, rtol=0)


# Crop and paste


def test_crops_at_their_own_size_are_slices_frame_by_frame():
    frames = torch.rand(3, 3, 10, 12)
    rows = [
        torch.tensor([[1.0, 2.0, 5.0, 6.0], [8.0, 6.0, 12.0, 10.0]]),
        torch.zeros(0, 4),
        torch.tensor([[0.0, 0.0, 4.0, 4.0]]),
    ]
    crops = crop_boxes(frames, rows, 4)
    torch.testing.assert_close(crops[0], frames[0, :, 2:6, 1:5])
    torch.testing.assert_close(crops[1], frames[0, :, 6:10, 8:12])
    torch.testing.assert_close(crops[2], frames[2, :, 0:4, 0:4])
    assert len(crops) == 3


def test_a_crop_is_shrunk_by_a_triangle_twice_as_wide():
    ramp = torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(1, 3, 4, 4)
    crop = crop_boxes(ramp, [torch.tensor([[0.0, 0.0, 4.0, 4.0]])], 2)
    # the second output lies at 3: pixels at 1.5, 2.5 and 3.5 weigh 1/4, 3/4 and 3/4
    expected = torch.tensor([0.0, 0.75 / 1.75]).expand(1, 3, 2, 2)
    torch.testing.assert_close(crop, expected)


def test_no_boxes_give_no_crops():
    frames = torch.rand(2, 3, 8, 8)
    assert crop_boxes(frames, [torch.zeros(0, 4)] * 2, 16).shape == (0, 3, 16, 16)


def test_pasting_what_was_cropped_at_equal_size_changes_nothing():
    frames = torch.rand(2, 3, 10, 12)
    rows = [torch.tensor([[1.0, 2.0, 7.0, 8.0]]), torch.tensor([[6.0, 4.0, 12.0, 10.0]])]
    torch.testing.assert_close(paste_boxes(frames, crop_boxes(frames, rows, 6), rows), frames)


def test_faces_are_stretched_over_their_boxes_and_nothing_else_changes():
    frames = torch.rand(2, 3, 10, 12)
    faces = torch.stack([torch.full((3, 4, 4), c) for c in (2.0, 3.0, 4.0)])
    rows = [
        torch.tensor([[1.0, 2.0, 9.0, 4.0], [0.0, 5.0, 3.0, 10.0]]),
        torch.tensor([[6.0, 4.0, 12.0, 10.0]]),
    ]
    expected = frames.clone()
    expected[0, :, 2:4, 1:9], expected[0, :, 5:10, 0:3] = 2.0, 3.0
    expected[1, :, 4:10, 6:12] = 4.0
    torch.testing.assert_close(paste_boxes(frames, faces, rows), expected)


def test_overlapping_pastes_leave_no_original_pixel_and_the_later_is_on_top():
    frame = torch.full((1, 3, 10, 10), 9.0)
    faces = torch.stack([torch.full((3, 4, 4), c) for c in (0.25, 0.75)])
    rows = [torch.tensor([[0.0, 0.0, 6.0, 6.0], [3.0, 3.0, 10.0, 10.0]])]
    out = paste_boxes(frame, faces, rows)[0, 0]
    assert (out[3:10, 3:10] == 0.75).all()
    assert (out[:3, :6] == 0.25).all() and (out[:6, :3] == 0.25).all()
    assert int((out == 9.0).sum()) == 100 - (36 + 49 - 9)


def test_frames_without_boxes_pass_through_and_inputs_are_left_alone():
    frames = torch.rand(2, 3, 8, 8)
    before = frames.clone()
    rows = [torch.zeros(0, 4), torch.tensor([[2.0, 2.0, 6.0, 6.0]])]
    out = paste_boxes(frames, torch.zeros(1, 3, 4, 4), rows)
    assert torch.equal(out[0], frames[0])
    assert not torch.equal(out[1], frames[1])
    assert torch.equal(frames, before)


def test_gradients_reach_pasted_faces_and_only_the_frame_outside_them():
    frames = torch.rand(1, 3, 8, 8, requires_grad=True)
    faces = torch.rand(1, 3, 4, 4, requires_grad=True)
    paste_boxes(frames, faces, [torch.tensor([[2.0, 1.0, 6.0, 5.0]])]).sum().backward()
    outside = torch.ones(1, 3, 8, 8)
    outside[:, :, 1:5, 2:6] = 0
    torch.testing.assert_close(frames.grad, outside)
    torch.testing.assert_close(faces.grad, torch.ones(1, 3, 4, 4))


def test_crops_repeat_the_border_of_the_frame_beyond_it():
    frames = torch.arange(12.0).reshape(1, 1, 3, 4).expand(1, 3, 3, 4)
    crops = crop_boxes(frames, [torch.tensor([[-1.0, 1.0, 2.0, 4.0], [3.0, -2.0, 6.0, 1.0]])], 3)
    assert crops[0, 0].tolist() == [[4, 4, 5], [8, 8, 9], [8, 8, 9]]
    assert crops[1, 0].tolist() == [[3, 3, 3]] * 3


def test_pastes_leave_out_what_lies_beyond_the_frame():
    face = torch.arange(9.0).reshape(1, 1, 3, 3).expand(1, 3, 3, 3)
    frame = torch.full((1, 3, 3, 4), -1.0)
    out = paste_boxes(frame, face, [torch.tensor([[-1.0, 1.0, 2.0, 4.0]])])
    assert out[0, 0].tolist() == [[-1, -1, -1, -1], [1, 2, -1, -1], [4, 5, -1, -1]]
    out = paste_boxes(frame, face, [torch.tensor([[3.0, -2.0, 6.0, 1.0]])])
    assert out[0, 0].tolist() == [[-1, -1, -1, 6], [-1] * 4, [-1] * 4]


def test_faces_with_opacity_are_laid_over_the_frame():
    frame = torch.full((1, 3, 4, 4), 0.2)
    face = torch.full((1, 4, 2, 2), 0.6)
    face[:, 3] = torch.tensor([[0.0, 1.0], [0.5, 0.25]])
    out = paste_boxes(frame, face, [torch.tensor([[1.0, 1.0, 3.0, 3.0]])])
    expected = frame.clone()
    expected[..., 1:3, 1:3] = torch.tensor([[0.2, 0.6], [0.4, 0.3]])
    torch.testing.assert_close(out, expected)


def test_opacity_beyond_the_frame_and_overlaps_pass_exact_gradients():
    frames = torch.rand(1, 3, 5, 6).double().requires_grad_()
    faces = torch.rand(2, 4, 3, 3).double().requires_grad_()
    rows = [torch.tensor([[-2.0, 1.0, 3.0, 6.0], [1.0, -1.0, 7.0, 4.0]])]
    assert gradcheck(lambda v: crop_boxes(v, rows, 3), (frames,))
    assert gradcheck(lambda v, f: paste_boxes(v, f, rows), (frames, faces))


def test_crops_and_pastes_pass_exact_gradients_where_boxes_overlap():
    frames = torch.rand(2, 3, 6, 7).double().requires_grad_()
    faces = torch.rand(2, 3, 3, 3).double().requires_grad_()
    rows = [torch.tensor([[0.0, 1.0, 4.0, 5.0], [2.0, 0.0, 7.0, 4.0]]), torch.zeros(0, 4)]
    assert gradcheck(lambda v: crop_boxes(v, rows, 3), (frames,))
    assert gradcheck(lambda v, f: paste_boxes(v, f, rows), (frames, faces))


@pytest.mark.parametrize("faces", [0, 2])
def test_every_box_needs_its_face(faces: int):
    box = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    with pytest.raises(ValueError, match=f"{faces} faces for 1 boxes"):
        paste_boxes(torch.zeros(1, 3, 8, 8), torch.zeros(faces, 3, 4, 4), [box])


def test_overlaps_and_suppression_are_those_of_torchvision():
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        boxes = 20 * torch.rand(30, 4, generator=generator)
        boxes[:, 2:] += boxes[:, :2]
        scores = (10 * torch.rand(30, generator=generator)).round()  # some are equal
        assert torch.equal(box_iou(boxes, boxes[:7]), ops.box_iou(boxes, boxes[:7]))
        assert torch.equal(nms(boxes, scores, 0.3), ops.nms(boxes, scores, 0.3))
    assert nms(boxes[:0], scores[:0], 0.3).tolist() == [] and box_iou(boxes[:0], boxes).shape == (0, 30)

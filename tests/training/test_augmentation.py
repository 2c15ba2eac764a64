"""Zoomed and relit frames keep their boxes on what they are round."""

from __future__ import annotations

import torch

from anonlib.training.batches import FrameBatch
from anonlib.training.detector import LEAST_VISIBLE, augment_frames, relight


def batch(count: int = 32) -> FrameBatch:
    """A white square on black, and its box."""
    frames = torch.zeros(count, 3, 60, 80)
    frames[:, :, 20:40, 30:50] = 1
    boxes = [torch.tensor([[30.0, 20, 50, 40]]) for _ in range(count)]
    return FrameBatch(frames, boxes, [torch.tensor([0])] * count, [torch.zeros(0, 4)] * count)


def test_the_box_is_where_the_square_is():
    torch.manual_seed(0)
    before = batch()
    after = augment_frames(before)
    assert after.frames.shape == before.frames.shape
    moved = 0
    for frame, (box,) in zip(after.frames, after.boxes, strict=True):
        threshold = (frame.amin() + frame.amax()) / 2
        rows, columns = (frame.mean(0) > threshold).nonzero().unbind(1)
        found = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        torch.testing.assert_close(box, found.float(), atol=2.5, rtol=0)
        moved += not torch.equal(box, before.boxes[0][0])
    assert moved > 16


def test_a_box_is_never_lost():
    torch.manual_seed(0)
    whole = batch()
    corner = [torch.tensor([[0.0, 0, 12, 12]])] * 32
    edge = FrameBatch(whole.frames, corner, whole.labels, whole.regions)
    sizes = torch.stack([(b[:, 2:] - b[:, :2]).prod() for b in augment_frames(edge).boxes])
    assert sizes.min() >= LEAST_VISIBLE * 12 * 12


def test_light_changes_a_frame_and_stays_in_range():
    torch.manual_seed(0)
    frames = torch.full((8, 3, 4, 4), 0.5)
    lit = relight(frames)
    assert lit.min() >= 0 and lit.max() <= 1
    assert (lit[:, :, 0, 0].std(0) > 0.05).all()  # from frame to frame
    assert (lit == lit[:, :, :1, :1]).all()  # and everywhere alike in one channel


def test_the_same_random_numbers_give_the_same_frames():
    def draw() -> FrameBatch:
        torch.manual_seed(3)
        return augment_frames(batch(4))

    first, again = draw(), draw()
    assert torch.equal(first.frames, again.frames)
    assert all(torch.equal(a, b) for a, b in zip(first.boxes, again.boxes, strict=True))

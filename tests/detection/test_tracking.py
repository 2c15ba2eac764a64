from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from anonlib.detection import Faces
from anonlib.detection.likeness import CutFinder, find_patches, grey_levels, sample_cells
from anonlib.detection.track import _fit_line, associate, overlap
from anonlib.detection.tracking import LOOK_BACK, Observation, Tracker
from anonlib.errors import NumericError

HEIGHT, WIDTH = 90, 160
PLAIN = torch.full((HEIGHT, WIDTH), 0.5)


def faces(*boxes, score=0.9):
    rows = torch.tensor(np.array(boxes), dtype=torch.float32).reshape(-1, 4)
    return Faces(boxes=rows, scores=torch.full((len(rows),), score), landmarks=torch.zeros(len(rows), 5, 2))


def picture(*boxes):
    """Chequered faces on a plain wall."""
    grey = PLAIN.clone()
    for x0, y0, x1, y1 in boxes:
        rows, columns = torch.meshgrid(torch.arange(y1 - y0), torch.arange(x1 - x0), indexing="ij")
        chequer = ((rows * 4 // (y1 - y0) + columns * 3 // (x1 - x0)) % 2).float()
        x, y = max(x0, 0), max(y0, 0)
        grey[y:y1, x:x1] = (0.2 + 0.6 * chequer)[y - y0 :, x - x0 :][: HEIGHT - y, : WIDTH - x]
    return grey


def observe(grey, found, cut=False):
    return Observation(levels=grey_levels(grey), faces=found, cut=cut)


def run(tracker, observations):
    covers = [cover for one in observations for cover in tracker.push(one)]
    return covers + tracker.flush()


def moving(t, speed=2):
    return (20 + speed * t, 30, 40 + speed * t, 55)


def covered(cover, box, slack=1.0):
    inside = (cover.boxes[:, :2] <= np.array(box[:2]) + slack) & (
        cover.boxes[:, 2:] >= np.array(box[2:]) - slack
    )
    return bool(inside.all(axis=1).any())


@pytest.mark.parametrize("every", [1, 2, 5])
def test_a_steady_face_is_followed_without_lag(every):
    seen = [observe(picture(moving(t)), faces(moving(t)) if t % every == 0 else None) for t in range(31)]
    covers = run(Tracker(every=every), seen)
    for t, cover in enumerate(covers):
        np.testing.assert_allclose(cover.boxes, [moving(t)], atol=1.0)
    assert [c.bridged for c in covers] == [0] * 31 and not any(c.unsure for c in covers)


def test_trembling_detections_are_smoothed():
    rng = np.random.default_rng(0)
    boxes = [np.array(moving(t)) + rng.normal(0, 1, 4) for t in range(40)]
    grey = observe(PLAIN, None).levels
    covers = run(Tracker(), [Observation(levels=grey, faces=faces(b)) for b in boxes])
    raw = np.array([b - moving(t) for t, b in enumerate(boxes)])
    smooth = np.array([c.boxes[0] - moving(t) for t, c in enumerate(covers)])
    assert np.diff(smooth, axis=0).std() < 0.4 * np.diff(raw, axis=0).std()
    assert np.abs(smooth).max() < 2.5


def test_a_face_that_is_not_seen_again_is_hidden_while_it_is_there():
    """Seen once, standing still: longer than any patience."""
    box = (60, 30, 80, 55)
    seen = [observe(picture(box), faces(box) if t == 0 else faces()) for t in range(60)]
    covers = run(Tracker(patience=10), seen)
    assert all(covered(c, box) for c in covers)
    assert [c.bridged for c in covers] == [0] + [1] * 59


def test_a_face_that_is_gone_is_let_go_after_patience():
    box = (60, 30, 80, 55)
    seen = [
        observe(picture(box) if t < 5 else picture(), faces(box) if t < 5 else faces()) for t in range(60)
    ]
    covers = run(Tracker(patience=20), seen)
    hidden = [len(c.boxes) for c in covers]
    assert hidden == [1] * 26 + [0] * 34  # the last seen is picture 4, 25 is the first too many
    assert [c.unsure for c in covers] == [False] * 5 + [True] * 21 + [False] * 34
    sides = [c.boxes[0, 2] - c.boxes[0, 0] for c in covers[:25]]
    assert np.diff(sides[5:20]).min() > 0 and max(sides) <= 2 * 20 * 1.01


def test_a_face_that_walks_out_is_let_go():
    boxes = [(120 + 4 * t, 30, 140 + 4 * t, 55) for t in range(30)]
    seen = [
        observe(picture(b) if b[0] < WIDTH else picture(), faces(b) if b[0] < 150 else faces()) for b in boxes
    ]
    covers = run(Tracker(patience=1000), seen)
    assert all(len(c.boxes) for c, b in zip(covers, boxes, strict=True) if b[0] < WIDTH)
    assert not len(covers[-1].boxes)


def test_a_new_face_is_hidden_back_to_where_it_appeared():
    """It appears at 12 in a run from 10 to 15 without a detection, and was missed at 15.

    Frames before 10 are out when it is found at 20."""
    box = (60, 30, 80, 55)
    seen = [
        observe(
            picture(box) if t >= 12 else PLAIN, (faces(box) if t >= 20 else faces()) if t % 5 == 0 else None
        )
        for t in range(26)
    ]
    covers = run(Tracker(every=5), seen)
    hidden = [len(c.boxes) for c in covers]
    assert hidden == [0] * 10 + [1] * 16


@pytest.mark.parametrize("every", [1, 2])
def test_a_face_that_turns_to_the_camera_is_hidden_five_frames_before(every):
    """It is found from 20 on and looked otherwise before; the detector ran and missed it."""
    box = (60, 30, 80, 55)
    seen = [
        observe(
            picture(box) if t >= 20 else PLAIN,
            (faces(box) if t >= 20 else faces()) if t % every == 0 else None,
        )
        for t in range(26)
    ]
    assert [len(c.boxes) for c in run(Tracker(every=every), seen)] == [0] * 15 + [1] * 11
    seen[20] = observe(picture(box), faces(box), cut=True)
    assert [len(c.boxes) for c in run(Tracker(every=every), seen)] == [0] * 20 + [1] * 6


def test_a_face_that_walks_in_is_hidden_on_its_way():
    """Found and recognised from 20 on; before, it moved on the same line, turned away."""
    seen = [
        observe(picture(moving(t)) if t >= 18 else PLAIN, faces(moving(t)) if t >= 20 else faces())
        for t in range(26)
    ]
    covers = run(Tracker(), seen)
    assert [len(c.boxes) for c in covers] == [0] * 14 + [1] * 12
    assert all(covered(c, moving(t), slack=3) for t, c in enumerate(covers[14:], 14))


def test_a_new_face_is_hidden_back_to_the_last_detection_even_if_it_looked_otherwise():
    box = (60, 30, 80, 55)
    seen = [
        observe(
            picture(box) if t >= 20 else PLAIN, (faces(box) if t >= 20 else faces()) if t % 5 == 0 else None
        )
        for t in range(26)
    ]
    hidden = [len(c.boxes) for c in run(Tracker(every=5), seen)]
    assert hidden == [0] * 15 + [1] * 11


def test_weak_detections_continue_a_track_but_start_none():
    grey = observe(PLAIN, None).levels
    weak = [Observation(levels=grey, faces=faces(moving(t), score=0.3)) for t in range(8)]
    assert not any(len(c.boxes) for c in run(Tracker(), weak))
    first = Observation(levels=grey, faces=faces(moving(0)))
    covers = run(Tracker(), [first, *weak[1:]])
    assert all(covered(c, moving(t)) for t, c in enumerate(covers))
    assert sum(c.bridged for c in covers) == 0


def test_a_cut_ends_tracks():
    box, wall = (60, 30, 80, 55), picture((100, 10, 140, 60))
    seen = [observe(picture(box), faces(box)) for _ in range(10)]
    seen += [observe(wall, faces(), cut=t == 0) for t in range(12)]
    hidden = [len(c.boxes) for c in run(Tracker(), seen)]
    assert hidden == [1] * 10 + [0] * 12
    live = [len(c.boxes) for c in run(Tracker(live=True), seen)]
    assert live == [1] * (10 + LOOK_BACK) + [0] * (12 - LOOK_BACK)


def test_a_false_cut_does_not_uncover_a_face():
    """A flash of light for three pictures, and the detector is blind from then on."""
    box = (60, 30, 80, 55)
    flash = torch.ones(HEIGHT, WIDTH)
    seen = [observe(picture(box), faces(box)) for _ in range(10)]
    seen += [observe(flash, faces(), cut=t == 0) for t in range(3)]
    seen += [observe(picture(box), faces(), cut=t == 0) for t in range(20)]
    covers = run(Tracker(), seen)
    assert all(covered(c, box) for c in covers)


def test_pictures_of_another_size_begin_anew():
    box = (60, 30, 80, 55)
    seen = [observe(picture(box), faces(box))] * 3 + [observe(torch.rand(40, 50), faces())] * 3
    assert [len(c.boxes) for c in run(Tracker(), seen)] == [1] * 3 + [0] * 3


def test_crossing_faces_stay_hidden_unseen():
    """Two faces walk through each other; neither is seen for the time they overlap."""
    boxes = [((20 + 3 * t, 30, 40 + 3 * t, 55), (110 - 3 * t, 34, 130 - 3 * t, 58)) for t in range(32)]
    seen = [observe(picture(*b), faces(*b) if not 11 <= t <= 22 else faces()) for t, b in enumerate(boxes)]
    covers = run(Tracker(), seen)
    for cover, pair in zip(covers, boxes, strict=True):
        assert all(covered(cover, box, slack=5) for box in pair)


@pytest.mark.parametrize(("live", "delay"), [(False, 3 + LOOK_BACK), (True, 0)])
def test_what_waits_is_bounded(live, delay):
    tracker = Tracker(every=3, live=live)
    shown = 0
    for t in range(70):
        found = faces(moving(t % 50)) if t % 3 == 0 else None
        shown += len(tracker.push(observe(PLAIN, found)))
        assert t + 1 - shown == min(delay, t + 1)
        assert len(tracker.observations) <= delay + 1 and len(tracker.gone) < 20
        assert all(len(track.path) < 40 for track in tracker.tracks)
    assert shown + len(tracker.flush()) == 70


def test_broken_detections_are_named():
    with pytest.raises(NumericError, match="detector returned NaN"):
        Tracker().push(observe(PLAIN, faces((0.0, 0.0, float("nan"), 5.0))))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 3]), st.booleans())
def test_every_detection_is_hidden(seed, every, live):
    """Whatever a detector says, each box it gave is covered in its picture."""
    rng = np.random.default_rng(seed)
    grey, tracker, asked = grey_levels(PLAIN), Tracker(every=every, live=live), {}
    covers = []
    for t in range(12):
        corner, size = rng.uniform(-10, 100, (3, 2)), rng.uniform(1, 40, (3, 2))
        boxes = np.concatenate([corner, corner + size], axis=1)[: rng.integers(0, 4)]
        if t % every == 0:
            asked[t] = boxes
        found = faces(*boxes) if t % every == 0 else None
        covers += tracker.push(Observation(levels=grey, faces=found, cut=bool(rng.random() < 0.2)))
    covers += tracker.flush()
    for t, boxes in asked.items():
        for box in boxes:
            stray = 0.2 * (box[2:] - box[:2]).max() + 1e-3
            assert covered(covers[t], box, slack=stray)


def test_a_patch_is_found_where_it_went():
    torch.manual_seed(1)
    coarse = torch.rand(1, 1, 15, 26)
    grey = torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bicubic")[0, 0]
    there = torch.tensor([[60.0, 30.0, 84.0, 62.0], [20.0, 20.0, 52.0, 44.0]])
    levels, weights = grey_levels(grey), torch.ones(2, 16, 16)
    patches, inside = sample_cells(levels, there)
    assert inside.all()
    away = torch.tensor([[4.0, -3.0], [-5.0, 5.0]])
    shift, alike = find_patches(levels, there + away.repeat(1, 2), patches, weights, 8)
    torch.testing.assert_close(shift, -away, atol=0.4, rtol=0)
    assert (alike > 0.9).all()
    brighter = find_patches(grey_levels(grey * 1.0 + 0.2), there, patches, weights, 4)[1]
    assert (brighter > 0.95).all()
    other = find_patches(grey_levels(torch.rand(HEIGHT, WIDTH)), there, patches, weights, 4)[1]
    assert (other < 0.4).all()


def test_a_patch_is_found_at_the_border_by_its_visible_part():
    grey = torch.rand(12, 20).repeat_interleave(8, 0).repeat_interleave(8, 1)[:HEIGHT, :WIDTH]
    levels = grey_levels(grey)
    box = torch.tensor([[0.0, 20.0, 32.0, 52.0]])
    patch = sample_cells(levels, box)[0]
    half = grey_levels(torch.cat([grey[:, 16:], grey[:, :16]], dim=1))  # the left half is outside
    shift, alike = find_patches(half, box - torch.tensor([12.0, 0, 12, 0]), patch, torch.ones(1, 16, 16), 8)
    torch.testing.assert_close(shift, torch.tensor([[-4.0, 0.0]]), atol=0.5, rtol=0)
    assert alike[0] > 0.9


def test_association_prefers_the_best_sum():
    faces_now = np.array([[0.0, 0, 10, 10], [6.0, 0, 16, 10]])
    found = np.array([[5.0, 0, 15, 10], [9.0, 0, 19, 10]])
    assert associate(faces_now, np.ones(2), found) == [(0, 0), (1, 1)]
    assert associate(faces_now, np.ones(2), np.array([[3.0, 3, 6, 6]])) == []  # another size
    far = np.array([[-9.0, 0, 1, 10]])
    assert associate(faces_now[:1], np.ones(1), far) == []
    assert associate(faces_now[:1], np.full(1, 20), far) == [(0, 0)]  # lost for long
    assert associate(np.zeros((0, 4)), np.ones(0), found) == []


def test_overlap_by_hand():
    boxes = np.array([[0.0, 0, 4, 4]])
    others = np.array([[0.0, 0, 4, 4], [2.0, 2, 6, 6], [4.0, 0, 8, 4]])
    np.testing.assert_allclose(overlap(boxes, others), [[1, 4 / 28, 0]])


def test_cuts_and_what_is_none():
    rng = torch.Generator().manual_seed(0)
    rooms = [
        torch.rand(9, 16, generator=rng).repeat_interleave(10, 0).repeat_interleave(10, 1) for _ in range(2)
    ]
    film = [rooms[0]] * 5 + [rooms[1]] * 5
    finder = CutFinder()
    assert [finder(p) for p in film] == [t in (0, 5) for t in range(10)]
    finder = CutFinder()
    pan = [torch.roll(rooms[0], 2 * t, dims=1) for t in range(10)]
    assert sum(finder(p) for p in pan[:1]) == 1 and sum(finder(p) for p in pan[2:]) <= 1
    dim = CutFinder()
    assert [dim(rooms[0] * s) for s in (1.0, 0.98, 0.96, 0.94)] == [True, False, False, False]


def test_a_line_is_fitted_without_lag_at_the_ends():
    offsets = np.arange(-5, 1)
    values = np.stack([3 + 2.0 * offsets, 7 - 0.5 * offsets], axis=1)
    np.testing.assert_allclose(_fit_line(offsets, values), [3, 7])
    np.testing.assert_allclose(_fit_line(np.array([0]), np.array([[4.0, 5.0]])), [4, 5])

from __future__ import annotations

import threading

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from anonlib.anonymizers import create
from anonlib.detection import Faces
from anonlib.errors import ConfigError, ImageError, NumericError
from anonlib.video.picture import ArrayPicture
from anonlib.video.replacing import Found, replace_faces
from anonlib.video.stream import Tally, anonymize_pictures, anonymize_stream
from anonlib.video.yuv import YuvPicture

mask = create("mask")


def frames(number, height=48, width=64):
    rng = np.random.default_rng(0)
    room = rng.integers(60, 200, (height, width, 3))
    return [(room + t % 50).astype(np.uint8) for t in range(number)]


def detector(*boxes):
    def detect(pictures):
        rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
        return [
            Faces(boxes=rows, scores=torch.ones(len(rows)), landmarks=torch.zeros(len(rows), 5, 2))
            for _ in pictures
        ]

    return detect


def run(arrays, detect=None, hide=mask, **options):
    pictures = (ArrayPicture(a.copy()) for a in arrays)
    detect = detector((20.0, 10.0, 30.0, 20.0)) if detect is None else detect
    out = anonymize_pictures(pictures, detector=detect, anonymizer=hide, **options)
    return [p.array for p in out]


@pytest.mark.parametrize("options", [{}, {"every": 3}, {"live": True}, {"together": 4}])
def test_order_is_kept_and_only_faces_change(options):
    arrays, tally = frames(20), Tally()
    out = run(arrays, tally=tally, **options)
    assert len(out) == 20
    for before, after in zip(arrays, out, strict=True):
        assert (after[10:20, 20:30] == 0).all()
        changed = np.argwhere((before != after).any(axis=2))
        assert (changed.min(0) >= [6, 16]).all() and (changed.max(0) <= [24, 34]).all()
        assert np.array_equal(after[:5], before[:5])
    assert (tally.frames, tally.faces, tally.tracks, tally.frames_held) == (20, 20, 1, 0)
    assert tally.detection_seconds > 0 and tally.modification_seconds > 0


class Wide:
    """A detector with a size of its own; it finds a face in the right upper corner."""

    longest = 960

    def __call__(self, pictures):
        self.seen = pictures.shape
        return detector((930.0, 0.0, 960.0, 30.0))(pictures)


class Hasty(Wide):
    """It also has a quick search."""

    def __init__(self):
        self.sizes = []

    def __call__(self, pictures):
        self.sizes.append(pictures.shape[3])
        return super().__call__(pictures)

    def quick(self, pictures):
        self.sizes.append(pictures.shape[3])
        return detector((620.0, 0.0, 640.0, 20.0))(pictures)


@pytest.mark.parametrize(
    ("options", "period"), [({"every": 2}, 4), ({}, 7), ({"every": 7}, 1), ({"live": True}, 1)]
)
def test_searches_between_thorough_ones_are_quick(options, period):
    """Thorough ones are so near that what only they find can still be hidden in the frames between."""
    hasty = Hasty()
    run(frames(30, 540, 960), hasty, **options)
    assert hasty.sizes == [640 if i % period else 960 for i in range(len(hasty.sizes))]
    assert len(hasty.sizes) > 3


def test_a_detector_sees_pictures_of_its_own_size():
    large = np.random.default_rng(1).integers(60, 200, (720, 1280, 3)).astype(np.uint8)
    wide = Wide()
    (out,) = run([large], wide)
    assert wide.seen == (1, 3, 540, 960)
    assert (out[:40, 1240:] == 0).all()
    assert np.array_equal(out[:, :1200], large[:, :1200]) and np.array_equal(out[80:], large[80:])


def test_boxes_are_scaled_back_to_large_pictures():
    large = np.random.default_rng(1).integers(60, 200, (720, 1280, 3)).astype(np.uint8)
    shapes = []

    def detect(pictures):
        shapes.append(tuple(pictures.shape))
        return detector((100.0, 100.0, 150.0, 150.0))(pictures)

    [out] = run([large], detect, enlarge=1.0)
    assert shapes == [(1, 3, 360, 640)]
    rows = np.argwhere((out == 0).all(axis=2))
    assert rows.min(0).tolist() == [200, 200] and rows.max(0).tolist() == [299, 299]


def test_the_detector_is_asked_every_so_often_and_at_cuts():
    calls = []

    def detect(pictures):
        calls.append(float(pictures.mean()))
        return detector()(pictures)

    wall = np.zeros((48, 64, 3), np.uint8)
    run([*frames(9), *[wall] * 9], detect, every=4)
    assert [value > 0 for value in calls] == [True] * 3 + [False] * 3  # 0, 4, 8, cut at 9, 13, 17


def test_all_faces_of_pictures_taken_together_are_one_batch():
    seen = []

    def hide(faces):
        seen.append(tuple(faces.shape))
        return faces * 0

    hide.size = 16
    run(frames(8), detector((5.0, 5.0, 15.0, 15.0), (30.0, 10.0, 42.0, 22.0)), hide, together=4)
    assert seen == [(8, 3, 16, 16)] * 2


def test_overlapping_faces_are_cut_before_the_first_is_replaced():
    picture = ArrayPicture(np.full((48, 64, 3), 100, np.uint8))
    boxes = torch.tensor([[10.0, 10.0, 20.0, 20.0], [15.0, 10.0, 25.0, 20.0]])
    assert replace_faces([Found(picture=picture, boxes=boxes, tracks=[0, 1])], lambda f: f / 2) == 2
    assert set(np.unique(picture.array)) == {50, 100}


def test_an_error_of_the_detector_ends_the_stream():
    calls = []

    def detect(pictures):
        calls.append(1)
        if len(calls) == 15:
            raise OSError("the accelerator is gone")
        return detector()(pictures)

    out = anonymize_pictures((ArrayPicture(f) for f in frames(40)), detector=detect, anonymizer=mask)
    with pytest.raises(OSError, match="accelerator is gone"):
        for number, _ in enumerate(out):  # noqa: B007
            pass
    assert number < 14 and not [t for t in threading.enumerate() if t.name == "ahead"]


@pytest.mark.parametrize(
    ("hide", "error", "match"),
    [
        (lambda f: f[:, :, 1:], ImageError, "must keep their shape"),
        (lambda f: f[:0], ImageError, "must keep their shape"),
        (lambda f: f * float("nan"), NumericError, "anonymizer returned NaN"),
    ],
)
def test_an_anonymizer_that_fails_shows_nothing(hide, error, match):
    out = anonymize_pictures(
        (ArrayPicture(f) for f in frames(3)), anonymizer=hide, detector=detector((20.0, 10.0, 30.0, 20.0))
    )
    with pytest.raises(error, match=match):
        next(out)
    with pytest.raises(StopIteration):
        next(out)


def test_a_consumer_that_leaves_stops_everything():
    closed = threading.Event()

    def source():
        try:
            while True:
                yield ArrayPicture(frames(1)[0])
        finally:
            closed.set()

    out = anonymize_pictures(source(), detector=detector(), anonymizer=mask)
    next(out)
    out.close()
    assert closed.is_set() and not [t for t in threading.enumerate() if t.name == "ahead"]


def test_memory_is_bounded():
    alive, most = set(), []

    class Counted(ArrayPicture):
        def __init__(self, array):
            super().__init__(array)
            alive.add(id(self))

        def __del__(self):
            alive.discard(id(self))

    pictures = (Counted(np.full((16, 16, 3), 90, np.uint8)) for _ in range(120))
    for _ in anonymize_pictures(pictures, detector=detector(), anonymizer=mask, every=3):
        most.append(len(alive))
    assert len(most) == 120 and max(most) <= 3 + 5 + 4 + 4 + 2 + 3


def test_live_hands_out_at_once():
    read = []

    def source():
        for t, frame in enumerate(frames(20)):
            read.append(t)
            yield ArrayPicture(frame)

    for t, _ in enumerate(
        anonymize_pictures(source(), detector=detector(), anonymizer=mask, live=True, every=5)
    ):
        assert len(read) <= t + 1 + 2  # one in hand, one waiting, one in the making


def test_hold_hides_whole_pictures_whose_faces_are_lost():
    arrays = frames(4) + [
        np.random.default_rng(t).integers(60, 90, (48, 64, 3)).astype(np.uint8) for t in range(12)
    ]
    calls, tally = [], Tally()

    def detect(pictures):
        calls.append(1)
        return detector(*[(20.0, 10.0, 30.0, 20.0)][: len(calls) <= 4])(pictures)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("anonlib.video.stream.CutFinder.__call__", lambda *_: False)
        out = run(arrays, detect, hold=True, tally=tally)
    assert tally.frames_held == 12 and tally.frames == 16
    assert all(len(np.unique(f.reshape(-1, 3), axis=0)) <= 48 for f in out[4:])  # 8 x 6 blocks
    assert np.array_equal(out[0][:5], arrays[0][:5])


@pytest.mark.parametrize("shape", [(1, 1), (7, 40), (40, 7)])
def test_tiny_pictures_stay_and_are_not_looked_at(shape):
    def detect(pictures):
        raise AssertionError

    tally = Tally()
    [out] = run([np.full((*shape, 3), 200, np.uint8)], detect, tally=tally)
    assert out.shape == (*shape, 3) and (out == 200).all() and tally.frames_held == 0


def test_settings_are_checked_at_once():
    for option in ({"every": 0}, {"together": 0}, {"enlarge": 0.5}, {"patience": -1}):
        with pytest.raises(ConfigError, match=f"{next(iter(option))} .*use"):
            anonymize_pictures([], detector=detector(), anonymizer=mask, **option)


def test_a_stream_of_arrays_leaves_its_input_alone():
    arrays = frames(6)
    kept = [a.copy() for a in arrays]
    out = list(anonymize_stream(arrays, method="mask", detector=detector((20.0, 10, 30, 20))))
    assert all(np.array_equal(a, b) for a, b in zip(arrays, kept, strict=True))
    assert len(out) == 6 and all((f[10:20, 20:30] == 0).all() for f in out)


def test_a_stream_names_what_it_does_not_know():
    with pytest.raises(ConfigError, match="anonymizer 'cover' is unknown"):
        anonymize_stream([], method="cover", detector=detector())
    with pytest.raises(ConfigError, match="detector 'eyes' is unknown"):
        anonymize_stream([], method="mask", detector="eyes")
    with pytest.raises(ImageError, match="pass RGB"):
        list(anonymize_stream([np.zeros((4, 4))], method="mask", detector=detector()))


class Black:
    """Works at 16 pixels and remembers what it was given."""

    size = 16

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, faces: Tensor) -> Tensor:
        self.shapes.append(tuple(faces.shape))
        return torch.zeros_like(faces)


def test_faces_of_all_pictures_and_sizes_pass_together() -> None:
    array = np.full((60, 80, 3), 200, np.uint8)
    frame = av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format="yuv420p")
    pictures = [ArrayPicture(array.copy()), YuvPicture(frame)]
    boxes = torch.tensor([[10.0, 10.0, 21.0, 25.0], [50.0, 30.0, 61.0, 41.0]])
    black = Black()
    found = [Found(picture=picture, boxes=boxes, tracks=[0, 1]) for picture in pictures]
    assert replace_faces(found, black, enlarge=1.0) == 4
    assert black.shapes == [(4, 3, 16, 16)]
    for picture in pictures:
        shown = picture.crop((0, 0, 80, 60)).amax(dim=0)
        hidden = shown < 0.01
        assert hidden[10:25, 10:21].all() and hidden[30:41, 50:61].all()
        assert hidden.sum() == 15 * 11 + 11 * 11
        assert shown[~hidden].min() > 0.7

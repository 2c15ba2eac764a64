from __future__ import annotations

import math

import numpy as np
import pytest

from anonlib.anonymizers.swap.smooth import GAIN, MOST, PATIENCE, Box, Memories, OneEuro, TrackMemory

SIZE = 200.0
"""Pixels of a crop."""


def box(x: float = 100, y: float = 100, size: float = SIZE) -> Box:
    return Box(centre=np.array([x, y]), size=size)


def mesh(count: int = 468) -> np.ndarray:
    return np.random.default_rng(0).uniform(50, 150, (count, 2))


def test_a_constant_passes_unchanged() -> None:
    smooth, value = OneEuro(), np.array([3.0, -2.0])
    assert all(np.array_equal(smooth(value), value) for _ in range(20))


def test_a_step_follows_the_filter_by_hand_and_converges() -> None:
    """Gain 0: a plain low-pass filter, of which the weight of the new value is r / (1 + r)."""
    smooth = OneEuro(cutoff=0.1, gain=0)
    share = 0.2 * math.pi / (1 + 0.2 * math.pi)
    out = [float(smooth(np.array([value]))[0]) for value in (0.0, 1.0, 1.0, 1.0)]
    assert out == pytest.approx([0, share, 1 - (1 - share) ** 2, 1 - (1 - share) ** 3])
    smooth = OneEuro()
    out = [float(smooth(np.array([value]))[0]) for value in [0.0] * 5 + [1.0] * 15]
    assert out[5] > 0.9 and abs(out[-1] - 1) < 0.01  # a jump of the size of the face is followed at once


def test_the_speed_opens_the_filter_by_hand() -> None:
    smooth = OneEuro(cutoff=0.05, gain=2)
    smooth(np.array([0.0, 0.0]))
    rate = 0.2 * math.pi  # of the speed's own filter
    speed = 0.1 * rate / (1 + rate)
    rate = 2 * math.pi * (0.05 + 2 * speed)
    assert smooth(np.array([0.1, 0.0])).tolist() == pytest.approx([0.1 * rate / (1 + rate), 0])


def test_trembling_of_half_a_percent_is_reduced_by_half() -> None:
    rng = np.random.default_rng(1)
    still, memory = mesh(), TrackMemory()
    raw = [still + rng.normal(0, 0.005 * SIZE, still.shape) for _ in range(120)]
    out = np.array([memory.points(points, box()) for points in raw])
    assert out[20:].std(axis=0).mean() < 0.5 * np.array(raw)[20:].std(axis=0).mean()
    assert np.diff(out[20:], axis=0).std() < 0.35 * np.diff(raw[20:], axis=0).std()


@pytest.mark.parametrize("speed", [0.5, 2.0, 10.0, 40.0])
def test_a_moving_face_lags_by_less_than_2_pixels_of_200(speed: float) -> None:
    memory, still = TrackMemory(), mesh()
    for t in range(60):
        out = memory.points(still + np.array([speed * t, 0]), box(100 + speed * t))
    assert out is not None
    lag = (still + np.array([speed * 59, 0]) - out)[:, 0]
    assert 0 <= lag.max() < SIZE / (2 * math.pi * GAIN) < 2
    assert np.ptp(lag) < 1e-9  # its shape is exact


def test_a_turning_face_lags_by_less_than_2_pixels_of_200() -> None:
    """Points on a cylinder of 80 pixels, which turns by six degrees a frame."""
    memory, angles = TrackMemory(), np.linspace(-1.2, 1.2, 60)
    for t in range(15):
        turned = np.stack([80 * np.sin(angles + math.radians(6 * t)), 100 + 0 * angles], 1)
        out = memory.points(turned, box())
    assert out is not None
    assert np.sqrt(np.mean((out - turned) ** 2)) < 2


def test_lost_points_move_along_with_the_box_and_then_end() -> None:
    memory, seen = TrackMemory(), np.array([[90.0, 90, 5], [110, 130, -5]])
    assert memory.points(seen, box()) == pytest.approx(seen)
    out = memory.points(None, box(120, 100, 2 * SIZE))  # moved by 20 and twice as large
    assert out == pytest.approx(np.array([[100.0, 80, 10], [140, 160, -10]])) and memory.last is out
    rest = [memory.points(None, box(120, 100, 2 * SIZE)) for _ in range(PATIENCE)]
    assert [points is not None for points in rest] == [True] * (PATIENCE - 1) + [False]
    assert memory.lost == PATIENCE + 1 and memory.last is None
    assert memory.points(seen, box()) == pytest.approx(seen) and memory.lost == 0


def test_points_that_come_back_do_not_jump_back() -> None:
    memory, still = TrackMemory(), mesh()
    for t in range(30):
        seen = None if 10 <= t < 15 else still + np.array([3.0 * t, 0])
        out = memory.points(seen, box(100 + 3.0 * t))
        assert out is not None
        assert np.abs(out - still - np.array([3.0 * t, 0])).max() < 3.5, t


def test_a_face_that_was_never_seen_has_no_points() -> None:
    memory = TrackMemory()
    assert memory.points(None, box()) is None and memory.points(None, box()) is None


def test_only_the_last_tracks_are_kept() -> None:
    memories = Memories()
    first = memories.of(0)
    for track in range(1, MOST):
        memories.of(track)
        assert memories.of(0) is first
    for track in range(MOST, 2 * MOST):
        memories.of(track)
    assert memories.of(0) is not first


def test_a_second_track_on_one_face_keeps_the_person() -> None:
    memories, still = Memories(), mesh()

    def see(track: int, points: np.ndarray) -> int:
        memories.of(track).points(points, box())
        return memories.person(track)

    memories.frame = 1
    assert see(4, still) == 4 and see(5, still + 90) == 5  # side by side
    memories.frame = 2
    assert see(6, still + 10) == 4 and see(7, still + 85) == 5
    memories.frame = 3
    assert see(6, still + 90) == 4, "a person once chosen stays"
    memories.frame = 5
    assert see(8, still) == 8, "the other track was there too long ago"


def test_a_new_face_fades_while_its_points_are_lost_and_comes_back_in_steps() -> None:
    memory, still = TrackMemory(), mesh()
    memory.points(None, box())
    assert memory.strength == 0
    strengths = []
    for t in range(30):
        memory.points(None if 3 <= t < 15 else still, box())
        strengths.append(memory.strength)
    assert strengths[:3] == [1, 1, 1], "a face appears at once"
    assert strengths[3:13] == pytest.approx([1 - k / (PATIENCE + 1) for k in range(1, PATIENCE + 1)])
    assert strengths[13:19] == pytest.approx([0, 0, 0.25, 0.5, 0.75, 1])

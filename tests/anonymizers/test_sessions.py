"""Methods that remember: what a session is given, and how its faces are put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from anonlib.anonymizers import create, sessions
from anonlib.anonymizers.frames import anonymize_frames
from anonlib.anonymizers.sessions import Session, derived_seed, enlarge_of, merge_overlaps, session_of
from anonlib.errors import ImageError, NumericError


class Painted:
    """Paints the detector's box, the middle of the crop, and notes what it was given."""

    def __init__(self, change: Callable[[Tensor], Tensor] = lambda face: face) -> None:
        self.counts: Counter[str] = Counter()
        self.calls: list[tuple[list[Tensor], list[int], list[tuple[int, int]]]] = []
        self.change = change

    def replace(self, crops: list[Tensor], tracks: list[int], corners: list[tuple[int, int]]) -> list[Tensor]:
        self.calls.append((crops, tracks, corners))
        out = []
        for crop, track in zip(crops, tracks, strict=True):
            face, (height, width) = crop.clone(), crop.shape[1:]
            face[:, height // 4 : height - height // 4, width // 4 : width - width // 4] = (1 + track) / 10
            out.append(self.change(face))
        self.counts["swapped"] += len(crops)
        return out


class People:
    """A method with sessions of one kind, at twice the detector's box."""

    enlarge = 2.0

    def __init__(self, change: Callable[[Tensor], Tensor] = lambda face: face) -> None:
        self.change, self.made, self.seeds = change, list[Painted](), list[int | None]()

    def __call__(self, faces: Tensor) -> Tensor:
        raise AssertionError("a method with sessions is used through them")

    def session(self, seed: int | None) -> Session:
        self.made.append(Painted(self.change))
        self.seeds.append(seed)
        return self.made[-1]


def test_methods_that_do_not_remember_have_no_session() -> None:
    assert session_of(create("mask")) is None and session_of(torch.zeros_like) is None
    assert enlarge_of(create("mask")) == 1.6 and enlarge_of(People()) == 2.0


def test_a_seed_is_repeated_and_its_files_differ() -> None:
    seeds = [derived_seed(seed, index) for seed in (0, 1) for index in range(50)]
    assert len(set(seeds)) == 100 and all(0 <= s < 2**63 for s in seeds if s is not None)
    assert seeds[:2] == [derived_seed(0, 0), derived_seed(0, 1)]
    assert derived_seed(None, 3) is None


def test_frames_pass_through_a_session_with_what_the_border_cut_off() -> None:
    people = People()
    frames = torch.full((2, 3, 40, 50), 0.95)
    found = [torch.tensor([[0.0, 10, 10, 20], [90, 0, 99, 9]]), torch.tensor([[20.0, 10, 40, 30]])]
    out = anonymize_frames(frames, found, people)
    calls = [call for session in people.made for call in session.calls]  # a session for each frame
    assert [[tuple(crop.shape) for crop in crops] for crops, *_ in calls] == [[(3, 20, 20)], [(3, 40, 40)]]
    assert [corners for *_, corners in calls] == [[(-5, 5)], [(10, 0)]]
    expected = frames.clone()
    expected[0, :, 10:20, :10] = 0.1
    expected[1, :, 10:30, 20:40] = 0.1
    assert torch.equal(out, expected)


@pytest.mark.parametrize(
    ("change", "error"), [(lambda f: f[:, 1:], ImageError), (lambda f: f * float("nan"), NumericError)]
)
def test_a_session_that_fails_is_named(change: Callable[[Tensor], Tensor], error: type[Exception]) -> None:
    with pytest.raises(error):
        anonymize_frames(torch.rand(1, 3, 40, 40), [torch.tensor([[10.0, 10, 20, 20]])], People(change))


def test_no_frame_without_a_face_reaches_the_session() -> None:
    people, frames = People(), torch.rand(1, 3, 40, 40)
    assert torch.equal(anonymize_frames(frames, [torch.zeros(0, 4)], people), frames)
    assert people.made[0].calls == []


def test_the_clear_face_of_a_neighbour_does_not_come_back() -> None:
    """Each crop holds the neighbour's face as it was; the later is pasted over the earlier."""
    frames = torch.full((1, 3, 40, 60), 0.95)
    found = torch.tensor([[15.0, 10, 30, 30], [30.0, 10, 45, 30]])
    out = anonymize_frames(frames, [found], People())[0, 0]
    assert (out[10:30, 16:29] - 0.1).abs().max() < 1e-6
    assert (out[10:30, 31:44] - 0.2).abs().max() < 1e-6
    assert (out[:10] == frames[0, 0, :10]).all()


def test_of_two_changes_the_later_is_on_top_near_its_centre_and_the_nearer_beyond() -> None:
    crops = [torch.zeros(3, 40, 40)] * 2
    faces = [torch.full((3, 40, 40), 0.25), torch.full((3, 40, 40), 0.75)]
    one, two = merge_overlaps(crops, faces, corners=[(0, 0), (10, 0)], frames=[4, 4])
    assert torch.equal(one[:, :, 10:], two[:, :, :30])
    row = one[0, 20]  # centres at 20 and 30; the core of the second begins at 18
    assert (row[:18] == 0.25).all() and (row[19:] == 0.75).all()
    assert (faces[0] == 0.25).all() and (faces[1] == 0.75).all()


def test_crops_of_other_frames_or_places_are_left_alone() -> None:
    crops = [torch.zeros(3, 20, 20)] * 3
    faces = [torch.rand(3, 20, 20) for _ in crops]
    out = merge_overlaps(crops, faces, corners=[(0, 0), (5, 5), (20, 0)], frames=[0, 1, 0])
    assert all(a is b for a, b in zip(out, faces, strict=True))


def test_a_change_under_half_a_step_is_none() -> None:
    crops = [torch.full((3, 8, 8), 0.5)] * 2
    faces = [torch.full((3, 8, 8), 0.1), torch.full((3, 8, 8), 0.5 + sessions.CHANGED / 2)]
    one, two = merge_overlaps(crops, faces, corners=[(0, 0)] * 2, frames=[0, 0])
    assert (one == 0.1).all() and (two == 0.1).all()

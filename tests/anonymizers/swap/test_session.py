"""One person for each track, nothing of the real face but the state, and no clear face."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from anonlib.anonymizers import anonymize_frames, create
from anonlib.anonymizers.swap import Swap
from anonlib.anonymizers.swap.render import fill_polygon
from anonlib.anonymizers.swap.session import SwapSession
from anonlib.types import ACTIONS
from anonlib.world.actions import render_clips
from anonlib.world.faces import SyntheticPeople


class Fixed:
    """Landmarks that are given, instead of found."""

    def __init__(self, points: Tensor, score: float = 1.0) -> None:
        self.points, self.score = points, score

    def __call__(self, crops: Sequence[Tensor], starts: object = None) -> tuple[Tensor, Tensor]:
        return self.points.expand(len(crops), -1, -1), torch.full((len(crops),), self.score)


class Skin:
    """Finds skin everywhere, or something else in the lower half."""

    def __init__(self, below: float = 9.0) -> None:
        self.below, self.calls = below, 0

    def logits(self, crops: Sequence[Tensor], points: Sequence[Tensor]) -> Tensor:
        self.calls += 1
        return torch.cat([torch.full((len(crops), 1, 48, 96), side) for side in (9.0, self.below)], 2)


def half_open(crops: Sequence[Tensor], points: Tensor) -> Tensor:
    """Eyelids that do not depend on the picture."""
    angle = torch.arange(16) * torch.pi / 8
    lid = torch.stack([angle.cos(), -0.3 * angle.sin()], -1)
    return lid.expand(len(crops), 2, 16, 2)


@pytest.fixture(scope="module")
def swap() -> Swap:
    return Swap()


def once(swap: Swap, crop: Tensor, *, seed: int, track: int = 1, points: Tensor | None = None) -> Tensor:
    landmarks = swap.landmarks if points is None else Fixed(points)
    eyes = swap.eyes if points is None else half_open
    session = SwapSession(landmarks, eyes, swap.masker, swap.model, enlarge=2.0, seed=seed)  # type: ignore[arg-type]
    return session.replace([crop], [track], [(0, 0)])[0]


def veiled(session: SwapSession, crop: Tensor) -> Tensor:
    return session._veiled(crop, session._before(crop))


def inside(swap: Swap, crop: Tensor) -> Tensor:
    """The pixels of the face, without its border."""
    points = swap.landmarks([crop])[0][0]
    middle = points[swap.model.oval, :2].mean(0)
    return fill_polygon((points[swap.model.oval, :2] - middle) * 0.8 + middle, height=256, width=256)


def test_the_seed_and_the_pixels_of_a_face_decide_who_is_drawn(crops: Tensor) -> None:
    hide, other = create("swap", seed=1), create("swap", seed=2)
    alone, together = hide(crops[:1]), hide(crops[:2])
    assert torch.equal(alone[0], together[0])
    assert (other(crops[:1]) - alone).abs().mean() > 0.005


def test_a_face_is_replaced_and_the_rest_stays_bit_for_bit(swap: Swap, crops: Tensor) -> None:
    for crop in crops:
        new = once(swap, crop, seed=1)
        face = inside(swap, crop)
        assert (new - crop)[:, face].abs().mean() > 0.03
        assert torch.equal(new[:, :20], crop[:, :20]) and torch.equal(new[..., :20], crop[..., :20])
        assert new.min() >= 0 and new.max() <= 1


def test_a_seed_repeats_a_run_and_tracks_are_different_people(swap: Swap, crops: Tensor) -> None:
    first = once(swap, crops[0], seed=1)
    face = inside(swap, crops[0])
    assert torch.equal(first, once(swap, crops[0], seed=1))
    assert (first - once(swap, crops[0], seed=2))[:, face].abs().mean() > 0.01
    assert (first - once(swap, crops[0], seed=1, track=2))[:, face].abs().mean() > 0.01


def test_without_a_seed_two_files_show_two_people(swap: Swap, crops: Tensor) -> None:
    one, two = (swap.session().replace([crops[0]], [1], [(0, 0)])[0] for _ in range(2))
    assert (one - two)[:, inside(swap, crops[0])].abs().mean() > 0.01


def test_one_track_keeps_its_person(swap: Swap, crops: Tensor) -> None:
    session = swap.session(5)
    first = session.replace([crops[0]], [3], [(0, 0)])[0]
    session.replace([crops[1]], [4], [(0, 0)])
    again = session.replace([crops[0]], [3], [(0, 0)])[0]
    assert (first - again)[:, inside(swap, crops[0])].abs().mean() < 0.01
    assert session.counts == {"swapped": 3}


def test_details_of_the_real_face_do_not_pass(swap: Swap, crops: Tensor) -> None:
    """With the same points, a fine pattern over the whole face changes next to nothing in the result."""
    points, face = swap.landmarks([crops[0]])[0][0], inside(swap, crops[0])
    pattern = torch.rand(1, 256, 256, generator=torch.Generator().manual_seed(0)) - 0.5
    changed = (crops[0] + pattern * face).clamp(0, 1)
    new, other = (once(swap, crop, seed=1, points=points) for crop in (crops[0], changed))
    assert (changed - crops[0])[:, face].abs().mean() > 0.1
    assert (new - other)[:, face].abs().mean() < 0.01


@pytest.mark.parametrize("fault", ["low score", "too small", "beside the middle"])
def test_a_face_whose_points_are_not_to_be_trusted_is_veiled(swap: Swap, crops: Tensor, fault: str) -> None:
    points = swap.landmarks([crops[0]])[0][0]
    if fault == "too small":
        points = (points - 128) * 0.1 + 128
    if fault == "beside the middle":
        points = points + torch.tensor([90.0, 0, 0])
    landmarks = Fixed(points, 0.3 if fault == "low score" else 1.0)
    session = SwapSession(landmarks, swap.eyes, swap.masker, swap.model, enlarge=2.0, seed=1)  # type: ignore[arg-type]
    new = session.replace([crops[0]], [1], [(0, 0)])[0]
    assert session.counts == {"veiled": 1}
    assert (new - crops[0])[:, inside(swap, crops[0])].abs().mean() > 0.02


def test_a_lost_face_keeps_its_person_over_a_veil(swap: Swap, crops: Tensor) -> None:
    landmarks = Fixed(swap.landmarks([crops[0]])[0][0])
    session = SwapSession(landmarks, swap.eyes, Skin(), swap.model, enlarge=2.0, seed=1)  # type: ignore[arg-type]
    first = session.replace([crops[0]], [1], [(0, 0)])[0]
    landmarks.score = 0.0
    calm, lost = (session.replace([crops[0]], [1], [(0, 0)])[0] for _ in range(2))
    core = inside(swap, crops[0])
    assert torch.equal(calm, first)  # a calm face is looked at in every second frame
    assert (lost - first)[:, core].abs().mean() < 0.05 and session.counts == {"swapped": 3}
    assert not torch.equal(lost, first)  # the border is veiled


def test_a_calm_face_moves_with_its_box_and_is_looked_at_in_every_second_frame(
    swap: Swap, crops: Tensor
) -> None:
    masker = Skin()
    session = SwapSession(swap.landmarks, swap.eyes, masker, swap.model, enlarge=2.0, seed=5)  # type: ignore[arg-type]
    first = session.replace([crops[0]], [1], [(0, 0)])[0]
    moved = session.replace([crops[0]], [1], [(3, 0)])[0]  # the whole picture moves to the right
    torch.testing.assert_close(moved, first)
    session.replace([crops[0]], [1], [(3, 0)])
    session.replace([crops[0]], [1], [(90, 0)])  # too fast
    assert masker.calls == 3


def test_a_face_behind_something_is_looked_at_in_each_frame(swap: Swap, crops: Tensor) -> None:
    masker = Skin(below=-9.0)
    session = SwapSession(swap.landmarks, swap.eyes, masker, swap.model, enlarge=2.0, seed=1)  # type: ignore[arg-type]
    for _ in range(3):
        session.replace([crops[0]], [1], [(0, 0)])
    assert masker.calls == 3


def test_a_face_that_is_not_recognised_is_looked_for_in_every_second_frame(swap: Swap, crops: Tensor) -> None:
    class Counting(Fixed):
        calls = 0

        def __call__(self, crops: Sequence[Tensor], starts: object = None) -> tuple[Tensor, Tensor]:
            self.calls += 1
            return super().__call__(crops, starts)

    landmarks = Counting(swap.landmarks([crops[0]])[0][0], 0.0)
    session = SwapSession(landmarks, swap.eyes, Skin(), swap.model, enlarge=2.0, seed=1)  # type: ignore[arg-type]
    hidden = [session.replace([crops[0]], [1], [(0, 0)])[0] for _ in range(4)]
    assert landmarks.calls == 2 and session.counts == {"veiled": 4}
    assert all(torch.equal(one, hidden[0]) for one in hidden)


def test_faces_that_were_all_read_before_are_drawn_the_same(swap: Swap, crops: Tensor) -> None:
    """A calm face, one with something in front of it, a moving one that is lost, and one never found."""
    blank, covered = torch.full_like(crops[0], 0.5), crops[0].clone()
    covered[:, 150:] = 0.2
    shown = [(crops[0], crops[1], blank)] * 3 + [(covered, blank, blank)] * 2 + [(covered, crops[1], blank)]
    calls = [
        ([*faces], [1, 2, 3], [(3 * t, 0), (300 + 40 * t, 0), (0, 300)]) for t, faces in enumerate(shown)
    ]
    one, two = swap.session(3), swap.session(3)
    at_once = [one.replace(*call) for call in calls]
    draws = [two.read(*call) for call in calls]
    assert two.counts == {}
    for now, draw in zip(at_once, draws, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(now, draw(), strict=True))
    assert one.counts == two.counts and set(two.counts) == {"swapped", "veiled"}


def test_large_faces_are_drawn_small_and_enlarged(swap: Swap, crops: Tensor) -> None:
    large = torch.nn.functional.interpolate(crops[:1], scale_factor=4, mode="bicubic").clamp(0, 1)[0]
    small, big = once(swap, crops[0], seed=1), once(swap, large, seed=1)
    shrunk = torch.nn.functional.interpolate(big[None], (256, 256), mode="area")[0]
    assert (shrunk - small).abs().mean() < 0.03


def test_the_plain_call_replaces_each_face_by_another_person(crops: Tensor) -> None:
    new = create("swap")(crops[:1].expand(2, -1, -1, -1))
    assert new.shape == (2, 3, 256, 256) and (new[0] - new[1]).abs().amax() > 0.05


def test_a_camera_that_hides_a_face_stays(swap: Swap) -> None:
    """No face is found behind it, so what is left of the face is veiled, but not the camera."""
    clips = render_clips(clips=10, frames=1, split="test", seed=0, heads=SyntheticPeople())
    photo = [i for i in range(len(clips)) if (clips.labels[i] == ACTIONS.index("photo")).any()]
    kept = []
    for i in photo:
        clear = clips.frames[i : i + 1].float() / 255
        hidden, plain = (
            anonymize_frames(clear, [clips.face_boxes[i]], method) for method in (swap, create("mask"))
        )
        replaced = (plain - clear).abs().amax(1)[0] > 0.02
        kept.append(((hidden - clear).abs().amax(1)[0] <= 0.02)[replaced].float().mean())
    assert photo and min(kept) > 0.6


@pytest.mark.parametrize("quarters", [1, 2])
def test_a_face_that_lies_on_its_side_or_upside_down_is_hidden(
    swap: Swap, crops: Tensor, quarters: int
) -> None:
    """Neither the mesh nor the mask knows such faces."""
    face = torch.rot90(inside(swap, crops[0]), quarters)
    turned = torch.rot90(crops[0], quarters, (1, 2)).contiguous()
    hidden = veiled(swap.session(1), turned)
    assert ((hidden - turned).abs().amax(0) > 1 / 255)[face].float().mean() > 0.9


def test_a_mask_that_finds_no_skin_keeps_nothing(swap: Swap, crops: Tensor) -> None:
    class Nothing:
        def logits(self, crops: Sequence[Tensor], points: Sequence[Tensor]) -> Tensor:
            return torch.full((len(crops), 1, 96, 96), -9.0)

    session = SwapSession(
        swap.landmarks,
        swap.eyes,
        Nothing(),  # type: ignore[arg-type]
        swap.model,
        enlarge=2.0,
        seed=1,
    )
    for hidden in (veiled(session, crops[0]), session.replace([crops[0]], [1], [(0, 0)])[0]):
        assert (hidden - crops[0]).abs().amax(0)[inside(swap, crops[0])].mean() > 0.02
    assert session.counts == {"veiled": 1}

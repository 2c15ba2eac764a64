from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.geometry import crop_boxes
from anonlib.types import ACTIONS
from anonlib.world import render_clips
from anonlib.world.actions import Clip
from anonlib.world.actor import Role
from anonlib.world.clip_pairs import _Take, clip_pairs
from anonlib.world.codes import PersonCodes
from anonlib.world.faces import SyntheticPeople, draw_heads, synthetic_faces
from anonlib.world.pairs import RedrawnPairs, join, portrait_pairs

FRAME = (72, 96)


@pytest.fixture(scope="module")
def codes() -> PersonCodes:
    return PersonCodes()


@pytest.fixture(scope="module")
def portraits(codes: PersonCodes) -> RedrawnPairs:
    return portrait_pairs(codes, [4, 8], codes.of([10**8, 10**8 + 1]), size=48, seed=3)


def changed(pairs: RedrawnPairs) -> Tensor:
    """`(B, 1, S, S)`: where the two pictures differ."""
    return (pairs.images != pairs.redrawn).any(1, keepdim=True)


def test_portraits_are_drawn_as_other_faces_are(portraits: RedrawnPairs):
    faces = synthetic_faces([4, 8], images=1, size=48, seed=3)
    assert faces.images.shape == portraits.images.shape and portraits.images.dtype == torch.uint8
    inside = (portraits.head == 255).float().mean((1, 2, 3))
    assert (inside > 0.2).all() and (portraits.head[..., 0, :3] == 0).all()
    assert not portraits.front.any()


def test_two_portraits_of_a_pair_differ_in_their_heads_alone(codes: PersonCodes, portraits: RedrawnPairs):
    draw = torch.cat([portraits.state, torch.zeros(2, codes.model.components)], 1)
    other = draw_heads(codes.model, codes.identity(portraits.codes), draw, 48)
    heads = (portraits.head > 0) | (other.alpha > 0)
    difference = (portraits.images.int() - portraits.redrawn.int()).abs().amax(1, keepdim=True)
    assert difference[~heads].max() <= 1 and (~heads).float().mean() > 0.1  # only rounded
    assert changed(portraits)[portraits.head > 250].float().mean() > 0.9
    torch.testing.assert_close(portraits.redrawn_landmarks, other.landmarks)


def test_pairs_are_chosen_and_joined_row_by_row(portraits: RedrawnPairs):
    both = join([portraits, portraits.rows(torch.tensor([1]))])
    assert len(both) == 3
    for name in RedrawnPairs.__slots__:
        assert torch.equal(getattr(both, name)[2], getattr(portraits, name)[1]), name


def test_the_first_picture_is_that_of_the_rendered_clips(codes: PersonCodes):
    pairs = clip_pairs(codes, clips=3, frames=2, split="train", seed=1, size=32, frame=FRAME)
    world = render_clips(clips=3, frames=2, split="train", seed=1, size=FRAME, heads=SyntheticPeople())
    regions, points = [], []
    for boxes, landmarks in zip(world.face_boxes, world.landmarks, strict=True):
        faces = boxes.double()
        side = ((faces[:, 2] - faces[:, 0]) * 1.6).round()
        corner = ((faces[:, :2] + faces[:, 2:] - side[:, None]) / 2).round()
        regions.append(torch.cat([corner, corner + side[:, None]], 1))
        points.append((landmarks - corner[:, None]) * 32 / side[:, None, None])
    crops = crop_boxes(world.frames.float(), regions, 32)
    differences = (pairs.images[:, None].float() - crops).abs().flatten(2).amax(2)
    assert 3 <= len(crops) <= len(pairs)
    assert differences.amin(0).max() <= 0.51  # each face of the world is there; only rounded
    rows = differences.argmin(0)
    torch.testing.assert_close(pairs.landmarks[rows], torch.cat(points).float(), atol=1e-2, rtol=0)


def take(codes: PersonCodes, action: str, number: int) -> tuple[_Take, RedrawnPairs]:
    """One person at work, and the pair of the first frame."""
    rng, role = np.random.default_rng(number), Role(identity=number, label=ACTIONS.index(action))
    clip = Clip([role], SyntheticPeople(), frames=1, split="train", size=(144, 192), rng=rng)
    shift = clip.shift(0)
    clip.shift = lambda frame: shift  # type: ignore[method-assign]
    one = _Take(codes, clip, [10**8])
    return one, one.pairs(0, 48)[0]


@pytest.mark.parametrize("action", ["drink", "phone", "brush"])
def test_what_is_in_front_is_known_and_stays(codes: PersonCodes, action: str):
    _, pair = take(codes, action, 3)
    front = pair.front.float()
    solid = -F.max_pool2d(-front, 3, 1, 1) == 255  # and so are its neighbours
    assert solid.any() and not changed(pair)[solid].any()
    assert changed(pair)[(pair.head > 250) & (front == 0)].float().mean() > 0.9
    eyes = pair.landmarks[0, :2].long()
    assert (pair.head[0, 0, eyes[:, 1], eyes[:, 0]] == 255).all()


@pytest.mark.parametrize("action", ["drink", "phone", "brush"])
def test_what_is_in_front_covers_the_tool(codes: PersonCodes, action: str):
    one, pair = take(codes, action, 3)
    (actor,) = one.facing
    seen = actor.sighting(0, one.clip.shift(0))
    assert seen.face is not None
    side = 1.6 * (seen.face[2] - seen.face[0])
    corner = [(seen.face[k] + seen.face[k + 2] - side) / 2 for k in (0, 1)]
    low, high = (
        [min(max(round((seen.tool[k + end] - corner[k]) * 48 / side), 0), 48) for k in (0, 1)]
        for end in (0, 2)
    )
    tool = pair.front[0, 0, low[1] + 2 : high[1] - 2, low[0] + 2 : high[0] - 2] > 127
    assert tool.numel() > 20
    assert tool.any(0).float().mean() > 0.95 and tool.any(1).float().mean() > 0.95

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from anonlib.errors import ConfigError
from anonlib.types import ActionFrames, Heads
from anonlib.world import ACTION_NAMES, ACTIONS, FACE_RELATED, render_clips
from anonlib.world.actions import Clip
from anonlib.world.actor import Role, Sighting
from anonlib.world.body import FOREARM, UPPER_ARM, Body, Moment, reach
from anonlib.world.face_props import FaceProp
from anonlib.world.pen import SPLITS, Looks, Pen

EYE_Y, MOUTH_Y, GAP = 0.45, 0.69, 0.5 / 4.6


class PlainHeads:
    """Ten people a split: an ellipse with hair, two eyes and a mouth; needs no face model."""

    def people(self, split: str) -> list[int]:
        start = 10 * SPLITS.index(split)
        return list(range(start, start + 10))

    def heads(self, person: int, *, seed: int, frames: int, size: int) -> Heads:
        rng = np.random.Generator(np.random.Philox([person]))
        skin = tuple(int(v) for v in np.array([235, 190, 160]) * rng.uniform(0.55, 1.0))
        one = Image.new("RGBA", (size, size), (*skin, 0))
        draw = ImageDraw.Draw(one)

        def ellipse(x: float, y: float, rx: float, ry: float, fill: tuple[int, ...]) -> None:
            box = (size * (x - rx), size * (y - ry), size * (x + rx), size * (y + ry))
            draw.ellipse(box, fill=(*fill, 255))

        ellipse(0.5, 0.4, 0.33, 0.34, (60, 40, 30))
        ellipse(0.5, 0.86, 0.15, 0.3, skin)
        ellipse(0.5, 0.53, 0.27, 0.34, skin)
        for x in (0.5 - GAP, 0.5 + GAP):
            ellipse(x, EYE_Y, 0.045, 0.03, (250, 250, 250))
        ellipse(0.5, MOUTH_Y, 0.09, 0.03, (170, 80, 80))
        pixels = torch.from_numpy(np.asarray(one, dtype=np.float32) / 255).permute(2, 0, 1)
        stack = pixels.expand(frames, -1, -1, -1).clone()
        points = [(0.5 - GAP, EYE_Y), (0.5 + GAP, EYE_Y), (0.5, 0.57), (0.42, MOUTH_Y), (0.58, MOUTH_Y)]
        landmarks = torch.tensor(points).mul(size).expand(frames, -1, -1).clone()
        return Heads(rgb=stack[:, :3], alpha=stack[:, 3:], landmarks=landmarks)


@pytest.fixture(scope="module")
def world() -> ActionFrames:
    return render_clips(clips=20, frames=2, split="train", seed=5, heads=PlainHeads())


def sightings(action: str, clips: int = 12, split: str = "train") -> list[Sighting]:
    """One person doing an action, through several clips of three frames."""
    role = Role(identity=0, label=ACTIONS.index(action))
    seen = []
    for number in range(clips):
        rng = np.random.Generator(np.random.Philox(number))
        clip = Clip([role], PlainHeads(), frames=3, split=split, size=(144, 192), rng=rng)
        seen += [people[0] for _, people in clip.shots()]
    return seen


def enlarged(box: tuple[float, ...]) -> tuple[float, float, float, float]:
    x, y, half = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 0.8 * (box[2] - box[0])
    return x - half, y - half, x + half, y + half


def share_inside(box: tuple[float, ...], frame: tuple[float, ...]) -> float:
    wide = min(box[2], frame[2]) - max(box[0], frame[0])
    tall = min(box[3], frame[3]) - max(box[1], frame[1])
    return max(wide, 0) * max(tall, 0) / ((box[2] - box[0]) * (box[3] - box[1]))


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_ten_classes_of_table_1_in_their_order() -> None:
    assert ACTIONS[0] == "lip" and ACTIONS[9] == "photo" and len(set(ACTIONS)) == 10
    assert tuple(ACTION_NAMES) == ACTIONS
    assert set(ACTIONS) - set(FACE_RELATED) == {"floor", "window", "fold", "iron"}


def test_the_same_seed_gives_the_same_world(world: ActionFrames) -> None:
    again = render_clips(clips=20, frames=2, split="train", seed=5, heads=PlainHeads())
    assert torch.equal(world.frames, again.frames) and equal(world.boxes, again.boxes)
    assert equal(world.landmarks, again.landmarks)
    other = render_clips(clips=2, frames=2, split="train", seed=6, heads=PlainHeads())
    assert not torch.equal(world.frames[:4], other.frames)


def test_rendering_leaves_the_global_generators_alone() -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    render_clips(clips=1, frames=1, split="train", seed=0, heads=PlainHeads())
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()


def test_every_frame_is_annotated(world: ActionFrames) -> None:
    assert world.frames.dtype == torch.uint8 and world.frames.shape == (40, 3, 144, 192)
    assert torch.equal(world.clips, torch.arange(20).repeat_interleave(2))
    for k in range(40):
        assert 1 <= len(world.boxes[k]) == len(world.labels[k]) <= 3
        faces = len(world.face_boxes[k])
        assert len(world.landmarks[k]) == len(world.identities[k]) == faces <= len(world.boxes[k])
        assert set(world.identities[k].tolist()) <= set(range(10))


def test_action_boxes_lie_in_the_frame(world: ActionFrames) -> None:
    boxes = torch.cat(world.boxes)
    assert (boxes >= 0).all() and (boxes <= torch.tensor([192, 144, 192, 144])).all()
    assert (boxes[:, 2:] - boxes[:, :2] > 20).all()


def test_the_classes_are_dealt_out_evenly(world: ActionFrames) -> None:
    counts = torch.bincount(torch.cat(world.labels[::2]), minlength=10)
    assert counts.min() >= 1 and counts.max() - counts.min() <= 1


def test_every_class_occurs_in_ten_clips() -> None:
    frames = render_clips(clips=10, frames=1, split="test", seed=0, heads=PlainHeads())
    assert torch.cat(frames.labels).unique().tolist() == list(range(10))


def test_faces_are_square_and_inside_their_person(world: ActionFrames) -> None:
    for faces, boxes in zip(world.face_boxes, world.boxes, strict=True):
        for face in faces:
            wide, tall = (face[2:] - face[:2]).tolist()
            assert wide == pytest.approx(tall) and 15 < wide < 45
            assert max(share_inside(tuple(face.tolist()), tuple(b.tolist())) for b in boxes) > 0.9


def test_landmarks_lie_where_the_canonical_crop_has_them(world: ActionFrames) -> None:
    expected = torch.tensor([(0.5 - GAP, EYE_Y), (0.5 + GAP, EYE_Y), (0.5, 0.57)])
    for faces, landmarks in zip(world.face_boxes, world.landmarks, strict=True):
        for face, points in zip(faces, landmarks, strict=True):
            x0, y0, x1, _ = enlarged(tuple(face.tolist()))
            relative = (points[:3] - torch.tensor([x0, y0])) / (x1 - x0)
            torch.testing.assert_close(relative, expected, atol=1e-4, rtol=0)


def test_eyes_are_drawn_where_the_landmarks_say() -> None:
    for one in range(6):
        role = Role(identity=0, label=ACTIONS.index("fold"))
        rng = np.random.Generator(np.random.Philox(one))
        clip = Clip([role], PlainHeads(), frames=1, split="train", size=(288, 384), rng=rng)
        picture, people = next(clip.shots())
        assert people[0].landmarks is not None
        for x, y in people[0].landmarks[:2]:
            eye = picture[round(y), round(x)].astype(int)
            assert eye.sum() > picture[round(y) + 12, round(x)].astype(int).sum() + 30


@pytest.mark.parametrize("action", FACE_RELATED)
def test_the_evidence_of_face_classes_lies_in_the_enlarged_face_box(action: str) -> None:
    shares = [share_inside(s.tool, enlarged(s.face)) for s in sightings(action) if s.face]
    assert min(shares) > 0.75 and np.mean(shares) > 0.9


@pytest.mark.parametrize("action", sorted(set(ACTIONS) - set(FACE_RELATED)))
def test_the_tools_of_the_other_classes_stay_outside(action: str) -> None:
    seen = [s for s in sightings(action) if s.face]
    assert len(seen) >= 15
    assert max(share_inside(s.tool, enlarged(s.face)) for s in seen if s.face) < 0.01


@pytest.mark.parametrize("seed", range(4))
def test_mouth_classes_look_alike_outside_the_enlarged_face_box(seed: int) -> None:
    """The same draws with another action change the face box and hardly anything else."""
    pictures, face = [], (0.0, 0.0, 0.0, 0.0)
    for action in ("lip", "brush", "drink", "harmonica"):
        role = Role(identity=0, label=ACTIONS.index(action))
        rng = np.random.Generator(np.random.Philox(seed))
        clip = Clip([role], PlainHeads(), frames=1, split="train", size=(144, 192), rng=rng)
        picture, people = next(clip.shots())
        pictures.append(picture.astype(float))
        face = people[0].face or face
    x0, y0, x1, y1 = (round(v) for v in enlarged(face))
    for one in pictures[1:]:
        change = np.abs(one - pictures[0]).mean(-1)
        inside = change[y0:y1, x0:x1].copy()
        change[y0 - 1 : y1 + 1, x0 - 1 : x1 + 1] = 0
        assert inside.mean() > 3
        assert (change > 12).mean() < 0.002


def test_the_six_face_classes_raise_the_same_elbow() -> None:
    elbows = set()
    for action in FACE_RELATED:
        looks = Looks("test", np.random.Generator(np.random.Philox(9)))
        prop = FaceProp(action, looks)
        moment = Moment(side=1, phase=0.0, head=(0.0, 0.06), mouth=(0.0, 0.25), bottom=2.5)
        pose = prop.pose(moment, Body(Looks("test", np.random.Generator(np.random.Philox(1)))))
        elbows.add((pose.work.elbow, pose.rest.elbow if not prop.second_hand else None))
    assert len(elbows) == 1


def test_some_people_turn_their_backs_and_have_no_face() -> None:
    faces = [s.face is None for s in sightings("floor", clips=30)]
    assert 0 < sum(faces) < 45
    assert all(s.face is not None for s in sightings("drink", clips=6))


@pytest.mark.parametrize("split", SPLITS)
def test_people_belong_to_their_split(split: str) -> None:
    frames = render_clips(clips=4, frames=1, split=split, seed=0, heads=PlainHeads())
    assert set(torch.cat(frames.identities).tolist()) <= set(PlainHeads().people(split))


def test_looks_of_the_splits_share_no_value() -> None:
    drawn = {}
    for split in SPLITS:
        looks = Looks(split, np.random.Generator(np.random.Philox(0)))
        values = [looks.between(0.0, 12.0, intervals=4) for _ in range(200)]
        drawn[split] = {math.floor(v) for v in values}
    assert drawn == {"train": {0, 3, 6, 9}, "validation": {1, 4, 7, 10}, "test": {2, 5, 8, 11}}


def test_everything_grows_with_the_frame() -> None:
    def render(size: tuple[int, int]) -> ActionFrames:
        return render_clips(clips=4, frames=1, split="train", seed=2, size=size, heads=PlainHeads())

    small, large = render((144, 192)), render((288, 384))
    assert large.frames.shape == (4, 3, 288, 384)
    for a, b in zip(small.boxes, large.boxes, strict=True):
        torch.testing.assert_close(2 * a, b, atol=6.0, rtol=0)
    for a, b in zip(small.face_boxes, large.face_boxes, strict=True):
        torch.testing.assert_close(2 * a, b, atol=4.0, rtol=0)


def test_people_move_smoothly_through_a_clip() -> None:
    clip = render_clips(clips=3, frames=6, split="train", seed=1, heads=PlainHeads())
    for number in range(3):
        frames = torch.nonzero(clip.clips == number).flatten().tolist()
        for a, b in pairwise(frames):
            assert torch.equal(clip.labels[a], clip.labels[b])
            assert not torch.equal(clip.frames[a], clip.frames[b])
            assert (clip.boxes[a] - clip.boxes[b]).abs().max() < 25


def test_an_arm_keeps_its_lengths_where_it_can_reach() -> None:
    arm = reach((0.0, 0.0), (0.5, 1.0), bend=1)
    assert math.dist(arm.shoulder, arm.elbow) == pytest.approx(UPPER_ARM)
    assert math.dist(arm.elbow, arm.hand) == pytest.approx(FOREARM)
    far = reach((0.0, 0.0), (0.0, 3.0), bend=1)
    assert far.hand == (0.0, 3.0) and far.elbow[0] == pytest.approx(0.0)


def test_the_pen_keeps_extents_by_part() -> None:
    pen = Pen(Image.new("RGB", (40, 40)), scale=10, origin=(20, 20))
    pen.ellipse((0.0, 0.0), (1.9, 1.9), (9, 9, 9))
    pen.part = "tool"
    pen.polygon([(0, 0), (1, 0), (1, 0.5)], (255, 0, 0))
    pen.polygon([(-0.5, 0), (0, 0), (0, -1)], (255, 0, 0))
    assert pen.extents == {"tool": [15, 10, 30, 25]}
    assert pen.image.getpixel((28, 22)) == (255, 0, 0)


def test_unknown_split() -> None:
    with pytest.raises(ConfigError, match="split 'dev' is unknown: use one of train"):
        render_clips(clips=1, frames=1, split="dev", seed=0, heads=PlainHeads())
    with pytest.raises(ConfigError, match="split 'dev' is unknown"):
        Looks("dev", np.random.Generator(np.random.Philox(0)))


def test_no_frames() -> None:
    with pytest.raises(ConfigError, match="3 clips of 0 frames: use at least one of each"):
        render_clips(clips=3, frames=0, split="train", seed=0, heads=PlainHeads())


def test_a_frame_too_small() -> None:
    with pytest.raises(ConfigError, match="use at least"):
        render_clips(clips=1, frames=1, split="train", seed=0, size=(20, 30), heads=PlainHeads())


def test_a_split_without_people() -> None:
    class Nobody(PlainHeads):
        def people(self, split: str) -> list[int]:
            return []

    with pytest.raises(ConfigError, match="split 'test' has no people"):
        render_clips(clips=1, frames=1, split="test", seed=0, heads=Nobody())

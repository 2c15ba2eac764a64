"""Faces of drawn clips with what is in front of them, pixel by pixel: hands, tools, other people, hair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from anonlib.types import ACTIONS, Heads
from anonlib.world import hair
from anonlib.world.actions import FACE_RELATED, Clip
from anonlib.world.actor import SUPERSAMPLE, Actor, Role
from anonlib.world.body import Body, Moment, Pose
from anonlib.world.faces import SyntheticPeople
from anonlib.world.pen import Pen

_CHANGED = 4
"""Difference of 8-bit colours from which a pixel is covered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnFace:
    """One face in a frame of a drawn clip."""

    picture: np.ndarray
    """The frame, `(H, W, 3)` uint8."""
    landmarks: np.ndarray
    """`(5, 2)` xy pixels."""
    skin: np.ndarray
    """Share of visible skin of the head, `(H, W)` 0 to 255."""
    front: np.ndarray
    """Share of what is in front of the head, `(H, W)` 0 to 255."""
    action: int


class _Skulls:
    """Drawn people, of whom it also keeps where skin is seen: bald and haired drawings agree there."""

    def __init__(self) -> None:
        self.source = SyntheticPeople()
        self.skin: dict[int, np.ndarray] = {}

    def people(self, split: str) -> Sequence[int]:
        return self.source.people(split)

    def heads(self, person: int, *, seed: int, frames: int, size: int) -> Heads:
        heads = self.source.heads(person, seed=seed, frames=frames, size=size)
        kept, hair.BALD = hair.BALD, -1.0
        try:
            bald = self.source.heads(person, seed=seed, frames=frames, size=size)
        finally:
            hair.BALD = kept
        same = (heads.rgb - bald.rgb).abs().amax(1) < 0.02
        self.skin[person] = (same & (bald.alpha[:, 0] > 0.5)).numpy().astype(np.uint8) * 255
        return heads


class _Watched:
    """A prop that keeps the canvas as it is when the head is drawn and the arms are not."""

    def __init__(self, actor: Actor, skin: dict[int, np.ndarray]) -> None:
        self.prop, self.actor, self.skin, self.frame = actor.prop, actor, skin, -1
        actor.prop = self

    def pose(self, moment: Moment, body: Body) -> Pose:
        self.frame += 1
        return self.prop.pose(moment, body)

    def behind(self, pen: Pen, moment: Moment) -> None:
        self.prop.behind(pen, moment)

    def before(self, pen: Pen, moment: Moment) -> None:
        self.canvas, self.then = pen.image, np.asarray(pen.image).copy()
        place = self.actor.place
        self.shift = (pen.origin[0] - place[0], pen.origin[1] - place[1])
        self.prop.before(pen, moment)

    def tool(self, pen: Pen, moment: Moment, pose: Pose) -> None:
        self.prop.tool(pen, moment, pose)

    def masks(self) -> tuple[np.ndarray, np.ndarray]:
        """Visible skin and what is in front of anything, in the frame that was drawn last."""
        front = np.abs(np.asarray(self.canvas).astype(np.int16) - self.then).max(2) > _CHANGED
        skin = Image.new("L", self.canvas.size)
        sprite = Image.fromarray(self.skin[self.actor.role.identity][self.frame])
        sprite = sprite.resize((self.actor.unit,) * 2, Image.Resampling.BILINEAR)
        skin.paste(sprite, self.actor._head_corner(self.frame, self.shift))
        return np.asarray(skin) * ~front, front.astype(np.uint8) * 255


def drawn_faces(
    *, clips: int, split: str, seed: int, heights: tuple[int, ...] = (144, 216, 288)
) -> Iterator[DrawnFace]:
    """Faces of clips of two frames each, of people and looks of a split."""
    for number in range(clips):
        rng = np.random.default_rng([seed, number])
        heads = _Skulls()
        people = heads.people(split)
        chosen = rng.choice(2000, size=1 + int(rng.random() < 0.3), replace=False)
        roles = [Role(identity=people[int(one)], label=_action(rng)) for one in chosen]
        height = int(rng.choice(heights))
        clip = Clip(roles, heads, frames=2, split=split, size=(height, height * 4 // 3), rng=rng)
        yield from _faces(clip, heads)


def _action(rng: np.random.Generator) -> int:
    name = rng.choice(FACE_RELATED) if rng.random() < 0.8 else rng.choice(ACTIONS)
    return ACTIONS.index(str(name))


def _faces(clip: Clip, heads: _Skulls) -> Iterator[DrawnFace]:
    watched = [_Watched(actor, heads.skin) for actor in clip.actors]
    for picture, sightings in clip.shots():
        for one, seen in zip(watched, sightings, strict=True):
            if seen.landmarks is not None:
                skin, front = (_reduced(mask) for mask in one.masks())
                yield DrawnFace(
                    picture=picture, landmarks=seen.landmarks, skin=skin, front=front, action=seen.label
                )


def _reduced(mask: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(mask).reduce(SUPERSAMPLE))

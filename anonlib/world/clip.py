"""One clip: the people, the room and the camera, drawn frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from anonlib.types import ACTIONS, HeadSource
from anonlib.world.actor import Actor, HeadClip, Sighting
from anonlib.world.body import random_body
from anonlib.world.chores import CHORES
from anonlib.world.face_props import FaceProp
from anonlib.world.looks import Looks
from anonlib.world.pen import Point
from anonlib.world.rooms import Camera, draw_room, film, random_camera

SUPERSAMPLE = 2
"""Frames are drawn this many times larger and then reduced."""
_UNITS = {1: (0.33, 0.44), 2: (0.31, 0.38), 3: (0.225, 0.25)}
"""Range of the side of a head crop, as a fraction of the frame height, by the number of people."""
_LARGEST = {"floor": 0.3, "iron": 0.33, "fold": 0.35}
"""Upper limit of the same fraction for actions whose tool stands low in the frame."""
_FROM_BEHIND = 0.16
"""Share of the people at a floor or a window who are seen from behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A person and the action that this person does."""

    identity: int
    """Person number of the `HeadSource`."""
    label: int
    """Index into `ACTIONS`."""


@dataclass(slots=True, kw_only=True)
class Clip:
    """A clip, ready to be drawn."""

    size: tuple[int, int]
    """Height and width of a frame."""
    room: Image.Image
    """The background, supersampled and `margin` pixels wider than the frame on each side."""
    margin: int
    camera: Camera
    actors: list[Actor]
    """Farthest first."""
    rng: np.random.Generator

    def shots(self, frames: int) -> Iterator[tuple[np.ndarray, list[Sighting]]]:
        """Yield each frame, `(H, W, 3)` uint8, with where the people are in it."""
        height = self.size[0] * SUPERSAMPLE
        limit = self.margin - 1
        for frame in range(frames):
            jitter = self.rng.normal(0.0, 1.0, 2) * self.camera.shake * height
            pan = [drift * (frame - (frames - 1) / 2) * height for drift in self.camera.drift]
            x, y = (int(np.clip(round(p + j), -limit, limit)) for p, j in zip(pan, jitter, strict=True))
            yield self._draw(frame, (x, y))

    def _draw(self, frame: int, shift: tuple[int, int]) -> tuple[np.ndarray, list[Sighting]]:
        height, width = (SUPERSAMPLE * side for side in self.size)
        left, top = self.margin - shift[0], self.margin - shift[1]
        canvas = self.room.crop((left, top, left + width, top + height))
        for actor in self.actors:
            actor.draw_behind(canvas, frame, shift)
        for actor in self.actors:
            actor.draw(canvas, frame, shift)
        seen = [actor.sighting(frame, shift, supersample=SUPERSAMPLE) for actor in self.actors]
        return film(canvas.reduce(SUPERSAMPLE), self.camera, self.rng), seen


def stage_clip(
    roles: Sequence[Role],
    heads: HeadSource,
    *,
    frames: int,
    split: str,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Clip:
    """Choose the looks of a clip and place its people side by side.

    Args:
        roles: one to three people with their actions.
        heads: whose heads the people have.
        frames: length of the clip.
        split: looks of other splits are not used.
        size: height and width of a frame in pixels.
        rng: source of all random numbers of this clip.
    """
    looks = Looks(split, rng)
    height, width = (SUPERSAMPLE * side for side in size)
    margin = height // 12
    limit = min(_LARGEST.get(ACTIONS[role.label], 1.0) for role in roles)
    unit = size[0] * float(rng.uniform(*_UNITS[len(roles)]))
    unit = SUPERSAMPLE * min(unit, size[1] / (1.75 * len(roles)), size[0] * limit)
    actors = []
    for role, slot in zip(roles, rng.permutation(len(roles)), strict=True):
        own = round(unit * float(rng.uniform(0.95, 1.05)))
        place = _place(int(slot), len(roles), (height, width), own, rng)
        actors.append(_actor(role, heads, looks, frames=frames, unit=own, place=place, width=width))
    far = len(roles) == 3 or limit == _LARGEST["floor"]
    horizon = float(rng.uniform(0.76, 0.84)) if far else float(rng.uniform(0.86, 1.1))
    return Clip(
        size=size,
        room=draw_room(looks, size=(height + 2 * margin, width + 2 * margin), horizon=horizon),
        margin=margin,
        camera=random_camera(rng),
        actors=sorted(actors, key=lambda actor: actor.unit),
        rng=rng,
    )


def _place(slot: int, people: int, size: tuple[int, int], unit: int, rng: np.random.Generator) -> Point:
    """Rest position of a head: near the middle of one of `people` slots from left to right."""
    height, width = size
    slack = max(0.0, width / people - 1.7 * unit) / 2
    x = (slot + 0.5) * (width / people) + float(rng.uniform(-slack, slack))
    y = unit * float(rng.uniform(0.56, 0.72))
    return x, min(y, height - unit)


def _actor(
    role: Role, heads: HeadSource, looks: Looks, *, frames: int, unit: int, place: Point, width: int
) -> Actor:
    rng = looks.rng
    name = ACTIONS[role.label]
    own = looks.spawn()  # so that another action would leave the rest of the scene as it is
    prop = CHORES[name](own) if name in CHORES else FaceProp(name, own)
    clip = None
    if not (name in ("floor", "window") and rng.random() < _FROM_BEHIND):
        size = max(64, 16 * -(-unit // (16 * SUPERSAMPLE)))  # about as large as in the final frame
        drawn = heads.heads(role.identity, seed=int(rng.integers(2**31)), frames=frames, size=size)
        clip = HeadClip.from_heads(drawn, side=unit)
    side = 1 if rng.random() < 0.5 else -1
    if name in ("floor", "window") and min(place[0], width - place[0]) < 1.5 * unit:
        side = 1 if place[0] < width / 2 else -1
    return Actor(
        label=role.label,
        identity=role.identity,
        prop=prop,
        body=random_body(looks, skin=None if clip is None else clip.skin),
        heads=clip,
        side=side,
        unit=unit,
        place=place,
        phase=float(rng.uniform(0, 2 * np.pi)),
        rate=float(rng.uniform(0.35, 0.9)),
    )

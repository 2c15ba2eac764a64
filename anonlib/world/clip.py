"""One clip: who stands where before which room, drawn frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from anonlib.types import ACTIONS, HeadSource
from anonlib.world.actor import Actor, HeadClip, Prop, Sighting
from anonlib.world.body import random_body
from anonlib.world.chores import Floor, Fold, Iron, Window
from anonlib.world.face_props import FaceProp
from anonlib.world.looks import Comb
from anonlib.world.rooms import Camera, develop, draw_room, random_camera

SUPERSAMPLE = 2
_HOUSEWORK: dict[str, type[Floor] | type[Window] | type[Fold] | type[Iron]] = {
    "floor": Floor,
    "window": Window,
    "fold": Fold,
    "iron": Iron,
}
_UNITS = {1: (0.33, 0.44), 2: (0.31, 0.38), 3: (0.225, 0.25)}
"""Side of a head crop as a fraction of the frame height, by the number of people."""
_LARGEST = {"floor": 0.3, "iron": 0.33, "fold": 0.35}
"""The same at most, for actions whose tool stands low in the frame."""
_FROM_BEHIND = 0.16
"""Share of the people at a floor or a window who turn their backs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A person number and the action (an index of `ACTIONS`) it is given."""

    identity: int
    label: int


@dataclass(slots=True, kw_only=True)
class Clip:
    """A staged clip, ready to be drawn."""

    size: tuple[int, int]
    room: Image.Image
    margin: int
    camera: Camera
    actors: list[Actor]
    rng: np.random.Generator

    def shots(self, frames: int) -> Iterator[tuple[np.ndarray, list[Sighting]]]:
        """Yield each frame, `(H, W, 3)` uint8, with what is seen in it."""
        height = self.size[0] * SUPERSAMPLE
        for frame in range(frames):
            jitter = self.rng.normal(0.0, 1.0, 2) * self.camera.shake * height
            pan = [drift * (frame - (frames - 1) / 2) * height for drift in self.camera.drift]
            limit = self.margin - 1
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
        picture = canvas.reduce(SUPERSAMPLE)
        seen = [a.sighting(frame, shift, supersample=SUPERSAMPLE) for a in self.actors]
        return develop(picture, self.camera, self.rng), seen


def stage_clip(
    roles: Sequence[Role],
    heads: HeadSource,
    *,
    frames: int,
    split: str,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Clip:
    """Draw the looks of a clip and place its people side by side.

    Args:
        roles: one to three people with their actions.
        heads: where their heads come from.
        frames: length of the clip.
        split: split whose looks are used.
        size: height and width of a frame in pixels.
        rng: all that is random here.
    """
    comb = Comb(split, rng)
    height, width = (SUPERSAMPLE * side for side in size)
    margin = height // 12
    limit = min(_LARGEST.get(ACTIONS[role.label], 1.0) for role in roles)
    unit = _unit(len(roles), size, rng, limit=limit)
    slots = rng.permutation(len(roles))
    actors = []
    for role, slot in zip(roles, slots, strict=True):
        mine = round(unit * float(rng.uniform(0.95, 1.05)))
        place = _place(int(slot), len(roles), size, mine, rng)
        actors.append(_actor(role, heads, comb, frames=frames, unit=mine, place=place, width=width))
    far = len(roles) == 3 or limit == _LARGEST["floor"]
    horizon = float(rng.uniform(0.76, 0.84)) if far else float(rng.uniform(0.86, 1.1))
    room = draw_room(comb, size=(height + 2 * margin, width + 2 * margin), horizon=horizon)
    return Clip(
        size=size,
        room=room,
        margin=margin,
        camera=random_camera(rng),
        actors=sorted(actors, key=lambda actor: actor.unit),
        rng=rng,
    )


def _unit(people: int, size: tuple[int, int], rng: np.random.Generator, *, limit: float) -> float:
    """Side of a head crop in canvas pixels, such that the people fit side by side."""
    height, width = size
    unit = height * float(rng.uniform(*_UNITS[people]))
    unit = min(unit, width / (1.75 * people), height * limit)
    return unit * SUPERSAMPLE


def _place(
    slot: int, people: int, size: tuple[int, int], unit: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Rest position of a head: the middle of its slot, give or take what room there is."""
    height, width = (SUPERSAMPLE * side for side in size)
    wide = width / people
    slack = max(0.0, wide - 1.7 * unit) / 2
    x = (slot + 0.5) * wide + float(rng.uniform(-slack, slack))
    y = unit * float(rng.uniform(0.56, 0.72))
    return x, min(y, height - unit)


def _actor(
    role: Role,
    heads: HeadSource,
    comb: Comb,
    *,
    frames: int,
    unit: int,
    place: tuple[float, float],
    width: int,
) -> Actor:
    rng = comb.rng
    name = ACTIONS[role.label]
    apart = comb.apart()  # so that the action changes nothing else in the scene
    prop: Prop = _HOUSEWORK[name](apart) if name in _HOUSEWORK else FaceProp(name, apart)
    hidden = name in ("floor", "window") and rng.random() < _FROM_BEHIND
    clip = None if hidden else _head_clip(role, heads, rng, frames=frames, unit=unit)
    side = 1 if rng.random() < 0.5 else -1
    if name in ("floor", "window") and min(place[0], width - place[0]) < 1.5 * unit:
        side = 1 if place[0] < width / 2 else -1
    return Actor(
        label=role.label,
        identity=role.identity,
        prop=prop,
        body=random_body(comb, skin=None if clip is None else clip.skin),
        heads=clip,
        side=side,
        unit=unit,
        place=place,
        phase=float(rng.uniform(0, 2 * np.pi)),
        rate=float(rng.uniform(0.35, 0.9)),
    )


def _head_clip(
    role: Role, heads: HeadSource, rng: np.random.Generator, *, frames: int, unit: int
) -> HeadClip:
    """The person's heads, rendered about as large as they will be seen."""
    size = max(64, 16 * -(-unit // (16 * SUPERSAMPLE)))
    seed = int(rng.integers(2**31))
    return HeadClip.from_heads(heads.heads(role.identity, seed=seed, frames=frames, size=size), side=unit)

"""One clip: the people, the room and the camera, drawn frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from anonlib.types import ACTIONS, HeadSource
from anonlib.world.actor import SUPERSAMPLE, Actor, Role, Sighting
from anonlib.world.looks import Looks
from anonlib.world.pen import Point
from anonlib.world.rooms import Camera, draw_room

_UNITS = {1: (0.33, 0.44), 2: (0.31, 0.38), 3: (0.225, 0.25)}
"""Range of the side of a head crop, as a fraction of the frame height, by the number of people."""
_LARGEST = {"floor": 0.3, "iron": 0.33, "fold": 0.35}
"""Upper limit of the same fraction for actions whose tool stands low in the frame."""


class Clip:
    """One to three people side by side in a room, with the looks of one split.

    Args:
        roles: the people and their actions.
        heads: whose heads the people have.
        frames: length of the clip.
        split: looks of other splits are not used.
        size: height and width of a frame in pixels.
        rng: source of all random numbers of this clip.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        heads: HeadSource,
        *,
        frames: int,
        split: str,
        size: tuple[int, int],
        rng: np.random.Generator,
    ) -> None:
        self.frames, self.rng = frames, rng
        self.height, self.width = height, width = SUPERSAMPLE * size[0], SUPERSAMPLE * size[1]
        self.margin = height // 12  # how far the camera can move
        looks = Looks(split, rng)
        limit = min(_LARGEST.get(ACTIONS[role.label], 1.0) for role in roles)
        unit = size[0] * float(rng.uniform(*_UNITS[len(roles)]))
        unit = SUPERSAMPLE * min(unit, size[1] / (1.75 * len(roles)), size[0] * limit)
        self.actors = []
        for role, slot in zip(roles, rng.permutation(len(roles)), strict=True):
            own = round(unit * float(rng.uniform(0.95, 1.05)))
            place = self._place(int(slot), len(roles), own)
            self.actors.append(Actor(role, heads, looks, frames=frames, unit=own, place=place, width=width))
        self.actors.sort(key=lambda actor: actor.unit)  # farthest first
        far = len(roles) == 3 or limit == _LARGEST["floor"]
        horizon = float(rng.uniform(0.76, 0.84)) if far else float(rng.uniform(0.86, 1.1))
        wider = (height + 2 * self.margin, width + 2 * self.margin)
        self.room = draw_room(looks, size=wider, horizon=horizon)
        self.camera = Camera(rng)

    def shots(self) -> Iterator[tuple[np.ndarray, list[Sighting]]]:
        """Yield each frame, `(H, W, 3)` uint8, with where the people are in it."""
        limit = self.margin - 1
        for frame in range(self.frames):
            jitter = self.rng.normal(0.0, 1.0, 2) * self.camera.shake * self.height
            pan = [drift * (frame - (self.frames - 1) / 2) * self.height for drift in self.camera.drift]
            x, y = (int(np.clip(round(p + j), -limit, limit)) for p, j in zip(pan, jitter, strict=True))
            yield self._draw(frame, (x, y))

    def _place(self, slot: int, people: int, unit: int) -> Point:
        """Rest position of a head: near the middle of one of `people` slots from left to right."""
        wide = self.width / people
        slack = max(0.0, wide - 1.7 * unit) / 2
        x = (slot + 0.5) * wide + float(self.rng.uniform(-slack, slack))
        y = unit * float(self.rng.uniform(0.56, 0.72))
        return x, min(y, self.height - unit)

    def _draw(self, frame: int, shift: tuple[int, int]) -> tuple[np.ndarray, list[Sighting]]:
        left, top = self.margin - shift[0], self.margin - shift[1]
        canvas = self.room.crop((left, top, left + self.width, top + self.height))
        for actor in self.actors:
            actor.draw_behind(canvas, frame, shift)
        for actor in self.actors:
            actor.draw(canvas, frame, shift)
        seen = [actor.sighting(frame, shift) for actor in self.actors]
        return self.camera.film(canvas.reduce(SUPERSAMPLE), self.rng), seen

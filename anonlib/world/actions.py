"""The drawn action world: short clips of one to three people, each doing one of ten actions.

The clips have the structure of DALY, which cannot be redistributed. The object of a face-related
action is inside the enlarged face box; the objects of other actions are outside. The splits share no
people, no rooms and no looks of objects. See data/DATASET_CARD.md.

Differs from the paper: drawn clips of synthetic people instead of DALY's videos.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from anonlib.errors import ConfigError
from anonlib.types import ACTIONS, ActionFrames, HeadSource
from anonlib.world.actor import SUPERSAMPLE, Actor, Box, Role, Sighting
from anonlib.world.pen import SPLITS, Looks, Point
from anonlib.world.rooms import Camera, draw_room

ACTION_NAMES = {
    "lip": "applying make-up on lips",
    "brush": "brushing teeth",
    "floor": "cleaning floor",
    "window": "cleaning windows",
    "drink": "drinking",
    "fold": "folding textile",
    "iron": "ironing",
    "phone": "phoning",
    "harmonica": "playing harmonica",
    "photo": "taking photos or videos",
}
"""DALY's names of the classes, by the short names of `ACTIONS`."""
FACE_RELATED = ("lip", "brush", "drink", "phone", "harmonica", "photo")
"""The actions that are seen inside the enlarged face box."""
_UNITS = {1: (0.33, 0.44), 2: (0.31, 0.38), 3: (0.225, 0.25)}
"""Range of the side of a head crop, as a fraction of the frame height, by the number of people."""
_LARGEST = {"floor": 0.3, "iron": 0.33, "fold": 0.35}
"""Upper limit of the same fraction for actions whose tool stands low in the frame."""


def render_clips(
    *,
    clips: int,
    frames: int,
    split: str,
    seed: int,
    size: tuple[int, int] = (144, 192),
    heads: HeadSource,
    progress: bool = False,
) -> ActionFrames:
    """Draw clips with their ground truth.

    An action box holds the whole visible person with the tool, clipped to the frame. A face box is
    the tight square of the face; enlarged 1.6 times, it is the canonical crop. Faces that are mostly
    outside the frame, and heads seen from behind, have no face box. The farthest person comes first,
    in boxes and in faces.

    Args:
        clips: number of clips; all actions occur equally often, give or take one.
        frames: frames a clip.
        split: `train`, `validation` or `test`; they share no people, rooms or looks.
        size: height and width of a frame in pixels, at least 72 by 96.

    Raises:
        ConfigError: the split is unknown or has no people, no clips are asked for, or a frame is too small.
    """
    if split not in SPLITS:
        raise ConfigError(f"split '{split}' is unknown: use one of {', '.join(SPLITS)}")
    if clips < 1 or frames < 1:
        raise ConfigError(f"{clips} clips of {frames} frames: use at least one of each")
    if size[0] < 72 or size[1] < 96:
        raise ConfigError(f"frame size {size}: use at least (72, 96), height and width")
    people = heads.people(split)
    if len(people) == 0:
        raise ConfigError(f"split '{split}' has no people: use a head source with some")
    shots: list[np.ndarray] = []
    seen: list[list[Sighting]] = []
    plan = list(assign_roles(clips, people, rng=clip_generator(seed, split, 0)))
    for number, roles in enumerate(tqdm(plan, desc=f"{split} clips", disable=not progress)):
        rng = clip_generator(seed, split, number + 1)
        clip = Clip(roles, heads, frames=frames, split=split, size=size, rng=rng)
        for picture, sightings in clip.shots():
            shots.append(picture)
            seen.append([one for one in sightings if _share_inside(one.box, size) > 0.05])
    return gather(shots, seen, size, clips=torch.arange(clips).repeat_interleave(frames))


class Clip:
    """One to three people side by side in a room, with the looks of one split.

    `size` is the height and width of a frame; all random numbers come from `rng`.
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
        for frame in range(self.frames):
            shift = self.shift(frame)
            canvas = self.draw(frame, shift)
            seen = [actor.sighting(frame, shift) for actor in self.actors]
            yield self.camera.film(canvas.reduce(SUPERSAMPLE), self.rng), seen

    def shift(self, frame: int) -> tuple[int, int]:
        """How far the camera has moved the scene in a frame, with a random shake; pixels of the canvas."""
        limit = self.margin - 1
        jitter = self.rng.normal(0.0, 1.0, 2) * self.camera.shake * self.height
        pan = [drift * (frame - (self.frames - 1) / 2) * self.height for drift in self.camera.drift]
        x, y = (int(np.clip(round(p + j), -limit, limit)) for p, j in zip(pan, jitter, strict=True))
        return x, y

    def draw(self, frame: int, shift: tuple[int, int]) -> Image.Image:
        """The supersampled picture of a frame, before the camera's light and noise."""
        left, top = self.margin - shift[0], self.margin - shift[1]
        canvas = self.room.crop((left, top, left + self.width, top + self.height))
        for actor in self.actors:
            actor.draw_behind(canvas, frame, shift)
        for actor in self.actors:
            actor.draw(canvas, frame, shift)
        return canvas

    def _place(self, slot: int, people: int, unit: int) -> Point:
        """Rest position of a head: near the middle of one of `people` slots from left to right."""
        wide = self.width / people
        slack = max(0.0, wide - 1.7 * unit) / 2
        x = (slot + 0.5) * wide + float(self.rng.uniform(-slack, slack))
        y = unit * float(self.rng.uniform(0.56, 0.72))
        return x, min(y, self.height - unit)


def clip_generator(seed: int, split: str, number: int) -> np.random.Generator:
    """Random numbers of one clip, so that a clip does not depend on how many there are."""
    source = np.random.SeedSequence([seed, SPLITS.index(split), number])
    return np.random.Generator(np.random.Philox(source))


def assign_roles(
    clips: int, people: Sequence[int], *, rng: np.random.Generator
) -> Iterator[tuple[Role, ...]]:
    """People and actions of each clip; all actions occur before one occurs again."""
    actions: list[int] = []
    for _ in range(clips):
        count = min(1 + int(rng.choice(3, p=(0.45, 0.46, 0.09))), len(people))
        roles = []
        for index in rng.choice(len(people), size=count, replace=False):
            actions = actions or [int(a) for a in rng.permutation(len(ACTIONS))]
            roles.append(Role(identity=int(people[int(index)]), label=actions.pop()))
        yield tuple(roles)


def _share_inside(box: Box, size: tuple[int, int]) -> float:
    """Fraction of a box that lies in a frame of that height and width."""
    wide = min(box[2], size[1]) - max(box[0], 0.0)
    tall = min(box[3], size[0]) - max(box[1], 0.0)
    return max(wide, 0.0) * max(tall, 0.0) / ((box[2] - box[0]) * (box[3] - box[1]))


def gather(
    shots: list[np.ndarray], seen: list[list[Sighting]], size: tuple[int, int], *, clips: Tensor
) -> ActionFrames:
    """Frames `(H, W, 3)` uint8 of a `size`, the people seen in each, and the `(N,)` clip of each frame.

    Action boxes are clipped to the frame.
    """
    limit = torch.tensor([size[1], size[0], size[1], size[0]], dtype=torch.float32)
    boxes, labels, faces, landmarks, identities = [], [], [], [], []
    for people in seen:
        box = torch.tensor([one.box for one in people], dtype=torch.float32).reshape(-1, 4)
        boxes.append(torch.minimum(box.clamp(min=0.0), limit))
        labels.append(torch.tensor([one.label for one in people], dtype=torch.int64))
        facing = [one for one in people if one.face and _share_inside(one.face, size) > 0.5]
        faces.append(torch.tensor([one.face for one in facing], dtype=torch.float32).reshape(-1, 4))
        points = np.array([one.landmarks for one in facing], dtype=np.float32).reshape(-1, 5, 2)
        landmarks.append(torch.from_numpy(points))
        identities.append(torch.tensor([one.identity for one in facing], dtype=torch.int64))
    return ActionFrames(
        frames=torch.from_numpy(np.stack(shots)).permute(0, 3, 1, 2).contiguous(),
        boxes=boxes,
        labels=labels,
        face_boxes=faces,
        landmarks=landmarks,
        identities=identities,
        clips=clips,
    )

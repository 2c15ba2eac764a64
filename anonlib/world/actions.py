"""The synthetic action world: short clips of one to three people, each doing one of ten actions.

It imitates the structure of DALY, which cannot be redistributed. The evidence for the face-related
classes lies inside the enlarged face box, the evidence for the others outside it; people, rooms and
looks of objects are disjoint between the splits. See data/DATASET_CARD.md.

Differs from the paper: drawn clips of synthetic people in the place of DALY's videos.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from anonlib.errors import ConfigError
from anonlib.types import ACTIONS, ActionFrames, HeadSource
from anonlib.world.actor import Sighting
from anonlib.world.clip import Role, stage_clip
from anonlib.world.looks import SPLITS

__all__ = ["ACTIONS", "ACTION_NAMES", "FACE_RELATED", "render_clips"]

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
"""The classes whose evidence lies in the enlarged face box."""
_PEOPLE = (0.45, 0.46, 0.09)
"""How often a clip shows one, two or three people."""
_SMALLEST = (72, 96)


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
    """Render clips with everything that is known about them.

    Action boxes hold the whole visible person with the tool, clipped to the frame; a face box is
    the tight square of the face, which enlarged 1.6 times gives the canonical crop. A face mostly
    outside the frame is left out, a head seen from behind has none. Persons stand in the order of
    drawing, farthest first; faces in the same order.

    Args:
        clips: number of clips; the actions are dealt out evenly over all their people.
        frames: frames a clip.
        split: `train`, `validation` or `test`; no people, rooms or looks are shared.
        seed: the same seed gives the same frames.
        size: height and width of a frame in pixels, at least 72 by 96.
        heads: whose heads the people wear.
        progress: show a progress bar.

    Raises:
        ConfigError: unknown split or one without people, no clips or frames, a frame too small.
    """
    _check(clips, frames, split, size)
    people = heads.people(split)
    if len(people) == 0:
        raise ConfigError(f"split '{split}' has no people: use a head source with some")
    shots: list[np.ndarray] = []
    seen: list[list[Sighting]] = []
    plan = list(_cast(clips, people, rng=_generator(seed, split, 0)))
    for number, roles in enumerate(tqdm(plan, desc=f"{split} clips", disable=not progress)):
        rng = _generator(seed, split, number + 1)
        clip = stage_clip(roles, heads, frames=frames, split=split, size=size, rng=rng)
        for picture, sightings in clip.shots(frames):
            shots.append(picture)
            seen.append(_visible(sightings, size))
    return _gather(shots, seen, clips=torch.arange(clips).repeat_interleave(frames))


def _check(clips: int, frames: int, split: str, size: tuple[int, int]) -> None:
    if split not in SPLITS:
        raise ConfigError(f"split '{split}' is unknown: use one of {', '.join(SPLITS)}")
    if clips < 1 or frames < 1:
        raise ConfigError(f"{clips} clips of {frames} frames: use at least one of each")
    if size[0] < _SMALLEST[0] or size[1] < _SMALLEST[1]:
        raise ConfigError(f"frame size {size}: use at least {_SMALLEST} (height, width)")


def _generator(seed: int, split: str, number: int) -> np.random.Generator:
    """A stream of its own for each clip, so that clips do not depend on how many there are."""
    source = np.random.SeedSequence([seed, SPLITS.index(split), number])
    return np.random.Generator(np.random.Philox(source))


def _cast(clips: int, people: Sequence[int], *, rng: np.random.Generator) -> Iterator[tuple[Role, ...]]:
    """Deal people and actions to the clips, each action once before any comes again."""
    actions: list[int] = []
    for _ in range(clips):
        count = min(int(rng.choice(3, p=_PEOPLE)) + 1, len(people))
        chosen = rng.choice(len(people), size=count, replace=False)
        roles = []
        for index in chosen:
            actions = actions or [int(a) for a in rng.permutation(len(ACTIONS))]
            roles.append(Role(identity=int(people[int(index)]), label=actions.pop()))
        yield tuple(roles)


def _visible(sightings: Sequence[Sighting], size: tuple[int, int]) -> list[Sighting]:
    """Persons of whom something is in the frame."""
    return [one for one in sightings if _share_inside(one.box, size) > 0.05]


def _share_inside(box: tuple[float, float, float, float], size: tuple[int, int]) -> float:
    """Fraction of a box that lies in a frame of that height and width."""
    wide = min(box[2], size[1]) - max(box[0], 0.0)
    tall = min(box[3], size[0]) - max(box[1], 0.0)
    return max(wide, 0.0) * max(tall, 0.0) / ((box[2] - box[0]) * (box[3] - box[1]))


def _gather(shots: list[np.ndarray], seen: list[list[Sighting]], *, clips: Tensor) -> ActionFrames:
    """Frames and sightings as tensors."""
    frames = torch.from_numpy(np.stack(shots)).permute(0, 3, 1, 2).contiguous()
    height, width = int(frames.shape[2]), int(frames.shape[3])
    limit = torch.tensor([width, height, width, height], dtype=torch.float32)
    boxes, labels, faces, landmarks, identities = [], [], [], [], []
    for people in seen:
        box = torch.tensor([one.box for one in people], dtype=torch.float32).reshape(-1, 4)
        boxes.append(torch.minimum(box.clamp(min=0.0), limit))
        labels.append(torch.tensor([one.label for one in people], dtype=torch.int64))
        facing = [one for one in people if one.face and _share_inside(one.face, (height, width)) > 0.5]
        faces.append(torch.tensor([one.face for one in facing], dtype=torch.float32).reshape(-1, 4))
        points = [torch.from_numpy(one.landmarks).float() for one in facing if one.landmarks is not None]
        landmarks.append(torch.stack(points) if points else torch.zeros(0, 5, 2))
        identities.append(torch.tensor([one.identity for one in facing], dtype=torch.int64))
    return ActionFrames(
        frames=frames,
        boxes=boxes,
        labels=labels,
        face_boxes=faces,
        landmarks=landmarks,
        identities=identities,
        clips=clips,
    )

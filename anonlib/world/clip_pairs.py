"""Pairs from the drawn clips: people at work, each redrawn with another head; tools and hands stay."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from anonlib.config import ENLARGE
from anonlib.geometry import crop_boxes
from anonlib.networks.face_reader import STATE
from anonlib.types import Heads
from anonlib.world.actions import Clip, assign_roles, clip_generator
from anonlib.world.actor import SUPERSAMPLE, Actor, Box, HeadClip, sprite_side
from anonlib.world.codes import PersonCodes
from anonlib.world.faces import SyntheticPeople, clip_draws, draw_heads
from anonlib.world.pairs import RedrawnPairs, join, state_alone

Corners = tuple[int, int, int, int]


def clip_pairs(
    codes: PersonCodes,
    *,
    clips: int,
    frames: int,
    split: str,
    seed: int,
    size: int,
    frame: tuple[int, int],
    person: int | None = None,
) -> RedrawnPairs:
    """Face crops of drawn clips, each person redrawn with a random training person, or with one for all.

    `frame` is the height and width of a frame. A crop is the face box enlarged 1.6 times; beyond the frame it
    repeats the border. `person` is the number of the one for all.
    """
    source = SyntheticPeople()
    pairs: list[RedrawnPairs] = []
    plan = assign_roles(clips, source.people(split), rng=clip_generator(seed, split, 0))
    for number, roles in enumerate(plan):
        rng = clip_generator(seed, split, number + 1)
        clip = Clip(roles, source, frames=frames, split=split, size=frame, rng=rng)
        take = _Take(codes, clip, other_people(len(roles), seed + number) if person is None else [person] * 3)
        pairs += [pair for k in range(frames) for pair in take.pairs(k, size)]
    return join(pairs)


class _Take:
    """One clip, and other heads for its people."""

    def __init__(self, codes: PersonCodes, clip: Clip, others: list[int]) -> None:
        self.clip = clip
        self.facing = [actor for actor in clip.actors if actor.heads is not None]
        self.codes = codes.of(others)
        self.draws = [
            clip_draws(actor.role.identity, seed=actor.seed, frames=clip.frames) for actor in self.facing
        ]
        self.others = [
            _other_head(codes, actor, code, draw)
            for actor, code, draw in zip(self.facing, self.codes, self.draws, strict=False)
        ]

    def pairs(self, frame: int, size: int) -> list[RedrawnPairs]:
        """The pairs of one frame, one for each face that is seen."""
        clip, shift = self.clip, self.clip.shift(frame)
        before = clip.draw(frame, shift)
        self._exchange_heads()
        after = clip.draw(frame, shift)
        self._exchange_heads()
        noise = clip.rng.bit_generator.state
        first = clip.camera.film(before.reduce(SUPERSAMPLE), clip.rng)
        clip.rng.bit_generator.state = noise  # the same noise in both pictures
        second = clip.camera.film(after.reduce(SUPERSAMPLE), clip.rng)
        return [self._pair(number, frame, shift, (first, second), size) for number in range(len(self.facing))]

    def _exchange_heads(self) -> None:
        """Exchanges the pictures of the heads; tools and the skin of the hands stay."""
        for actor, other in zip(self.facing, self.others, strict=True):
            assert actor.heads is not None
            actor.heads.sprites, other.sprites = other.sprites, actor.heads.sprites

    def _pair(
        self,
        number: int,
        frame: int,
        shift: tuple[int, int],
        pictures: tuple[np.ndarray, np.ndarray],
        size: int,
    ) -> RedrawnPairs:
        actor, clip = self.facing[number], self.clip
        seen = actor.sighting(frame, shift)
        assert seen.face is not None and seen.landmarks is not None
        box = _enlarged(seen.face)
        head = actor.head_matte(frame, shift, (clip.height, clip.width)).reduce(SUPERSAMPLE)
        planes = [*pictures, np.asarray(head)[..., None], _in_front(clip, actor, frame, shift)[..., None]]
        picture = torch.from_numpy(np.concatenate(planes, 2)).permute(2, 0, 1)[None].float()
        crop = crop_boxes(picture, [torch.tensor([box])], size).round().clamp(0, 255).to(torch.uint8)
        scale = size / (box[2] - box[0])
        return RedrawnPairs(
            images=crop[:, :3],
            redrawn=crop[:, 3:6],
            head=crop[:, 6:7],
            front=crop[:, 7:],
            state=self.draws[number][frame : frame + 1, : len(STATE)],
            codes=self.codes[number : number + 1],
            landmarks=torch.from_numpy((seen.landmarks - box[:2]) * scale)[None].float(),
            redrawn_landmarks=torch.from_numpy((self.others[number].landmarks[frame] + 0.5) * size)[
                None
            ].float(),
        )


def other_people(count: int, seed: int) -> list[int]:
    """Random training people who are drawn for others, and in no picture themselves."""
    return np.random.default_rng(seed).integers(10**8, 2 * 10**8, count).tolist()


def _other_head(codes: PersonCodes, actor: Actor, code: Tensor, draw: Tensor) -> HeadClip:
    """The head of the person of a code, in the state of an actor in every frame."""
    identity = codes.identity(code[None]).expand(len(draw), -1)
    heads: Heads = draw_heads(codes.model, identity, state_alone(draw), sprite_side(actor.unit))
    return HeadClip(heads, side=actor.unit)


def _enlarged(face: Box) -> Corners:
    """The whole-pixel square of 1.6 times a face box."""
    side = round((face[2] - face[0]) * ENLARGE)
    x, y = round((face[0] + face[2] - side) / 2), round((face[1] + face[3] - side) / 2)
    return x, y, x + side, y + side


def _in_front(clip: Clip, actor: Actor, frame: int, shift: tuple[int, int]) -> np.ndarray:
    """Opacity `(H, W)` uint8 of all that is drawn after an actor's head, from how much of a white and of a
    black ground shines through.
    """
    shades = []
    for ground in (0, 255):
        canvas = Image.new("RGB", (clip.width, clip.height), (ground,) * 3)
        actor.draw_front(canvas, frame, shift)
        for nearer in clip.actors[clip.actors.index(actor) + 1 :]:
            nearer.draw(canvas, frame, shift)
        shades.append(np.asarray(canvas.reduce(SUPERSAMPLE), dtype=np.float32).mean(2))
    opacity: np.ndarray = (255 - shades[1] + shades[0]).round().clip(0, 255).astype(np.uint8)
    return opacity

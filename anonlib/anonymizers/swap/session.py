"""Replaces the faces of one file, frame after frame, and remembers who was drawn for which track."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from anonlib.anonymizers.swap.blend import Window, draw_face, paste
from anonlib.anonymizers.swap.head import HeadModel, HeadStyle
from anonlib.anonymizers.swap.mask import Masker, soft_mask
from anonlib.anonymizers.swap.model import MeshModel
from anonlib.anonymizers.swap.person import Person, context, draw_person
from anonlib.anonymizers.swap.render import fill_polygon
from anonlib.anonymizers.swap.smooth import MOST, Box, Memories
from anonlib.anonymizers.swap.state import read_state, turn
from anonlib.anonymizers.swap.veil import veil
from anonlib.detection.eyes import EyeLandmarks, eye_opening
from anonlib.detection.mesh import MeshLandmarks

T = TypeVar("T")

SURE, STILL_SURE = 0.8, 0.5
"""Smallest score of the mesh network at which its points are trusted: of a face that appears, and of one that
was seen in the frame before."""
MOST_AWAY, LEAST_SHARE, MOST_SHARE = 0.25, 0.2, 0.95
"""Of a trusted mesh: distance of its middle from that of the crop, and height, in sides of the crop."""
SMALLEST = 16.0
"""Smallest height in pixels of a face that is replaced; smaller ones are veiled."""
SURELY = 2.0
"""Logit below the usual limit at which a pixel counts as something in front of a veiled face."""
MOST_FRONT = 0.7
"""Largest share of a face that may be kept as what is in front of it. A mask that finds more is not trusted:
the face is veiled, and nothing in front of it is kept."""
ONE_EYE = 0.4
"""Yaw in radians from which only the near eye is measured."""
MOST_TURN, STILL_TURN = 0.7, 0.8
"""Largest yaw in radians of a face that is replaced: when it appears, and later."""


class SwapSession:
    """A `Session` of `swap`; a face whose points are not to be trusted is veiled."""

    def __init__(
        self,
        landmarks: MeshLandmarks,
        eyes: EyeLandmarks,
        masker: Masker,
        model: MeshModel,
        *,
        heads: HeadModel | None = None,
        enlarge: float,
        seed: int,
    ) -> None:
        """The person of a track depends on the seed, the track's number and the first picture's surroundings.

        Args:
            enlarge: the crops are the detector's boxes enlarged by this factor.
        """
        self.landmarks, self.eyes, self.masker, self.model = landmarks, eyes, masker, model
        self.heads, self.enlarge, self.seed = heads, enlarge, seed
        self.counts: Counter[str] = Counter()
        self._people: dict[int, Person] = {}
        self._styles: dict[int, HeadStyle] = {}
        self._memories = Memories()

    @torch.inference_mode()
    def replace(self, crops: list[Tensor], tracks: list[int], corners: list[tuple[int, int]]) -> list[Tensor]:
        """The crops `(3, h, w)` in [0, 1] with other people's faces; see `anonymizers.Session`."""
        self._memories.frame += 1
        memories = [self._memories.of(track) for track in tracks]
        offsets = [np.array([*corner, 0.0]) for corner in corners]
        starts = [
            self._expected(crop) if memory.last is None else torch.from_numpy(memory.last - offset).float()
            for crop, memory, offset in zip(crops, memories, offsets, strict=True)
        ]
        found, scores = self.landmarks(crops, starts)
        out = []
        for i, crop in enumerate(crops):
            known = memories[i].last is not None and memories[i].lost == 0
            sure = self._sure(found[i], float(scores[i]), crop, known=known)
            seen = found[i].numpy() + offsets[i] if sure else None
            smooth = memories[i].points(seen, Box.of(corners[i], *crop.shape[1:]))
            points = None if smooth is None else torch.from_numpy(smooth - offsets[i]).float()
            out.append(self._replaced(crop, tracks[i], points, strength=memories[i].strength))
        return out

    def _eyes(self, crop: Tensor, track: int, points: Tensor) -> Tensor:
        """The opening of both eyes `(1, 2)`, smoothed; of a turned head the near eye counts for both."""
        seen = eye_opening(self.eyes([crop], points[None])[0])[0]
        yaw = float(turn(read_state(points[None], self.model))[0, 0])
        if abs(yaw) > ONE_EYE:
            seen = seen[[0, 0] if yaw > 0 else [1, 1]]
        return torch.from_numpy(self._memories.of(track).eyes(seen.numpy())).float()[None]

    def _sure(self, points: Tensor, score: float, crop: Tensor, *, known: bool) -> bool:
        """Whether the points are trusted, and the face is large enough and not turned too far."""
        height = float(points[:, 1].max() - points[:, 1].min())
        if score < (STILL_SURE if known else SURE) or height < SMALLEST or not in_the_middle(points, crop):
            return False
        yaw = abs(float(turn(read_state(points[None], self.model))[0, 0]))
        return yaw <= (STILL_TURN if known else MOST_TURN)

    def _replaced(self, crop: Tensor, track: int, points: Tensor | None, *, strength: float) -> Tensor:
        """The crop with a new face. Unless it has its full strength, the old face is veiled below it."""
        base = crop if points is not None and strength == 1 else self._veiled(crop)
        new = None if points is None else self._drawn(crop, base, track, points)
        self.counts["swapped" if new is not None and strength >= 0.5 else "veiled"] += 1
        if new is None:
            return self._veiled(crop)
        return new if strength == 1 else base + strength * (new - base)

    def _drawn(self, crop: Tensor, base: Tensor, track: int, points: Tensor) -> Tensor | None:
        """`base` with a new face; None if the mask leaves too little of the face to be replaced."""
        window, heads = Window.around(points, crop), self.heads
        person, openings = self._person(crop, track, points), self._eyes(crop, track, points)
        whole = heads is not None
        face, opacity = draw_face(window, person, self.model, self.masker, openings=openings, head=whole)
        if heads is not None:
            head = heads.replace(base, points, self._style(heads, crop, track, points))
            return paste(head.crop, window, face, opacity, front=head.front)
        outline, (height, width) = window.points[self.model.oval, :2], window.picture.shape[1:]
        seen = opacity[0, fill_polygon(outline, height=height, width=width)]
        return paste(base, window, face, opacity) if float(seen.mean()) >= 1 - MOST_FRONT else None

    def _veiled(self, crop: Tensor) -> Tensor:
        """The crop with a filled face; what is surely in front of a frontal face in the box is kept."""
        points = self._expected(crop)
        logits = self.masker.logits([crop], [points])[0] + SURELY
        front = 1 - soft_mask(logits, points, (crop.shape[1], crop.shape[2]), edge=False)
        face = fill_polygon(points[self.model.oval, :2], height=crop.shape[1], width=crop.shape[2])
        keep = front[None] if float(front[0, face].mean()) <= MOST_FRONT else None
        return veil(crop[None], enlarge=self.enlarge, keep=keep)[0]

    def _expected(self, crop: Tensor) -> Tensor:
        """The points of a mean frontal face in the detector's box, in pixels of the crop."""
        height, width = crop.shape[1:]
        face = self.model.rest / (self.model.rest[:, 1].max() - self.model.rest[:, 1].min())
        return face * (height / self.enlarge) + torch.tensor([width / 2, height / 2, 0])

    def _person(self, crop: Tensor, track: int, points: Tensor) -> Person:
        """The person of this track; drawn when the face is new."""

        def draw(generator: np.random.Generator) -> Person:
            state = read_state(points[None], self.model)
            surroundings = context(crop, points[self.model.oval, :2], state)
            return draw_person(self.model, surroundings, generator)

        return self._kept(self._people, track, draw)

    def _style(self, heads: HeadModel, crop: Tensor, track: int, points: Tensor) -> HeadStyle:
        """Outline and hair of this track's person; drawn when the face is new."""

        def draw(generator: np.random.Generator) -> HeadStyle:
            seed = int(generator.integers(2**62))
            return heads.style(crop, points, torch.Generator().manual_seed(seed))

        return self._kept(self._styles, track, draw)

    def _kept(self, kept: dict[int, T], track: int, draw: Callable[[np.random.Generator], T]) -> T:
        """What was drawn for this track; drawn now if the face is new."""
        track = self._memories.person(track)
        value = kept.pop(track) if track in kept else draw(np.random.default_rng([self.seed, track]))
        kept[track] = value
        if len(kept) > MOST:
            del kept[next(iter(kept))]
        return value


def in_the_middle(points: Tensor, crop: Tensor) -> bool:
    """Whether a mesh `(468, 3)` can be that of the face in the middle of the crop `(3, h, w)`."""
    height, width = crop.shape[1:]
    low, high = points[:, :2].amin(0), points[:, :2].amax(0)
    away = ((low + high) / 2 / torch.tensor([width, height]) - 0.5).abs().max()
    share = float(high[1] - low[1]) / height
    return float(away) <= MOST_AWAY and LEAST_SHARE <= share <= MOST_SHARE

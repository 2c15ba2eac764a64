"""Replaces the faces of one file, frame after frame, and remembers who was drawn for which track."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers.sessions import Draw
from anonlib.anonymizers.swap.blend import COARSE, Sketch, Window, paste, small_size
from anonlib.anonymizers.swap.faces import Face, Job, Tile
from anonlib.anonymizers.swap.head import HeadModel, HeadStyle
from anonlib.anonymizers.swap.mask import Masker, free_share, soft_mask
from anonlib.anonymizers.swap.model import MeshModel
from anonlib.anonymizers.swap.person import Person, context, draw_person
from anonlib.anonymizers.swap.render import fill_polygon
from anonlib.anonymizers.swap.smooth import MOST, Array, Box, Memories, TrackMemory
from anonlib.anonymizers.swap.state import State, read_state, turn, with_eyes
from anonlib.anonymizers.swap.trust import trusted
from anonlib.anonymizers.swap.veil import veil
from anonlib.detection.eyes import EyeLandmarks, eye_opening
from anonlib.detection.mesh import MeshLandmarks

T = TypeVar("T")

SURELY = 2.0
"""Logit below the usual limit at which a pixel counts as something in front of a veiled face."""
MOST_FRONT = 0.7
"""Largest share of a face that may be kept as what is in front of it. A mask that finds more is not trusted:
the face is veiled, and nothing in front of it is kept."""
ALL_FREE = 0.95
"""A face of which at least this share is uncovered may be shown again in the next frame."""
ONE_EYE = 0.4
"""Yaw in radians from which only the near eye is measured."""


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
        self._tiles: dict[int, Tile] = {}

    def replace(self, crops: list[Tensor], tracks: list[int], corners: list[tuple[int, int]]) -> list[Tensor]:
        """The crops `(3, h, w)` in [0, 1] with other people's faces; see `anonymizers.Session`."""
        return self.read(crops, tracks, corners)()

    @torch.inference_mode()
    def read(self, crops: list[Tensor], tracks: list[int], corners: list[tuple[int, int]]) -> Draw:
        """Looks at the faces; what it returns draws them. See `anonymizers.sessions.TwoSteps`."""
        self._memories.frame += 1
        boxes = [Box.of(corner, *crop.shape[1:]) for crop, corner in zip(crops, corners, strict=True)]
        jobs: dict[int, Job] = {}
        rows: list[int] = []
        for i, crop in enumerate(crops):
            waits = tracks[i] in [tracks[row] for row in rows]
            again = None if waits else self._again(crop, tracks[i], corners[i], boxes[i])
            if again is None:
                rows.append(i)
            else:
                jobs[i] = again
        if rows:
            chosen = [(crops[i], tracks[i], corners[i], boxes[i]) for i in rows]
            jobs |= dict(zip(rows, self._looked(chosen), strict=True))
        self._tiles = {track: self._tiles[track] for track in tracks if track in self._tiles}
        return partial(self._draw, [jobs[i] for i in range(len(crops))])

    @torch.inference_mode()
    def _draw(self, jobs: list[Job]) -> list[Tensor]:
        """The crops with their new faces. Here nothing of the session is used that `read` changes."""
        return [self._drawn(job) for job in jobs]

    def _again(self, crop: Tensor, track: int, corner: tuple[int, int], box: Box) -> Job | None:
        """The face that was last drawn, moved with its box; None if that is not possible.

        Nothing may be in front of the face, because what is in front may move in another way.
        """
        memory, tile = self._memories.of(track), self._tiles.get(track)
        shift = memory.step(box)
        if tile is None or shift is None:
            return None
        x0, y0, x1, y1 = (v + shift[k % 2] - corner[k % 2] for k, v in enumerate(tile.corners))
        if min(x0, y0) < 0 or x1 > crop.shape[2] or y1 > crop.shape[1]:
            return None
        memory.follow(shift, box)
        moved = (x0 + corner[0], y0 + corner[1], x1 + corner[0], y1 + corner[1])
        self._tiles[track] = Tile(moved, tile.sketch)
        return Job(crop, sketch=tile.sketch, corners=(x0, y0, x1, y1))

    def _looked(self, chosen: list[tuple[Tensor, int, tuple[int, int], Box]]) -> list[Job]:
        """What is drawn for faces that are looked at; each is given with its crop, track, corner and box."""
        crops, tracks, corners, boxes = (list(column) for column in zip(*chosen, strict=True))
        memories = [self._memories.of(track) for track in tracks]
        offsets = [np.array([*corner, 0.0]) for corner in corners]
        rest = [memory.rests for memory in memories]
        seen = self._seen(crops, memories, offsets, rest)
        points: list[Tensor | None] = []
        strengths = []
        for i, memory in enumerate(memories):
            smooth = None if rest[i] else memory.points(seen.get(i), boxes[i])
            points.append(None if smooth is None else torch.from_numpy(smooth - offsets[i]).float())
            strengths.append(memory.strength)
        faces = self._faces(crops, memories, points)
        jobs = []
        for i, track in enumerate(tracks):
            self._tiles.pop(track, None)
            jobs.append(self._job(crops[i], track, corners[i], faces[i], strengths[i]))
        return jobs

    def _seen(
        self, crops: list[Tensor], memories: list[TrackMemory], offsets: list[Array], rest: list[bool]
    ) -> dict[int, Array]:
        """The points, in pixels of the frame, of the faces that do not rest and whose points are trusted."""
        rows = [i for i in range(len(crops)) if not rest[i]]
        if not rows:
            return {}
        starts = [
            self._expected(crops[i]) if last is None else torch.from_numpy(last - offsets[i]).float()
            for i, last in ((i, memories[i].last) for i in rows)
        ]
        found, scores = self.landmarks([crops[i] for i in rows], starts)
        yaws = turn(read_state(found, self.model))[:, 0].abs().tolist()
        return {
            i: points.numpy() + offsets[i]
            for i, points, score, yaw in zip(rows, found, scores.tolist(), yaws, strict=True)
            if trusted(points, score, yaw, crops[i], known=memories[i].is_known)
        }

    def _faces(
        self, crops: list[Tensor], memories: list[TrackMemory], points: list[Tensor | None]
    ) -> list[Face | None]:
        """What is needed to draw each face; None where its points are not known."""
        known = {i: each for i, each in enumerate(points) if each is not None}
        if not known:
            return [None] * len(crops)
        windows = [Window.around(each, crops[i]) for i, each in known.items()]
        meshes = torch.stack([window.points for window in windows])
        logits = self.masker.logits([window.picture for window in windows], [*meshes])
        states = read_state(meshes, self.model)
        openings = self._eyes(crops, memories, known, turn(states)[:, 0].tolist())
        states = with_eyes(states, openings, self.model)
        rows = zip(*(part.split(1) for part in states), strict=True)
        parts = zip(known.values(), windows, (State(*row) for row in rows), logits, strict=True)
        faces = dict(zip(known, (Face(*part) for part in parts), strict=True))
        return [faces.get(i) for i in range(len(crops))]

    def _eyes(
        self, crops: list[Tensor], memories: list[TrackMemory], points: dict[int, Tensor], yaws: list[float]
    ) -> Tensor:
        """The opening of both eyes `(n, 2)`, smoothed. On a turned head the near eye stands for both."""
        meshes = torch.stack([*points.values()])
        openings = eye_opening(self.eyes([crops[i] for i in points], meshes))
        smooth = []
        for i, seen, yaw in zip(points, openings, yaws, strict=True):
            if abs(yaw) > ONE_EYE:
                seen = seen[[0, 0] if yaw > 0 else [1, 1]]
            smooth.append(memories[i].eyes(seen.numpy()))
        return torch.from_numpy(np.stack(smooth)).float()

    def _job(
        self, crop: Tensor, track: int, corner: tuple[int, int], face: Face | None, strength: float
    ) -> Job:
        """A new face, or a veil if there is none. Under a partly transparent new face the old one is veiled.

        There is no new face if the mask leaves too little of the old one to be replaced.
        """
        job = Job(crop, strength=strength) if face is None else self._new(crop, track, corner, face, strength)
        if job.sketch is None or strength < 1:
            job = job._replace(veil=self._before(crop))
        return job

    def _new(self, crop: Tensor, track: int, corner: tuple[int, int], face: Face, strength: float) -> Job:
        points, window, state, logits = face
        person, heads = self._person(crop, track, points), self.heads
        sketch = Sketch(
            window=window, person=person, model=self.model, state=state, logits=logits, head=heads is not None
        )
        job = Job(crop, sketch=sketch, corners=window.corners, strength=strength)
        if heads is not None:
            return job._replace(points=points, style=self._style(heads, crop, track, points))
        free = free_share(logits, window.points)
        if free < 1 - MOST_FRONT:
            return job._replace(sketch=None)
        if free >= ALL_FREE:
            x0, y0, x1, y1 = (v + corner[k % 2] for k, v in enumerate(window.corners))
            self._tiles[track] = Tile((x0, y0, x1, y1), sketch)
        return job

    def _drawn(self, job: Job) -> Tensor:
        """The crop with a new face, or with a veil."""
        base = job.crop if job.veil is None else self._veiled(job.crop, job.veil)
        swapped = job.sketch is not None and job.strength >= 0.5
        self.counts["swapped" if swapped else "veiled"] += 1
        if job.sketch is None:
            return base
        if self.heads is None or job.points is None or job.style is None:
            new = paste(base, job.corners, job.sketch.drawn)
        else:
            head = self.heads.replace(base, job.points, job.style)
            new = paste(head.crop, job.corners, job.sketch.drawn, front=head.front)
        return new if job.strength == 1 else base + job.strength * (new - base)

    def _before(self, crop: Tensor) -> Tensor:
        """What is in front of a frontal face in the box, as logits `(1, 96, 96)`."""
        return self.masker.logits([crop], [self._expected(crop)])[0]

    def _veiled(self, crop: Tensor, logits: Tensor) -> Tensor:
        """The crop with a filled face; what is surely in front of a frontal face in the box is kept."""
        height, width = small_size(crop.shape[1], crop.shape[2], COARSE)
        points = self._expected(crop) * (height / crop.shape[1])
        front = 1 - soft_mask(logits + SURELY, points, (height, width), edge=False)
        face = fill_polygon(points[self.model.oval, :2], height=height, width=width)
        few = float(front[0, face].mean()) <= MOST_FRONT
        keep = F.interpolate(front[None], crop.shape[1:], mode="bilinear") if few else None
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

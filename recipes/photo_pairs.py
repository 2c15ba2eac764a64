"""Pairs for M-state on photographs: training photographs, and the same with the face of a code.

`swap` draws the second face. It needs 15 ms for a face; M-state learns to draw as it does from the picture
without the face, eight numbers of state and the code.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from anonlib.anonymizers.swap.blend import Sketch, Window, paste
from anonlib.anonymizers.swap.mask import Masker, soft_mask
from anonlib.anonymizers.swap.model import MeshModel
from anonlib.anonymizers.swap.person import context, person_of
from anonlib.anonymizers.swap.render import fill_polygon
from anonlib.anonymizers.swap.state import State, read_state, turn
from anonlib.data.images import read_image
from anonlib.detection.eyes import EyeLandmarks, eye_opening
from anonlib.geometry import warp_affine
from anonlib.networks.state_modifier import CODE
from anonlib.world.faces import to_bytes
from anonlib.world.pairs import RedrawnPairs
from recipes.attacked_pictures import Index, five_landmarks, moved

SIDE, FINE = 128, 2
"""Side of the crops, and how much larger they are drawn."""
EXTENT = 1.7
"""Mean side of a crop in heights of the face. A detector's box, enlarged 1.6 times, is about as large."""
MOST_TURN, MOST_FRONT = 0.75, 0.6
"""Faces that are turned further, in radians, or covered more, are left out."""
BORDER = 100
"""Pixels around a picture in which its border is repeated."""


class PhotoPairs:
    """Draws pairs from the pictures of an `Index`."""

    def __init__(self, index: Index) -> None:
        self.index, self.model = index, MeshModel.load()
        self.eyes, self.masker = EyeLandmarks(), Masker()

    def all(self, *, copies: int, seed: int) -> tuple[RedrawnPairs, Tensor]:
        """Pairs of all pictures, each cut out so many times in another way, with another new face.

        Also returns the row of each pair in the index, `(N,)`.
        """
        rows = [(row, copy) for copy in range(copies) for row in range(len(self.index.files))]
        made = [self.pair(row, [seed, copy, row]) for row, copy in tqdm(rows, desc="pairs")]
        kept = [pair for pair in made if pair is not None]
        chosen = [row for (row, _), pair in zip(rows, made, strict=True) if pair is not None]
        columns = {name: torch.stack([pair[name] for pair in kept]) for name in kept[0]}
        return RedrawnPairs(**columns), torch.tensor(chosen)

    def pair(self, row: int, seed: list[int]) -> dict[str, Tensor] | None:
        """The fields of `RedrawnPairs` for one picture, or None if its face is turned too far or covered."""
        generator = np.random.default_rng(seed)
        picture = read_image(Path(self.index.files[row])).float()[None] / 255
        back = np.linalg.inv(np.vstack([self.index.place[row], [0, 0, 1]]))[:2].astype(np.float32)
        mesh = torch.from_numpy(self.index.points[row].copy())
        mesh[:, :2] = torch.from_numpy(moved(mesh[:, :2].numpy(), back))
        mesh[:, 2] *= float(np.hypot(*back[0, :2]))
        matrix = random_view(mesh, generator)
        crop = cut(picture, matrix)
        points = torch.cat(
            [mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2], mesh[:, 2:] * matrix[0, :2].norm()], 1
        )
        state = read_state(points[None], self.model)
        if abs(float(turn(state)[0, 0])) > MOST_TURN:
            return None
        code = torch.from_numpy(generator.standard_normal(CODE)).float().clamp(-2, 2)
        return self._drawn(crop, points, state, code)

    def _drawn(self, crop: Tensor, points: Tensor, state: State, code: Tensor) -> dict[str, Tensor] | None:
        outline = points[self.model.oval, :2]
        skin = torch.zeros(len(self.model.looks))
        shapes = len(self.model.shapes)
        skin[: CODE - shapes] = code[shapes:]
        around = context(crop, outline, state)
        person = person_of(self.model, around, shape=code[:shapes], skin=skin)
        openings = eye_opening(self.eyes([crop], points[None]))
        window = Window.around(points, crop)
        seen = read_state(window.points[None], self.model, openings=openings)
        logits = self.masker.logits([crop], [points])[0]
        new = Sketch(window=window, person=person, model=self.model, state=seen, logits=logits).drawn
        face = fill_polygon(outline, height=crop.shape[1], width=crop.shape[2])[None].float()
        front = face * (1 - soft_mask(logits, points, (crop.shape[1], crop.shape[2]), edge=False))
        if float(front.sum() / face.sum().clamp(min=1)) > MOST_FRONT:
            return None
        planes = {"images": crop, "redrawn": paste(crop, window.corners, new), "head": face, "front": front}
        five = five_landmarks(points[:, :2].numpy()) / FINE
        return {
            **{name: to_bytes(F.avg_pool2d(plane[None], FINE)[0]) for name, plane in planes.items()},
            "state": torch.cat(
                [turn(state)[0], expression(state, self.model), light(crop, face * (1 - front))]
            ),
            "codes": code,
            "landmarks": five,
            "redrawn_landmarks": five,
        }


def random_view(mesh: Tensor, generator: np.random.Generator) -> Tensor:
    """From pixels of the picture to those of a crop, `(2, 3)`: with other size, place and roll each time."""
    low, high = mesh[:, :2].amin(0), mesh[:, :2].amax(0)
    side = EXTENT * float((high - low).max()) * math.exp(0.12 * generator.standard_normal())
    eyes = mesh[263, :2] - mesh[33, :2]
    roll = math.atan2(float(eyes[1]), float(eyes[0])) if generator.random() < 0.5 else 0.0
    roll += 0.08 * generator.standard_normal()
    cos, sin = math.cos(roll), math.sin(roll)
    linear = torch.tensor([[cos, sin], [-sin, cos]]) * (FINE * SIDE / side)
    centre = (low + high) / 2 + 0.04 * side * torch.from_numpy(generator.standard_normal(2)).float()
    return torch.cat([linear, (FINE * SIDE / 2 - linear @ centre)[:, None]], 1)


def cut(picture: Tensor, matrix: Tensor) -> Tensor:
    """The crop `(3, 256, 256)` of a picture `(1, 3, H, W)`; beyond it, its border is repeated."""
    linear, shift = matrix[:, :2], matrix[:, 2]
    moved_in = torch.cat([linear, (shift - BORDER * linear.sum(1))[:, None]], 1)
    wide = F.pad(picture, [BORDER] * 4, mode="replicate")
    return warp_affine(wide, moved_in[None], (FINE * SIDE, FINE * SIDE))[0]


def expression(state: State, model: MeshModel) -> Tensor:
    """How far the mouth is open, and how much it smiles, `(2,)`."""
    measures = state.expression[0] / model.spread
    return torch.stack([measures[0], (measures[1] + measures[2]) / 2])


def light(crop: Tensor, face: Tensor) -> Tensor:
    """Light from the right, from above, and brightness of a face, `(3,)`: slopes and mean of log luma."""
    luma = (crop.mean(0) + 0.03).log()
    weight = face[0] / face.sum().clamp(min=1)
    line = torch.linspace(-1, 1, crop.shape[-1])
    found = []
    mean = (luma * weight).sum()
    for place in (line[None, :], -line[:, None]):
        away = (place - (place * weight).sum()) * weight
        found.append(((luma - mean) * away).sum() / (away * place).sum().clamp(min=1e-4))
    return torch.stack([*found, mean])


def standardised(pairs: RedrawnPairs, mean: Tensor, spread: Tensor) -> RedrawnPairs:
    """The pairs with states in standard deviations."""
    return replace(pairs, state=(pairs.state - mean) / spread)

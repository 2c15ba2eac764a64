"""CIAGAN as an anonymizer: every face becomes one of the people that the generator was trained on."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from anonlib.anonymizers.conditions import FindPoints, conditions_of, into_picture
from anonlib.anonymizers.handcrafted import blur
from anonlib.anonymizers.m_state import DIVERGED
from anonlib.anonymizers.sessions import face_seed
from anonlib.assets import data_path, load_weights
from anonlib.config import CiaganConfig
from anonlib.detection.mesh import PRESENT, MeshLandmarks
from anonlib.errors import CheckpointError, ConfigError, NumericError
from anonlib.networks.ciagan import CiaganGenerator

VEIL = 4
"""Cells a side to which a crop is blurred in which no mesh is found."""


class CiaganAnonymizer:
    """The face is cut out, and the generator draws a training person in its pose into the hole.

    The training people are drawn; they do not exist. Where no mesh is found, the whole crop is blurred.
    Implements the use of CIAGAN (Maximov et al., CVPR 2020). Differs from the paper: each face, or each track
    of a session, gets a random person; the public code takes the one after its own label.
    """

    def __init__(
        self, generator: CiaganGenerator, *, find: FindPoints | None = None, seed: int | None = None
    ) -> None:
        """The seed and the pixels of a face decide who is drawn; without a seed nobody can tell who."""
        self.generator, self.find = generator.eval(), find or MeshLandmarks()
        self.given_seed = seed
        self.seed = secrets.randbits(63) if seed is None else seed

    def __call__(self, faces: Tensor) -> Tensor:
        """Modified faces, `(B, 3, H, W)` in [0, 1] to the same; NumericError if the generator diverged."""
        return torch.stack(self.redraw(list(faces), [self.person_for(face) for face in faces])[0])

    def session(self, seed: int | None = None) -> CiaganSession:
        """What anonymizes one file; see `anonlib.anonymizers.Session`."""
        chosen = self.given_seed if seed is None else seed
        return CiaganSession(CiaganAnonymizer(self.generator, find=self.find, seed=chosen))

    def person_for(self, face: Tensor) -> int:
        """The training person who is drawn for a face that belongs to no track yet."""
        return face_seed(face, self.seed) % self.generator.config.people

    @torch.no_grad()
    def redraw(self, crops: Sequence[Tensor], people: Sequence[int]) -> tuple[list[Tensor], list[bool]]:
        """Crops `(3, h, w)` with the faces of these people, and in which of them a face was found."""
        points, scores = self.find([crop.cpu() for crop in crops])
        out, found = [], [bool(score >= PRESENT) for score in scores]
        for index, (crop, person) in enumerate(zip(crops, people, strict=True)):
            if not found[index]:
                out.append(blur(crop[None], grid=VEIL)[0])
                continue
            layer = self.layer(crop, points[index], person)
            if not bool(torch.isfinite(layer).all()):
                raise NumericError(DIVERGED.format(index))
            out.append(torch.lerp(crop, layer[:3], layer[3:]))
        return out, found

    def layer(self, crop: Tensor, points: Tensor, person: int) -> Tensor:
        """What is laid over a crop: `(4, h, w)` in [0, 1], colours and opacity."""
        device = next(self.generator.parameters()).device
        window, conditions = conditions_of(crop.cpu(), points)
        seen = conditions.seen(face=self.generator.config.face).to(device)
        wanted = torch.tensor([person], device=device)
        drawn = self.generator(seen, wanted).clamp(0, 1).to(crop)
        layer = torch.cat([drawn, conditions.masks.to(crop)], 1)
        return into_picture(layer, window, (crop.shape[1], crop.shape[2]))


class CiaganSession:
    """CIAGAN for one file: each track is one person."""

    def __init__(self, method: CiaganAnonymizer) -> None:
        self.method = method
        self.counts: Counter[str] = Counter()
        self.people: dict[int, int] = {}

    def replace(self, crops: list[Tensor], tracks: list[int], corners: list[tuple[int, int]]) -> list[Tensor]:
        """See `anonlib.anonymizers.Session.replace`."""
        for crop, track in zip(crops, tracks, strict=True):
            self.people.setdefault(track, self.method.person_for(crop))
        out, found = self.method.redraw(crops, [self.people[track] for track in tracks])
        self.counts.update("redrawn" if each else "veiled" for each in found)
        return out


def load_ciagan(
    path: Path | None = None, *, device: str = "cpu", seed: int | None = None
) -> CiaganAnonymizer:
    """The anonymizer with the weights of a file of `recipes/train_ciagan.py`, the shipped ones by default.

    Raises:
        FaceDatasetError: the shipped weights are missing.
        CheckpointError: the file is missing, damaged or of another network.
    """
    path = path or data_path("weights", "ciagan.safetensors")
    tensors, config = load_weights(path)
    try:
        generator = CiaganGenerator(CiaganConfig(**config))
        generator.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (TypeError, RuntimeError, ConfigError) as error:
        raise CheckpointError(
            f"weights {path} do not fit CIAGAN's generator: use a file of recipes/train_ciagan.py"
        ) from error
    return CiaganAnonymizer(generator.to(device), find=MeshLandmarks(device=device), seed=seed)

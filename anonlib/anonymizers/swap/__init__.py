"""`swap`: each face is replaced by the face of a person who does not exist.

An image-to-image network hides the original in its output, even if the output looks like somebody
else. So the person is removed first, and only a few numbers pass to the new face. The steps:

    detection.MeshLandmarks   468 points of the face
    state                     turn, place and expression: 14 numbers
    person                    a random person, one for each track
    render                    this person's face in that state
    mask, light, blend        where it goes, in the light of the picture
    head                      with extent `head`: other hair, ears and neck, before the face is drawn
    veil                      what happens where the points are not to be trusted
    session, smooth           one file: who was drawn for which track, and points smoothed in time
"""

from __future__ import annotations

import secrets
from pathlib import Path

import torch
from torch import Tensor

from anonlib.anonymizers.sessions import face_seed
from anonlib.anonymizers.swap.head import HeadModel, heads_file
from anonlib.anonymizers.swap.mask import Masker
from anonlib.anonymizers.swap.model import MeshModel, mesh_model_file
from anonlib.anonymizers.swap.session import SwapSession
from anonlib.assets import data_path
from anonlib.detection.eyes import EyeLandmarks
from anonlib.detection.mesh import MeshLandmarks

ENLARGE = {"face": 2.0, "head": 3.0}
"""The crop of each extent, in multiples of the detector's box."""
NETWORKS = ("face-mesh", "eye-mesh", "skin")
"""The shipped networks that `swap` reads."""


def files(extent: str) -> list[Path]:
    """The shipped files that `swap` reads with this extent."""
    networks = [data_path("weights", f"{name}.safetensors") for name in NETWORKS]
    return [*networks, mesh_model_file(), *([heads_file()] if extent == "head" else [])]


class Swap:
    """The method `swap`. In a plain call the seed and the pixels of a face decide which new person it shows.

    Differs from the paper: the paper's M sees the face. Here a new face is drawn from numbers.
    """

    def __init__(self, *, extent: str = "face", device: str = "cpu", seed: int | None = None) -> None:
        """Loads the networks and the mesh model. Without a seed all people are random.

        Raises:
            CheckpointError: a shipped file is damaged.
            FaceDatasetError: a shipped file is missing.
        """
        self.extent, self.enlarge, self.seed = extent, ENLARGE[extent], seed
        self.model = MeshModel.load()
        self.landmarks, self.eyes = MeshLandmarks(device=device), EyeLandmarks(device=device)
        self.masker = Masker()
        self.heads = HeadModel.load() if extent == "head" else None

    def __call__(self, faces: Tensor) -> Tensor:
        """Crops `(B, 3, H, W)` in [0, 1], each with a face in the middle, to the same with other people."""
        return torch.stack([self._replaced(face) for face in faces]) if len(faces) else faces.clone()

    def _replaced(self, face: Tensor) -> Tensor:
        seed = None if self.seed is None else face_seed(face, self.seed)
        return self.session(seed).replace([face], [0], [(0, 0)])[0]

    def session(self, seed: int | None = None) -> SwapSession:
        """A session for one file, with people of its own; random people without a seed."""
        seed = secrets.randbits(63) if seed is None else seed
        networks = self.landmarks, self.eyes, self.masker
        return SwapSession(*networks, self.model, heads=self.heads, enlarge=self.enlarge, seed=seed)

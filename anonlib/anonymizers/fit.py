"""The password-conditioned transformer as an anonymizer: a password makes another face, and undoes it."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from copy import copy
from hashlib import blake2b
from pathlib import Path

import torch
from torch import Tensor

from anonlib.anonymizers.ciagan import VEIL
from anonlib.anonymizers.conditions import FindPoints
from anonlib.anonymizers.handcrafted import blur
from anonlib.anonymizers.m_state import DIVERGED
from anonlib.anonymizers.sessions import face_seed
from anonlib.assets import data_path, load_weights
from anonlib.config import FitConfig
from anonlib.detection.mesh import PRESENT, MeshLandmarks
from anonlib.errors import CheckpointError, ConfigError, NumericError
from anonlib.geometry import resize
from anonlib.networks.fit import SIZE, FaceTransformer


def password_bits(password: str, bits: int) -> Tensor:
    """The `(bits,)` of -1 and 1 that stand for a text: the first bits of its BLAKE2b digest.

    Few bits protect nothing: whoever has T tries them all.

    >>> password_bits("open sesame", 8).tolist() == password_bits("open sesame", 8).tolist()
    True
    """
    number = int.from_bytes(blake2b(password.encode(), digest_size=8).digest(), "little")
    return _as_bits(number, bits)


def _as_bits(number: int, bits: int) -> Tensor:
    return torch.tensor([1.0 if number >> place & 1 else -1.0 for place in range(bits)])


class FitAnonymizer:
    """T(crop, p) for every face; with `recover`, T(crop, -p), which shows the original again.

    Where no mesh is found, the whole crop is blurred, which nothing undoes. Implements the use of FIT (Gu et
    al., ECCV 2020). Differs from the paper: the password is a text, of which the network sees a few bits.
    """

    def __init__(
        self,
        transformer: FaceTransformer,
        *,
        find: FindPoints | None,
        password: str | None = None,
        recover: bool = False,
        seed: int | None = None,
    ) -> None:
        """Without a password each face gets a random one, which the seed and its pixels decide.

        Args:
            find: finds meshes; None gives every crop to T, whatever it shows.

        Raises:
            ConfigError: the password is empty, or nothing can be recovered because there is none.
        """
        if password == "" or (recover and password is None):
            raise ConfigError(
                "the password is missing or empty: give the one with which the faces were hidden"
            )
        self.transformer, self.find = transformer.eval(), find
        self.bits = transformer.config.bits
        self.password = None if password is None else password_bits(password, self.bits)
        self.recover, self.given_seed = recover, seed
        self.seed = secrets.randbits(63) if seed is None else seed

    def __call__(self, faces: Tensor) -> Tensor:
        """Modified faces, `(B, 3, H, W)` in [0, 1] to the same; NumericError if T diverged."""
        return torch.stack(self.transform(list(faces))[0])

    def session(self, seed: int | None = None) -> FitSession:
        """What treats one file; see `anonlib.anonymizers.Session`."""
        other = copy(self)
        chosen = self.given_seed if seed is None else seed
        other.seed = secrets.randbits(63) if chosen is None else chosen
        return FitSession(other)

    def password_for(self, face: Tensor) -> Tensor:
        """The bits `(bits,)` that T gets for a face `(3, h, w)`."""
        if self.password is None:
            return _as_bits(face_seed(face, self.seed), self.bits)
        return -self.password if self.recover else self.password

    @torch.no_grad()
    def transform(self, crops: Sequence[Tensor]) -> tuple[list[Tensor], list[bool]]:
        """Crops `(3, h, w)` with other faces, and which of them were given to T."""
        seen = [True] * len(crops)
        if self.find is not None:
            seen = [bool(s >= PRESENT) for s in self.find([crop.cpu() for crop in crops])[1]]
        out = [
            crop if there else blur(crop[None], grid=VEIL)[0] for crop, there in zip(crops, seen, strict=True)
        ]
        device = next(self.transformer.parameters()).device
        for index, crop in enumerate(crops):
            if seen[index]:
                small = resize(crop[None], (SIZE, SIZE)).to(device)
                made = self.transformer(small, self.password_for(crop)[None].to(device)).to(crop)
                if not bool(torch.isfinite(made).all()):
                    raise NumericError(DIVERGED.format(index))
                out[index] = resize(made, crop.shape[1:])[0].clamp(0, 1)
        return out, seen


class FitSession:
    """FIT for one file."""

    def __init__(self, method: FitAnonymizer) -> None:
        self.method = method
        self.counts: Counter[str] = Counter()

    def replace(self, crops: list[Tensor], tracks: list[int], corners: list[tuple[int, int]]) -> list[Tensor]:
        """See `anonlib.anonymizers.Session.replace`."""
        out, seen = self.method.transform(crops)
        word = "recovered" if self.method.recover else "transformed"
        self.counts.update(word if each else "veiled" for each in seen)
        return out


def load_fit(
    path: Path | None = None,
    *,
    password: str | None = None,
    recover: bool = False,
    device: str = "cpu",
    seed: int | None = None,
) -> FitAnonymizer:
    """The anonymizer with the weights of a file of `recipes/train_fit.py`, the shipped ones by default.

    Raises:
        FaceDatasetError: the shipped weights are missing.
        CheckpointError: the file is missing, damaged or of another network.
        ConfigError: see `FitAnonymizer`.
    """
    path = path or data_path("weights", "fit.safetensors")
    tensors, config = load_weights(path)
    try:
        transformer = FaceTransformer(FitConfig(**config))
        transformer.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (TypeError, RuntimeError, ConfigError) as error:
        raise CheckpointError(
            f"weights {path} do not fit FIT's transformer: use a file of recipes/train_fit.py"
        ) from error
    find = None if recover else MeshLandmarks(device=device)  # what T made need not have a mesh
    return FitAnonymizer(transformer.to(device), find=find, password=password, recover=recover, seed=seed)

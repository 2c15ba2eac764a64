"""What may be chosen for a run, with the defaults."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from anonlib import anonymizers, detection
from anonlib.assets import data_path
from anonlib.config import ENLARGE
from anonlib.detection import Faces
from anonlib.errors import ConfigError, FaceDatasetError

DEVICES = ("auto", "cpu", "cuda")
PREVIEW_SECONDS = 3.0
"""How much of a video `preview` anonymizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How faces are found and hidden, and what else is kept.

    >>> Settings(every=0)
    Traceback (most recent call last):
    anonlib.errors.ConfigError: every 0: use 1 to look for faces in each frame, or more
    """

    method: str = "modifier-lite"
    """What hides a face, see `anonlib.anonymizers.names`."""
    detector: str = "ssh"
    """What finds faces, see `anonlib.detection.names`."""
    device: str = "auto"
    """Where the networks run: auto (a GPU if one is there), cpu or cuda."""
    every: int = 2
    """Faces are looked for in each so-many-th frame and followed between."""
    enlarge: float = ENLARGE
    """How much larger than the face the region is that is replaced."""
    hold: bool = False
    """Whether frames in which a face may be lost become a few coarse blocks of colour."""
    audio: bool = True
    """Whether sound is kept."""
    keep_metadata: bool = False
    """Whether titles, places, dates and subtitles are kept; embedded pictures never are."""
    overwrite: bool = False
    """Whether an output that exists is replaced."""
    preview: bool = False
    """Whether only the first seconds, of the first file, are anonymized."""

    def __post_init__(self) -> None:
        """Refuse what cannot be or would hide nobody."""
        if self.method == "unanonymized":
            raise ConfigError("method 'unanonymized' hides nobody: choose another")
        if self.device not in DEVICES:
            raise ConfigError(f"device '{self.device}': use one of {', '.join(DEVICES)}")
        if self.every < 1:
            raise ConfigError(f"every {self.every}: use 1 to look for faces in each frame, or more")
        if not 1 <= self.enlarge <= 10:
            raise ConfigError(f"mask scale {self.enlarge:g}: use 1 to 10; the paper uses {ENLARGE}")


_MTCNN = ("pnet.pt", "rnet.pt", "onet.pt")
_SHIPPED = {"ssh": "face-detector", "cascade": "face-detector"}
"""Names in `data/weights` of what is not called like the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What finds faces and what hides them, ready for many files."""

    detector: Callable[[Tensor], list[Faces]]
    """Frames `(B, 3, H, W)` in [0, 1] to the faces of each."""
    anonymizer: Callable[[Tensor], Tensor]
    """Faces `(N, 3, h, w)` in [0, 1] to the same shape."""
    hashes: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file of weights, by its name."""


def load_models(settings: Settings) -> Models:
    """The models that the settings name.

    Raises:
        ConfigError: a name is unknown, or there is no GPU for device `cuda`.
        CheckpointError: weights are missing or damaged.
    """
    device = place(settings.device)
    return Models(
        detector=detection.create(settings.detector, device=device, unsure=True),
        anonymizer=anonymizers.create(settings.method, device=device),
        hashes={**weight_hashes(settings.detector), **weight_hashes(settings.method)},
    )


def place(device: str) -> str:
    """The device that `auto`, `cpu` or `cuda` stands for here.

    >>> place("cpu")
    'cpu'
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device 'cuda': PyTorch finds no NVIDIA GPU here; use --device cpu")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def weight_hashes(name: str) -> dict[str, str]:
    """SHA-256 of the files that a detector or a method reads; none for the hand-crafted.

    >>> weight_hashes("mask")
    {}
    >>> list(weight_hashes("mtcnn"))
    ['pnet.pt', 'rnet.pt', 'onet.pt']
    """
    files = _mtcnn_files() if name in ("mtcnn", "cascade") else []
    files += _shipped_files(_SHIPPED.get(name, name))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _mtcnn_files() -> list[Path]:
    import facenet_pytorch

    folder = Path(facenet_pytorch.__file__).parent / "data"
    return [folder / name for name in _MTCNN if (folder / name).is_file()]


def _shipped_files(name: str) -> list[Path]:
    try:
        folder = data_path("weights")
    except FaceDatasetError:
        return []
    return sorted(folder.glob(f"{name}.safetensors"))

"""Faces in frames: where they are, how sure the detector is, five landmarks each, who is missed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from anonlib.detection.cascade import CascadeDetector
from anonlib.detection.matching import face_precision_recall, false_finds, missed_faces
from anonlib.detection.mtcnn import Faces, MtcnnDetector
from anonlib.detection.ssh import SshDetector, fast_ssh
from anonlib.errors import ConfigError

__all__ = [
    "CascadeDetector",
    "Detector",
    "Faces",
    "MtcnnDetector",
    "SshDetector",
    "create",
    "face_precision_recall",
    "false_finds",
    "missed_faces",
    "names",
]

Detector = Callable[[Tensor], list[Faces]]
"""Frames `(B, 3, H, W)` in [0, 1] to the faces of each."""

UNSURE = 0.3
"""Score from which SSH's finds go on with a face that is already followed."""

_DETECTORS: dict[str, Callable[..., Detector]] = {
    "ssh": SshDetector,
    "cascade": CascadeDetector,
    "mtcnn": MtcnnDetector,
}


def names() -> tuple[str, ...]:
    """Every detector, the fastest first.

    >>> names()
    ('ssh', 'cascade', 'mtcnn')
    """
    return tuple(_DETECTORS)


def create(name: str, *, device: str = "cpu", unsure: bool = False) -> Detector:
    """The detector of that name, with its own default thresholds.

    Args:
        name: one of `names()`.
        device: where its networks run.
        unsure: whether SSH also tells of faces it is not sure of, from 0.3 on: a tracker goes on
            with them and begins with none.

    Raises:
        ConfigError: no detector has that name.
        CheckpointError: its weights are missing or damaged.
    """
    if name not in _DETECTORS:
        raise ConfigError(f"detector '{name}' is unknown: use one of {', '.join(names())}")
    options: dict[str, Any] = {} if name == "mtcnn" else {"network": fast_ssh(device=device)}
    if unsure and name == "ssh":
        options["threshold"] = UNSURE
    return _DETECTORS[name](device=device, **options)

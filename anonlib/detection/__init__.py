"""Finding faces in frames: four detectors, five landmarks a face, tracking, and detection errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from anonlib.detection.cascade import CascadeDetector as CascadeDetector
from anonlib.detection.center import CenterFaceDetector as CenterFaceDetector
from anonlib.detection.faces import (
    Faces as Faces,
    face_precision_recall as face_precision_recall,
    false_finds as false_finds,
    missed_faces as missed_faces,
)
from anonlib.detection.mtcnn import MtcnnDetector as MtcnnDetector
from anonlib.detection.search import fast
from anonlib.detection.ssh import SshDetector as SshDetector, load_ssh
from anonlib.errors import ConfigError
from anonlib.networks.center_face import load_center_face

Detector = Callable[[Tensor], list[Faces]]
"""Maps frames `(B, 3, H, W)` in [0, 1] to the faces of each, on the CPU."""

UNSURE = 0.3
"""Smallest score of CenterFace or SSH for a face that the tracker already follows."""

_DETECTORS: dict[str, Callable[..., Detector]] = {
    "centerface": CenterFaceDetector,
    "ssh": SshDetector,
    "cascade": CascadeDetector,
    "mtcnn": MtcnnDetector,
}


def names() -> tuple[str, ...]:
    """Every detector, the default of `anonlib anonymize` first.

    >>> names()
    ('centerface', 'ssh', 'cascade', 'mtcnn')
    """
    return tuple(_DETECTORS)


def create(name: str, *, device: str = "cpu", unsure: bool = False) -> Detector:
    """The detector of that name, one of `names()`, with its default thresholds.

    If `unsure`, CenterFace and SSH also return faces with scores from 0.3 to 0.5. The tracker uses
    them to continue a track but never to start one.

    Raises:
        ConfigError: no detector has that name.
        CheckpointError: its weights are missing or damaged.
    """
    if name not in _DETECTORS:
        raise ConfigError(f"detector '{name}' is unknown: use one of {', '.join(names())}")
    options: dict[str, Any] = {}
    if name == "centerface":
        options["network"] = fast(load_center_face(device=device), device=device)
    elif name != "mtcnn":
        options["network"] = fast(load_ssh(device=device), device=device)
    if unsure and name in ("centerface", "ssh"):
        options["threshold"] = UNSURE
    return _DETECTORS[name](device=device, **options)

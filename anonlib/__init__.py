"""Learning to anonymize faces so that actions can still be detected (Ren, Lee, Ryoo; ECCV 2018).

Start with the names in `__all__`. A name is loaded when it is first used, so importing the package is fast.

>>> import anonlib
>>> anonlib.profile("laptop").modifier.size
64
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anonlib.anonymizers import create, names
    from anonlib.config import profile
    from anonlib.experiment.reproduce import reproduce
    from anonlib.losses import angular_softmax_loss, classifier_loss, modifier_loss, photorealistic_loss
    from anonlib.metrics import average_precision, verification_accuracy
    from anonlib.networks import ActionDetector, Modifier, SphereFace
    from anonlib.training import train_adversarially
    from anonlib.video import anonymize_files as anonymize
    from anonlib.world import render_clips, synthetic_faces

__version__ = "0.1.0"
__all__ = [
    "ActionDetector",
    "Modifier",
    "SphereFace",
    "angular_softmax_loss",
    "anonymize",
    "average_precision",
    "classifier_loss",
    "create",
    "modifier_loss",
    "names",
    "photorealistic_loss",
    "profile",
    "render_clips",
    "reproduce",
    "synthetic_faces",
    "train_adversarially",
    "verification_accuracy",
]

_MODULES = {
    "anonymizers": ("create", "names"),
    "config": ("profile",),
    "experiment.reproduce": ("reproduce",),
    "losses": ("angular_softmax_loss", "classifier_loss", "modifier_loss", "photorealistic_loss"),
    "metrics": ("average_precision", "verification_accuracy"),
    "networks": ("ActionDetector", "Modifier", "SphereFace"),
    "training": ("train_adversarially",),
    "video": ("anonymize",),
    "world": ("render_clips", "synthetic_faces"),
}
"""Where the names are."""


def __getattr__(name: str) -> Any:
    for module, held in _MODULES.items():
        if name in held:
            own = "anonymize_files" if name == "anonymize" else name
            return getattr(import_module(f"anonlib.{module}"), own)
    raise AttributeError(f"module 'anonlib' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

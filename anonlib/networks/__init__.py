"""The networks of Fig. 2 (face modifier M, face classifier D, action detector A) and others."""

from typing import TYPE_CHECKING, Any

from anonlib.networks.face_reader import FaceReader as FaceReader
from anonlib.networks.fit import (
    FaceTransformer as FaceTransformer,
    all_passwords as all_passwords,
    password_planes as password_planes,
)
from anonlib.networks.modifier import Modifier as Modifier
from anonlib.networks.sphereface import (
    SphereFace as SphereFace,
    flip_averaged_features as flip_averaged_features,
)
from anonlib.networks.state_modifier import StateModifier as StateModifier, state_bits as state_bits

if TYPE_CHECKING:
    from anonlib.networks.action_detector import ActionDetector as ActionDetector


def __getattr__(name: str) -> Any:
    if (
        name == "ActionDetector"
    ):  # loads torchvision, which takes seconds; `anonlib anonymize` needs none of it
        from anonlib.networks.action_detector import ActionDetector

        return ActionDetector
    raise AttributeError(f"module 'anonlib.networks' has no attribute '{name}'")

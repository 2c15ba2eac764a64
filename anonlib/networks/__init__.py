"""The networks of Fig. 2 (face modifier M, face classifier D, action detector A) and others."""

from anonlib.networks.action_detector import ActionDetector
from anonlib.networks.modifier import LiteModifier, Modifier
from anonlib.networks.sphereface import SphereFace, flip_averaged_features

__all__ = ["ActionDetector", "LiteModifier", "Modifier", "SphereFace", "flip_averaged_features"]

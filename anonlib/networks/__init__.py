"""The three learned parts of Fig. 2: face modifier M, face classifier D, action detector A."""

from anonlib.networks.action_detector import ActionDetector
from anonlib.networks.modifier import Modifier
from anonlib.networks.sphereface import SphereFace

__all__ = ["ActionDetector", "Modifier", "SphereFace"]

"""The networks of Fig. 2 (face modifier M, face classifier D, action detector A) and others."""

from anonlib.networks.action_detector import ActionDetector as ActionDetector
from anonlib.networks.face_reader import FaceReader as FaceReader
from anonlib.networks.modifier import Modifier as Modifier
from anonlib.networks.sphereface import (
    SphereFace as SphereFace,
    flip_averaged_features as flip_averaged_features,
)
from anonlib.networks.state_modifier import StateModifier as StateModifier, state_bits as state_bits

"""Faces in frames: where they are, how sure the detector is, five landmarks each, who is missed."""

from anonlib.detection.matching import face_precision_recall, missed_faces
from anonlib.detection.mtcnn import Faces, MtcnnDetector

__all__ = ["Faces", "MtcnnDetector", "face_precision_recall", "missed_faces"]

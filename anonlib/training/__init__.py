"""Algorithm 1, and the training of D and A alone."""

from anonlib.training.algorithm1 import (
    Players,
    fool_classifier,
    modify_frames,
    train_adversarially,
    update_classifier,
    update_modifier_and_detector,
)
from anonlib.training.batches import FaceBatch, FrameBatch, face_batch, frame_batch
from anonlib.training.classifier import identification_loss, train_classifier
from anonlib.training.detector import train_detector
from anonlib.training.start import (
    starting_classifier,
    starting_detector,
    starting_modifier,
    trained_classifier,
    trained_modifier,
)

__all__ = [
    "FaceBatch",
    "FrameBatch",
    "Players",
    "face_batch",
    "fool_classifier",
    "frame_batch",
    "identification_loss",
    "modify_frames",
    "starting_classifier",
    "starting_detector",
    "starting_modifier",
    "train_adversarially",
    "train_classifier",
    "train_detector",
    "trained_classifier",
    "trained_modifier",
    "update_classifier",
    "update_modifier_and_detector",
]

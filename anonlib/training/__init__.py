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

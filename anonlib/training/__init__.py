"""Algorithm 1, and the training of D and A alone."""

from anonlib.training.algorithm1 import (
    Players as Players,
    fool_classifier as fool_classifier,
    modify_frames as modify_frames,
    train_adversarially as train_adversarially,
    update_classifier as update_classifier,
    update_modifier_and_detector as update_modifier_and_detector,
)
from anonlib.training.batches import (
    FaceBatch as FaceBatch,
    FrameBatch as FrameBatch,
    face_batch as face_batch,
    frame_batch as frame_batch,
    frames_drawn as frames_drawn,
)
from anonlib.training.classifier import (
    identification_loss as identification_loss,
    train_classifier as train_classifier,
)
from anonlib.training.detector import train_detector as train_detector
from anonlib.training.fit_data import random_passwords as random_passwords, wrong_passwords as wrong_passwords
from anonlib.training.start import (
    starting_classifier as starting_classifier,
    starting_detector as starting_detector,
    starting_modifier as starting_modifier,
    trained_classifier as trained_classifier,
    trained_modifier as trained_modifier,
)

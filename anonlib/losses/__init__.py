"""The terms of Eq. (4), each a pure function."""

from anonlib.losses.adversarial import classifier_loss, modifier_loss
from anonlib.losses.angular_softmax import angular_softmax_loss, annealing
from anonlib.losses.photorealistic import photorealistic_loss

__all__ = [
    "angular_softmax_loss",
    "annealing",
    "classifier_loss",
    "modifier_loss",
    "photorealistic_loss",
]

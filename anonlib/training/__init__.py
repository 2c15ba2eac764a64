"""Algorithm 1, and the training of its parts on their own."""

from anonlib.training.algorithm1 import Players, train_adversarially
from anonlib.training.classifier import train_classifier
from anonlib.training.detector import train_detector

__all__ = ["Players", "train_adversarially", "train_classifier", "train_detector"]

"""Metrics: arrays in, numbers out."""

from anonlib.metrics.average_precision import average_precision, precision_recall
from anonlib.metrics.image_quality import gradient_energy, l1_distance
from anonlib.metrics.intervals import (
    accuracy_interval,
    counts_behind,
    jackknife_interval,
    proportion_interval,
)
from anonlib.metrics.verification import (
    Pairs,
    equal_error_rate,
    roc,
    tar_at_far,
    verification_accuracy,
    verification_pairs,
)

__all__ = [
    "Pairs",
    "accuracy_interval",
    "average_precision",
    "counts_behind",
    "equal_error_rate",
    "gradient_energy",
    "jackknife_interval",
    "l1_distance",
    "precision_recall",
    "proportion_interval",
    "roc",
    "tar_at_far",
    "verification_accuracy",
    "verification_pairs",
]

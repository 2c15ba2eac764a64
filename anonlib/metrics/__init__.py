"""Metrics: arrays in, numbers out."""

from anonlib.metrics.average_precision import (
    Matches as Matches,
    average_precision as average_precision,
    interval as interval,
    match as match,
    matched_bootstrap as matched_bootstrap,
    matched_precision as matched_precision,
    mean_over_classes as mean_over_classes,
    precision_recall as precision_recall,
)
from anonlib.metrics.identification import Identification as Identification, identify as identify
from anonlib.metrics.image_quality import (
    gradient_energy as gradient_energy,
    l1_distance as l1_distance,
    psnr as psnr,
    total_variation as total_variation,
)
from anonlib.metrics.intervals import (
    accuracy_interval as accuracy_interval,
    counts_behind as counts_behind,
    jackknife_interval as jackknife_interval,
    proportion_interval as proportion_interval,
)
from anonlib.metrics.verification import (
    Pairs as Pairs,
    area_under_roc as area_under_roc,
    equal_error_rate as equal_error_rate,
    roc as roc,
    supported_far as supported_far,
    tar_at_far as tar_at_far,
    verification_accuracy as verification_accuracy,
    verification_pairs as verification_pairs,
)

"""Face verification of clear and anonymized faces, as on LFW (sections 5.1 and 5.6)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from anonlib.anonymizers import Anonymizer
from anonlib.geometry import align_faces
from anonlib.metrics.intervals import accuracy_interval
from anonlib.metrics.verification import Pairs, equal_error_rate, tar_at_far, verification_accuracy
from anonlib.networks import SphereFace, flip_averaged_features
from anonlib.types import FaceImages, LazyImages, fit_in_memory

BATCH = 128
FAR = 1e-3
"""False accept rate at which the true accept rate is reported."""
MOST_PAIRS = 1_000_000
"""Pairs that a validation score compares at most."""
DIGITS = 5
"""Decimals to which cosines are rounded. Later decimals are rounding noise. With `mask`, where all features
are equal, this noise would be read as a difference between people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationResult:
    """Verification accuracy with its 95% interval over the folds, EER, and TAR at `FAR`."""

    accuracy: float
    lo: float
    hi: float
    eer: float
    tar: float


@torch.inference_mode()
def anonymize_faces(faces: FaceImages, anonymizer: Anonymizer) -> FaceImages:
    """The same people and landmarks with every image anonymized and rounded to 8 bits.

    Images that do not fit into memory are anonymized each time when they are read.
    """

    def hide(images: Tensor) -> Tensor:
        return (anonymizer(images.float() / 255) * 255).round().to(torch.uint8)

    images = faces.images
    if isinstance(images, LazyImages) and not fit_in_memory(len(images), size=images[:1].shape[-1]):
        return replace(faces, images=images.changed(hide))
    return replace(faces, images=torch.cat([hide(part) for part in images.split(BATCH)]))


@torch.inference_mode()
def face_features(classifier: SphereFace, faces: FaceImages) -> np.ndarray:
    """Flip-averaged unit features of every face; `(N, F)`."""
    classifier.eval()
    device = classifier.identities.device
    out = []
    for images, landmarks in zip(faces.images.split(BATCH), faces.landmarks.split(BATCH), strict=True):
        images = (images.float() / 255).contiguous(memory_format=torch.channels_last)
        aligned = align_faces(images.to(device), landmarks.to(device), classifier.config.size)
        out.append(flip_averaged_features(classifier, aligned).float().cpu())
    return torch.cat(out).numpy()


def similarities(first: np.ndarray, second: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Cosine similarity of face `pairs.first` of one set with `pairs.second` of another; `(P,)`.

    Both sets are `(N, F)` unit features, and may be the same.
    """
    scores: np.ndarray = np.einsum("nf,nf->n", first[pairs.first], second[pairs.second])
    return scores.round(DIGITS)


def verify_features(first: np.ndarray, second: np.ndarray, pairs: Pairs) -> VerificationResult:
    """Verification by the `similarities` of these features.

    Implements Ren et al., section 5.1, Face Recognition: cosine similarity, ten folds, the
    threshold of a fold chosen on the other nine. Differs from the paper: none.
    """
    return verify_scores(similarities(first, second, pairs), pairs)


def verify_scores(scores: np.ndarray, pairs: Pairs) -> VerificationResult:
    """Accuracy, EER and TAR of `(P,)` similarities, one for each pair."""
    folds = verification_accuracy(scores, pairs.same, pairs.fold)
    lo, hi = accuracy_interval(folds.per_fold)
    return VerificationResult(
        accuracy=folds.mean,
        lo=lo,
        hi=hi,
        eer=equal_error_rate(scores, pairs.same),
        tar=tar_at_far(scores, pairs.same, far=FAR),
    )


def compare_clear_and_modified(
    classifier: SphereFace, clear: FaceImages, modified: FaceImages, pairs: Pairs
) -> dict[str, np.ndarray]:
    """Similarities of every pair by D, with neither, both or one of its faces modified.

    Implements Ren et al., section 5.6, Does the face classifier remain accurate?
    Differs from the paper: `modified_original` is ours.

    Returns:
        `(P,)` similarities, `original` of two clear faces, `modified` of two modified ones, and
        `modified_original` of a modified first and a clear second one.
    """
    return compare_features(face_features(classifier, clear), face_features(classifier, modified), pairs)


def compare_features(clear: np.ndarray, modified: np.ndarray, pairs: Pairs) -> dict[str, np.ndarray]:
    """`compare_clear_and_modified` from `(N, F)` unit features of clear and modified faces."""
    return {
        "original": similarities(clear, clear, pairs),
        "modified": similarities(modified, modified, pairs),
        "modified_original": similarities(modified, clear, pairs),
    }


def recognisability(features: np.ndarray, labels: Tensor) -> float:
    """1 - EER over pairs of faces: 0.5 if people cannot be told apart, 1 if always.

    All pairs are compared, or of more than `MOST_PAIRS` always the same sample.
    `features` are `(N, F)` of length one, `labels` the `(N,)` people: two or more, one with two faces.
    """
    first, second = np.triu_indices(len(features), k=1)
    if len(first) > MOST_PAIRS:
        drawn = np.random.default_rng(0).integers(len(first), size=MOST_PAIRS)
        first, second = first[drawn], second[drawn]
    same = (labels[first] == labels[second]).numpy()
    cosines = (features @ features.T)[first, second].round(DIGITS)
    return 1 - equal_error_rate(cosines, same)

"""Average precision of detections as PASCAL VOC defines it, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from anonlib.errors import NumericError
from anonlib.geometry import box_iou

Floats = NDArray[np.float64]
Boxes = Mapping[str, Any]
"""One image: `boxes` (n, 4) xyxy, `labels` (n,) and, for detections, `scores` (n,)."""
_Arrays = tuple[Floats, Floats, NDArray[np.int64]]


class AveragePrecision(NamedTuple):
    """Average precision of each class and their mean."""

    per_class: Floats
    """`(C,)` in [0, 1]; NaN for a class without ground truth."""
    mean: float
    """mAP: the mean over classes with ground truth."""


class PrecisionRecall(NamedTuple):
    """Precision and recall at each threshold."""

    precision: Floats
    """`(T,)` share of the detections that are right; NaN where nothing is detected."""
    recall: Floats
    """`(T,)` share of the true boxes that are found; NaN where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """All `D` detections of all images by falling score, and the number of true boxes."""

    score: Floats
    """`(D,)`."""
    image: NDArray[np.int64]
    """`(D,)` index of the image."""
    label: NDArray[np.int64]
    """`(D,)` class."""
    hit: NDArray[np.bool_]
    """`(D,)` whether the detection is right."""
    positives: NDArray[np.int64]
    """`(images, classes)` true boxes."""


def average_precision(
    detections: Sequence[Boxes],
    ground_truth: Sequence[Boxes],
    *,
    iou: float = 0.5,
    classes: int | None = None,
) -> AveragePrecision:
    """AP of each class and mAP, by VOC's matching and all-point interpolation.

    Detections are taken by falling score; those with equal scores keep their order. Each is compared with the
    true box of its class that it overlaps most. It is right if their IoU is at least `iou` and no earlier
    detection was right about that box. AP is the area under the precision-recall curve, after each precision
    is raised to the highest one at the same or a larger recall. By default `classes` is the largest label
    plus 1.

    Implements Ren et al., section 5.1, Action Detection. Differs from the paper: none (boxes have
    exclusive ends, so no pixel is added to widths as for VOC's integer boxes).

    Raises:
        NumericError: a detection's score or box is NaN or infinite.

    >>> truth = [dict(boxes=[[0, 0, 10, 10]], labels=[0])]
    >>> found = [dict(boxes=[[50, 0, 60, 10], [0, 0, 10, 8]], scores=[0.9, 0.8], labels=[0, 0])]
    >>> average_precision(found, truth).mean
    0.5
    """
    return matched_precision(match(detections, ground_truth, iou=iou, classes=classes))


def matched_precision(matches: Matches) -> AveragePrecision:
    """`average_precision` of matched detections."""
    weights = np.ones((1, len(matches.positives)), dtype=np.int64)
    per_class = _weighted_precision(matches, weights)[0]
    return AveragePrecision(per_class, float(mean_over_classes(per_class[None])[0]))


def matched_bootstrap(matches: Matches, *, clips: ArrayLike, resamples: int = 200, seed: int = 0) -> Floats:
    """AP of each class on resamples of the clips, drawn with replacement; `(resamples, C)`.

    Frames of a clip are drawn together, because they are not independent; `clips` holds the clip
    of each image. One seed draws the same clips for every method, so differences between methods
    may be taken row by row.

    >>> truth = [dict(boxes=[[0, 0, 10, 10]], labels=[0])] * 3
    >>> found = [dict(boxes=[[0, 0, 10, 10]], scores=[0.9], labels=[0])] * 3
    >>> samples = matched_bootstrap(match(found, truth), clips=[0, 1, 2])
    >>> interval(mean_over_classes(samples))
    (1.0, 1.0)
    """
    _, clip = np.unique(np.asarray(clips), return_inverse=True)
    count = int(clip.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    return _weighted_precision(matches, drawn[:, clip])


def interval(samples: Floats, *, confidence: float = 0.95) -> tuple[float, float]:
    """Percentile confidence interval from `(R,)` resampled values; NaN is left out.

    >>> low, high = interval(np.arange(101.0), confidence=0.9)
    >>> round(low, 6), round(high, 6)
    (5.0, 95.0)
    """
    tail = (1 - confidence) / 2
    known = samples[np.isfinite(samples)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def precision_recall(
    detections: Sequence[Boxes],
    ground_truth: Sequence[Boxes],
    *,
    thresholds: ArrayLike,
    iou: float = 0.5,
    label: int | None = None,
) -> PrecisionRecall:
    """Precision and recall of detections with `score >= t`, over all classes or for one label.

    `average_precision` says when a detection is right; `thresholds` are `(T,)` scores t.

    >>> truth = [dict(boxes=[[0, 0, 10, 10]], labels=[0])]
    >>> found = [dict(boxes=[[50, 0, 60, 10], [0, 0, 10, 8]], scores=[0.9, 0.8], labels=[0, 0])]
    >>> precision_recall(found, truth, thresholds=[0.8, 0.9])
    PrecisionRecall(precision=array([0.5, 0. ]), recall=array([1., 0.]))
    """
    matches = match(detections, ground_truth, iou=iou)
    classes = np.arange(matches.positives.shape[1])
    own = classes if label is None else classes[classes == label]
    mine = np.isin(matches.label, own)
    score, hit = matches.score[mine], matches.hit[mine]
    kept = np.searchsorted(-score, -np.asarray(thresholds, np.float64), side="right")
    right = np.concatenate([[0], np.cumsum(hit)])[kept]
    with np.errstate(invalid="ignore"):
        return PrecisionRecall(right / kept, right / matches.positives[:, own].sum())


def mean_over_classes(per_class: Floats) -> Floats:
    """Mean of each row over its finite entries; NaN for a row without any."""
    known = np.isfinite(per_class)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(known, per_class, 0.0).sum(axis=1) / known.sum(axis=1)
    return mean


def match(
    detections: Sequence[Boxes],
    ground_truth: Sequence[Boxes],
    *,
    iou: float = 0.5,
    classes: int | None = None,
) -> Matches:
    """Which detections are right; arguments and rule as for `average_precision`."""
    if len(detections) != len(ground_truth):
        raise ValueError(f"{len(detections)} images detected on, {len(ground_truth)} with truth")
    found = [_arrays(d, image) for image, d in enumerate(detections)]
    truth = [_arrays({**t, "scores": np.zeros(len(t["labels"]))}, i) for i, t in enumerate(ground_truth)]
    image = np.repeat(np.arange(len(found)), [len(scores) for _, scores, _ in found])
    score = np.concatenate([np.zeros(0), *[d[1] for d in found]])
    label = np.concatenate([np.zeros(0, np.int64), *[d[2] for d in found]])
    hit = np.concatenate([np.zeros(0, bool), *[_hits(d, t, iou) for d, t in zip(found, truth, strict=True)]])
    if classes is None:
        classes = 1 + int(max(labels.max(initial=-1) for labels in (label, *[t[2] for t in truth])))
    counts = [np.bincount(labels, minlength=classes) for _, _, labels in truth]
    positives = np.reshape(counts, (len(truth), classes)).astype(np.int64)
    order = np.argsort(-score, kind="stable")
    return Matches(
        score=score[order], image=image[order], label=label[order], hit=hit[order], positives=positives
    )


def _arrays(image: Boxes, number: int) -> _Arrays:
    boxes = np.asarray(image["boxes"], dtype=np.float64).reshape(-1, 4)
    scores = np.asarray(image["scores"], dtype=np.float64)
    labels = np.asarray(image["labels"], dtype=np.int64)
    if not len(boxes) == len(scores) == len(labels):
        raise ValueError(f"image {number}: boxes, scores and labels differ in number")
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise NumericError(f"a box or score of image {number} is not finite: check the detector's training")
    return boxes, scores, labels


def _hits(found: _Arrays, truth: _Arrays, iou: float) -> NDArray[np.bool_]:
    """Which detections of one image are right; `(n,)`."""
    (boxes, scores, labels), (true_boxes, _, true_labels) = found, truth
    hit = np.zeros(len(boxes), dtype=bool)
    if not len(boxes) or not len(true_boxes):
        return hit
    overlaps = np.nan_to_num(box_iou(torch.tensor(boxes), torch.tensor(true_boxes)).numpy())
    overlaps = np.where(labels[:, None] == true_labels[None], overlaps, -1.0)
    best = overlaps.argmax(axis=1)
    order = np.argsort(-scores, kind="stable")
    order = order[overlaps[order, best[order]] >= iou]
    _, first = np.unique(best[order], return_index=True)  # only the first may have a box
    hit[order[first]] = True
    return hit


def _weighted_precision(matches: Matches, weights: NDArray[np.int64]) -> Floats:
    """AP of each class if each image is repeated `weights` times; `(R, images)` to `(R, C)`."""
    columns = [_class_precision(matches, weights, c) for c in range(matches.positives.shape[1])]
    return np.reshape(columns, (-1, len(weights))).T


def _class_precision(matches: Matches, weights: NDArray[np.int64], label: int) -> Floats:
    mine = matches.label == label
    weight = weights[:, matches.image[mine]].astype(np.float64)  # (R, n)
    positives = weights @ matches.positives[:, label]
    found = weight * matches.hit[mine]
    precision = np.cumsum(found, axis=1) / np.maximum(np.cumsum(weight, axis=1), 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    area: Floats = (envelope * found).sum(axis=1)
    return np.where(positives > 0, area / np.maximum(positives, 1), np.nan)

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch

from anonlib.errors import NumericError
from anonlib.metrics.average_precision import (
    average_precision,
    interval,
    match,
    matched_bootstrap,
    mean_over_classes,
    precision_recall,
)


def image(boxes, labels, scores=None):
    entry = {"boxes": np.array(boxes, dtype=float).reshape(-1, 4), "labels": np.array(labels, int)}
    return entry if scores is None else {**entry, "scores": np.array(scores, dtype=float)}


def world(seed: int, images: int = 30, classes: int = 3, boxes: int = 2):
    """Detections of boxes that stand far apart: some shifted, some missed, some made up."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(images):
        cells = rng.permutation(9)[: boxes + 1]
        corner = np.stack([cells % 3, cells // 3], axis=1) * 60.0
        true = np.concatenate([corner, corner + rng.uniform(30, 50, (boxes + 1, 2))], axis=1)
        labels = rng.integers(classes, size=boxes + 1)
        truth.append(image(true[:boxes], labels[:boxes]))
        copies = rng.integers(0, 3, size=boxes + 1)
        near = np.repeat(true, copies, axis=0)
        near = near + rng.normal(0, 5, near.shape)
        guess = np.where(
            rng.random(len(near)) < 0.85, np.repeat(labels, copies), rng.integers(classes, size=len(near))
        )
        found.append(image(near, guess, rng.random(len(near))))
    return found, truth


def slow_iou(a, b):
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def slow_average_precision(found, truth, label, iou=0.5):
    """VOC's development kit, line by line."""
    total = sum(int((t["labels"] == label).sum()) for t in truth)
    rows = sorted(
        (
            (-s, i, k)
            for i, d in enumerate(found)
            for k, (s, c) in enumerate(zip(d["scores"], d["labels"], strict=True))
            if c == label
        )
    )
    taken, tp, points = set(), 0, []
    for rank, (_, i, k) in enumerate(rows, start=1):
        there = zip(truth[i]["boxes"], truth[i]["labels"], strict=True)
        overlaps = [slow_iou(found[i]["boxes"][k], b) if c == label else -1.0 for b, c in there]
        best = int(np.argmax(overlaps)) if overlaps else -1
        if best >= 0 and overlaps[best] >= iou and (i, best) not in taken:
            taken.add((i, best))
            tp += 1
        points.append((tp / total, tp / rank))
    area, before = 0.0, 0.0
    for r in sorted({p[0] for p in points}):
        area += (r - before) * max(p for q, p in points if q >= r)
        before = r
    return area


BOX = [0, 0, 10, 10]
FAR = [50, 50, 60, 60]


def test_precision_recall_area_by_hand():
    # Right, wrong, right, of three boxes: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3.
    truth = [image([BOX], [0])] * 3
    found = [image([BOX], [0], [0.9]), image([FAR], [0], [0.8]), image([BOX], [0], [0.7])]
    result = average_precision(found, truth)
    assert result.mean == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3)


def test_precision_is_raised_to_the_best_at_larger_recall():
    truth = [image([BOX], [0])] * 4
    found = [image([FAR], [0], [0.9])] + [image([BOX], [0], [s]) for s in (0.8, 0.7, 0.6)]
    assert average_precision(found, truth).mean == pytest.approx(3 / 4 * 3 / 4)


def test_a_second_detection_of_a_box_is_wrong():
    truth = [image([BOX, FAR], [0, 0])]
    found = [image([BOX, BOX, FAR], [0, 0, 0], [0.9, 0.8, 0.7])]
    assert average_precision(found, truth).mean == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)


def test_a_detection_is_judged_by_the_box_it_overlaps_most():
    # Both detections overlap the first box most; VOC does not hand the second one the other box,
    # though it overlaps that too by more than half.
    truth = [image([[0, 0, 10, 10], [0, 3, 10, 13]], [0, 0])]
    found = [image([[0, 0, 10, 10], [0, 1, 10, 11]], [0, 0], [0.9, 0.8])]
    assert average_precision(found, truth).mean == pytest.approx(0.5)


@pytest.mark.parametrize(("height", "expected"), [(5.0, 1.0), (4.9, 0.0)])
def test_overlap_of_exactly_one_half_is_enough(height, expected):
    found = [image([[0, 0, 10, height]], [0], [0.9])]
    assert average_precision(found, [image([BOX], [0])]).mean == expected


def test_iou_is_a_setting():
    found = [image([[0, 0, 10, 6]], [0], [0.9])]
    assert average_precision(found, [image([BOX], [0])], iou=0.6).mean == 1.0
    assert average_precision(found, [image([BOX], [0])], iou=0.7).mean == 0.0


def test_a_box_of_another_class_does_not_count():
    result = average_precision([image([BOX], [1], [0.9])], [image([BOX], [0])])
    assert result.per_class[0] == 0.0
    assert math.isnan(result.per_class[1])
    assert result.mean == 0.0


def test_classes_without_truth_are_left_out_of_the_mean():
    result = average_precision([image([BOX], [1], [0.9])], [image([BOX], [1])], classes=4)
    assert np.isnan(result.per_class).tolist() == [True, False, True, True]
    assert result.mean == 1.0


def test_nothing_found_and_nothing_there():
    assert average_precision([image([], [], [])], [image([BOX], [0])]).mean == 0.0
    assert math.isnan(average_precision([image([], [], [])], [image([], [])]).mean)
    assert math.isnan(average_precision([], []).mean)


@pytest.mark.parametrize("seed", range(5))
def test_against_a_slow_reference(seed):
    found, truth = world(seed)
    result = average_precision(found, truth)
    for label in range(3):
        assert result.per_class[label] == pytest.approx(slow_average_precision(found, truth, label))


@pytest.mark.slow  # importing torchmetrics takes ten seconds
def test_against_torchmetrics():
    """COCO's interpolation, read midway between all recalls there can be, is VOC's area."""
    metric_module = pytest.importorskip("torchmetrics.detection")
    pytest.importorskip("pycocotools")
    found, truth = world(7, images=12)
    positives = np.bincount(np.concatenate([t["labels"] for t in truth]))
    steps = math.lcm(*positives.tolist())
    assert steps < 20_000
    metric = metric_module.MeanAveragePrecision(
        iou_thresholds=[0.5],
        class_metrics=True,
        max_detection_thresholds=[1, 10, 100],
        rec_thresholds=((np.arange(steps) + 0.5) / steps).tolist(),
    )
    metric.update(
        *(
            [{k: torch.as_tensor(v) for k, v in entry.items()} for entry in entries]
            for entries in (found, truth)
        )
    )
    theirs = metric.compute()
    ours = average_precision(found, truth)
    np.testing.assert_allclose(ours.per_class, theirs["map_per_class"], atol=1e-5)
    assert ours.mean == pytest.approx(float(theirs["map"]), abs=1e-5)
    assert 0.2 < ours.mean < 0.9  # the comparison is not about trivial detections


def test_tensors_are_accepted():
    found, truth = world(1)
    as_tensors = [[{k: torch.as_tensor(v) for k, v in e.items()} for e in es] for es in (found, truth)]
    assert average_precision(*as_tensors).mean == average_precision(found, truth).mean


def test_order_of_images_does_not_matter():
    found, truth = world(2)
    expected = average_precision(found, truth).per_class
    np.testing.assert_allclose(average_precision(found[::-1], truth[::-1]).per_class, expected)


def test_resampling_equals_metric_on_repeated_clips():
    found, truth = world(3, images=12)
    clips = np.repeat(np.arange(4), 3)
    samples = matched_bootstrap(match(found, truth), clips=clips, resamples=6, seed=5)
    drawn = np.random.default_rng(5).multinomial(4, [0.25] * 4, size=6)
    for row, counts in zip(samples, drawn, strict=True):
        index = [i for i in range(12) for _ in range(counts[clips[i]])]
        again = average_precision([found[i] for i in index], [truth[i] for i in index], classes=3)
        np.testing.assert_allclose(row, again.per_class)


def test_interval_holds_the_value_and_widens_with_confidence():
    found, truth = world(4)
    clips = np.arange(30) // 2
    value = average_precision(found, truth).mean
    means = mean_over_classes(matched_bootstrap(match(found, truth), clips=clips, seed=1))
    low, high = interval(means)
    assert low < value < high and high - low < 0.5
    narrow = interval(means, confidence=0.5)
    assert low < narrow[0] < narrow[1] < high
    again = matched_bootstrap(match(found, truth), clips=clips, seed=1)
    assert (low, high) == interval(mean_over_classes(again))
    np.testing.assert_allclose([(means < low).mean(), (means > high).mean()], 0.025, atol=0.006)


def test_frames_of_a_clip_are_drawn_together():
    found, truth = world(6, images=12)
    samples = matched_bootstrap(match(found, truth), clips=np.zeros(12), seed=1)
    low, high = interval(mean_over_classes(samples))
    assert low == high == pytest.approx(average_precision(found, truth).mean)


def test_bootstrap_is_quick():
    rng = np.random.default_rng(0)
    found, truth = [], []
    for _ in range(800):
        corner = rng.uniform(0, 100, (50, 2))
        boxes = np.concatenate([corner, corner + 40], axis=1)
        found.append(image(boxes, rng.integers(10, size=50), rng.random(50)))
        truth.append(image(boxes[:2] + 3, found[-1]["labels"][:2]))
    start = time.perf_counter()
    matched_bootstrap(match(found, truth), clips=np.arange(800) // 4, resamples=200)
    assert time.perf_counter() - start < 3


def test_bad_input_is_named():
    with pytest.raises(NumericError, match="score of image 1 is not finite"):
        average_precision([image([BOX], [0], [0.5]), image([BOX], [0], [np.nan])], [image([BOX], [0])] * 2)
    with pytest.raises(ValueError, match="1 images detected on, 2 with truth"):
        average_precision([image([BOX], [0], [0.5])], [image([BOX], [0])] * 2)
    with pytest.raises(ValueError, match="image 0: boxes, scores and labels differ"):
        average_precision([image([BOX], [0], [0.5, 0.4])], [image([BOX], [0])])


def test_precision_and_recall_count_detections_from_a_threshold_up() -> None:
    """Two true boxes; scores .9 right, .8 a second box on the same one, .7 elsewhere, .6 right."""
    truth = [{"boxes": [[0, 0, 10, 10]], "labels": [0]}, {"boxes": [[0, 0, 4, 4]], "labels": [0]}]
    found = [
        {
            "boxes": [[0, 0, 10, 9], [0, 0, 10, 8], [50, 0, 60, 10]],
            "scores": [0.9, 0.8, 0.7],
            "labels": [0, 0, 0],
        },
        {"boxes": [[0, 0, 4, 4]], "scores": [0.6], "labels": [0]},
    ]
    at = precision_recall(found, truth, thresholds=[0.6, 0.7, 0.8, 0.85, 0.9, 0.95])
    np.testing.assert_allclose(at.precision, [1 / 2, 1 / 3, 1 / 2, 1, 1, np.nan])
    np.testing.assert_allclose(at.recall, [1, 1 / 2, 1 / 2, 1 / 2, 1 / 2, 0])
    strict = precision_recall(found, truth, thresholds=[0.6], iou=0.95)
    np.testing.assert_allclose([*strict.precision, *strict.recall], [1 / 4, 1 / 2])


def test_precision_and_recall_of_one_class_count_no_other() -> None:
    truth = [image([BOX], [0]), image([BOX], [1]), image([BOX], [1])]
    found = [image([BOX], [1], [0.9]), image([BOX], [1], [0.8]), image([BOX], [0], [0.7])]
    at = precision_recall(found, truth, thresholds=[0.9, 0.8, 0.7], label=1)
    np.testing.assert_allclose(at.precision, [0, 1 / 2, 1 / 2])
    np.testing.assert_allclose(at.recall, [0, 1 / 2, 1 / 2])
    assert np.isnan(precision_recall(found, truth, thresholds=[0.5], label=7).recall).all()


def test_recall_without_true_boxes_is_not_a_number() -> None:
    nothing = {"boxes": [], "labels": []}
    at = precision_recall([{**nothing, "scores": []}], [nothing], thresholds=[0.5])
    assert np.isnan(at.precision).all() and np.isnan(at.recall).all()

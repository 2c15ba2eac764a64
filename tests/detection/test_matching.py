from __future__ import annotations

import numpy as np
import torch

from anonlib.detection import Faces, face_precision_recall, false_finds, missed_faces


def faces(boxes, scores=()):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return Faces(boxes=boxes, scores=torch.tensor(scores), landmarks=torch.zeros(len(boxes), 5, 2))


TRUE = [torch.tensor([[0.0, 0, 10, 10], [30, 0, 40, 10]]), torch.zeros(0, 4)]
FOUND = [faces([[0, 0, 10, 8], [60, 0, 70, 10]], [0.9, 0.6]), faces([[5, 5, 9, 9]], [0.7])]


def test_thresholds_trade_recall_for_precision():
    at = face_precision_recall(FOUND, TRUE, thresholds=[0.5, 0.65, 0.8])
    np.testing.assert_allclose(at.precision, [1 / 3, 1 / 2, 1])
    np.testing.assert_allclose(at.recall, [1 / 2, 1 / 2, 1 / 2])


def test_a_stricter_overlap_finds_fewer():
    at = face_precision_recall(FOUND, TRUE, thresholds=[0.5], iou=0.81)
    assert at.recall.tolist() == [0] and at.precision.tolist() == [0]


def test_the_missed_are_those_that_no_box_overlaps_enough():
    first, second = missed_faces(FOUND, TRUE)
    assert first.tolist() == [[30, 0, 40, 10]] and second.shape == (0, 4)
    assert len(missed_faces(FOUND, TRUE, iou=0.8)[0]) == 1  # 80 of 100 pixels: just enough
    assert len(missed_faces(FOUND, TRUE, iou=0.81)[0]) == 2


def test_everybody_is_missed_where_nothing_is_found():
    assert torch.equal(missed_faces([faces([])], TRUE[:1])[0], TRUE[0])


def test_false_finds_are_on_nobody():
    doubtful = [torch.zeros(0, 4), torch.zeros(0, 4)]
    first, second = false_finds(FOUND, TRUE, doubtful=doubtful)
    assert first.tolist() == [[60, 0, 70, 10]] and second.tolist() == [[5, 5, 9, 9]]
    assert len(false_finds(FOUND, TRUE, doubtful=doubtful, iou=0.81)[0]) == 2


def test_where_it_is_doubtful_nothing_is_false():
    around = [torch.zeros(0, 4), torch.tensor([[0.0, 0, 100, 100]])]
    assert len(false_finds(FOUND, TRUE, doubtful=around)[1]) == 0
    beside = [torch.zeros(0, 4), torch.tensor([[7.5, 0, 100, 100]])]
    assert len(false_finds(FOUND, TRUE, doubtful=beside)[1]) == 1  # its middle is at 7


def test_a_second_find_of_a_face_is_not_false():
    twice = [faces([[0, 0, 10, 8], [0, 0, 10, 9]], [0.9, 0.6])]
    assert len(false_finds(twice, TRUE[:1], doubtful=[torch.zeros(0, 4)])[0]) == 0

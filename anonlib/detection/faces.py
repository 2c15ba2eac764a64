"""The faces that a detector finds in a frame, and their comparison with the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from anonlib.geometry import box_iou
from anonlib.metrics.average_precision import PrecisionRecall, precision_recall


@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """The faces found in one frame, sorted by score, the highest first."""

    boxes: Tensor
    """`(n, 4)` float xyxy pixels, not clipped to the frame."""
    scores: Tensor
    """`(n,)` probability in [0, 1] that the box holds a face."""
    landmarks: Tensor
    """`(n, 5, 2)` float xy pixels."""

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, rows: Tensor) -> Faces:
        """The faces at these rows, given as `(n,)` bool or as indices."""
        return Faces(boxes=self.boxes[rows], scores=self.scores[rows], landmarks=self.landmarks[rows])

    def above(self, score: float) -> Faces:
        """The faces with at least this score."""
        return self.select(self.scores >= score)

    def scaled(self, x: float, y: float) -> Faces:
        """The same faces in a frame that is `x` times as wide and `y` times as high."""
        factors = self.boxes.new_tensor([x, y])
        return Faces(
            boxes=self.boxes * factors.repeat(2), scores=self.scores, landmarks=self.landmarks * factors
        )


def face_precision_recall(
    found: Sequence[Faces], true_boxes: Sequence[Tensor], *, thresholds: ArrayLike, iou: float = 0.5
) -> PrecisionRecall:
    """Precision and recall of the faces with `score >= t`, for each of `(T,)` thresholds t.

    The true boxes are `(n, 4)` xyxy pixels for each frame, not enlarged.

    >>> box = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    >>> one = Faces(boxes=box, scores=torch.tensor([0.9]), landmarks=torch.zeros(1, 5, 2))
    >>> face_precision_recall([one, one], [box, box + 99], thresholds=[0.5])
    PrecisionRecall(precision=array([0.5]), recall=array([0.5]))
    """
    detections = [
        {"boxes": one.boxes, "scores": one.scores, "labels": torch.zeros(len(one))} for one in found
    ]
    truth = [{"boxes": boxes, "labels": torch.zeros(len(boxes))} for boxes in true_boxes]
    return precision_recall(detections, truth, thresholds=thresholds, iou=iou)


def missed_faces(found: Sequence[Faces], true_boxes: Sequence[Tensor], *, iou: float = 0.5) -> list[Tensor]:
    """The true boxes that no found box overlaps by `iou` or more; per frame `(m, 4)`.

    A missed face is not anonymized: everybody can recognise it.

    >>> box = torch.tensor([[0.0, 0.0, 10.0, 10.0], [50.0, 0.0, 60.0, 10.0]])
    >>> one = Faces(boxes=box[:1], scores=torch.ones(1), landmarks=torch.zeros(1, 5, 2))
    >>> missed_faces([one], [box])
    [tensor([[50.,  0., 60., 10.]])]
    """
    return [
        boxes[~(box_iou(boxes.reshape(-1, 4), one.boxes) >= iou).any(dim=1)]
        for one, boxes in zip(found, true_boxes, strict=True)
    ]


def false_finds(
    found: Sequence[Faces], true_boxes: Sequence[Tensor], *, doubtful: Sequence[Tensor], iou: float = 0.5
) -> list[Tensor]:
    """The found boxes that match no true face (false positives); per frame `(m, 4)`.

    A second box on a face that is already found does not count as false, nor one that overlaps or
    has its centre in a doubtful region; these are `(k, 4)` boxes for each frame.

    >>> box = torch.tensor([[0.0, 0.0, 10.0, 10.0], [50.0, 0.0, 60.0, 10.0]])
    >>> both = Faces(boxes=box, scores=torch.ones(2), landmarks=torch.zeros(2, 5, 2))
    >>> false_finds([both], [box[:1]], doubtful=[torch.zeros(0, 4)])
    [tensor([[50.,  0., 60., 10.]])]
    """
    false = []
    for one, faces, ignored in zip(found, true_boxes, doubtful, strict=True):
        known = torch.cat([faces.reshape(-1, 4), ignored.reshape(-1, 4)])
        matched = (box_iou(one.boxes, known) >= iou).any(dim=1)
        centre = ((one.boxes[:, :2] + one.boxes[:, 2:]) / 2)[:, None]
        inside = ((centre >= ignored[:, :2]) & (centre < ignored[:, 2:])).all(dim=2).any(dim=1)
        false.append(one.boxes[~matched & ~inside])
    return false

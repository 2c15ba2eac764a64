"""Found faces against true ones: how many are found, how many finds are faces, who is missed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torchvision.ops import box_iou

from anonlib.detection.mtcnn import Faces
from anonlib.metrics.average_precision import PrecisionRecall, precision_recall


def face_precision_recall(
    found: Sequence[Faces], true_boxes: Sequence[Tensor], *, thresholds: ArrayLike, iou: float = 0.5
) -> PrecisionRecall:
    """Precision and recall of the faces with `score >= t`, for each threshold t.

    Args:
        found: the faces found in each frame.
        true_boxes: per frame `(n, 4)` xyxy pixels, not enlarged.
        thresholds: `(T,)` scores t in [0, 1].
        iou: overlap from which a found box can be a face's.

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

    Whoever stands in one of these is shown to everybody: nothing hides what was not found.

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
    """The found boxes that are nobody's face; per frame `(m, 4)`.

    A second find of one face hides nothing that is not hidden already, so it is not false.

    Args:
        found: the faces found in each frame.
        true_boxes: per frame `(n, 4)` xyxy pixels.
        doubtful: per frame `(k, 4)`; a find that overlaps one, or whose middle lies in one, is
            neither right nor false.
        iou: overlap from which a found box is a face's.

    >>> box = torch.tensor([[0.0, 0.0, 10.0, 10.0], [50.0, 0.0, 60.0, 10.0]])
    >>> both = Faces(boxes=box, scores=torch.ones(2), landmarks=torch.zeros(2, 5, 2))
    >>> false_finds([both], [box[:1]], doubtful=[torch.zeros(0, 4)])
    [tensor([[50.,  0., 60., 10.]])]
    """
    kept = []
    for one, faces, unsure in zip(found, true_boxes, doubtful, strict=True):
        known = torch.cat([faces.reshape(-1, 4), unsure.reshape(-1, 4)])
        right = (box_iou(one.boxes, known) >= iou).any(dim=1)
        middle = ((one.boxes[:, :2] + one.boxes[:, 2:]) / 2)[:, None]
        inside = (middle >= unsure[:, :2]) & (middle < unsure[:, 2:])
        kept.append(one.boxes[~right & ~inside.all(dim=2).any(dim=1)])
    return kept

"""All faces of a frame by MTCNN: three small networks, each more careful than the one before.

P-Net looks everywhere at every size and proposes, R-Net refines, O-Net decides and finds the
landmarks. Each stage drops the candidates below its own threshold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anonlib.errors import ConfigError

DetectLandmarks = Callable[[Sequence[Tensor]], list[Tensor | None]]
"""Pictures, uint8 RGB `(3, H, W)` of any sizes, to the `(5, 2)` landmarks of the person in each,
or None. Crops are remembered between runs if it has an attribute `cache_key`, a string that
changes with its results."""


THRESHOLDS = (0.6, 0.7, 0.7)
"""Probabilities that P-Net, R-Net and O-Net ask for, as facenet-pytorch sets them."""
BATCH = 16
"""Frames that pass through together, to bound the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """The faces found in one frame, the surest first."""

    boxes: Tensor
    """`(n, 4)` float xyxy pixels, not clipped to the frame."""
    scores: Tensor
    """`(n,)` probability in [0, 1] that the box holds a face."""
    landmarks: Tensor
    """`(n, 5, 2)` float xy pixels."""

    def __len__(self) -> int:
        return len(self.boxes)

    def above(self, score: float) -> Faces:
        """Those whose score is at least this.

        >>> found = Faces(boxes=torch.zeros(2, 4), scores=torch.tensor([0.9, 0.5]),
        ...               landmarks=torch.zeros(2, 5, 2))
        >>> len(found.above(0.5)), len(found.above(0.6))
        (2, 1)
        """
        kept = self.scores >= score
        return Faces(boxes=self.boxes[kept], scores=self.scores[kept], landmarks=self.landmarks[kept])


class MtcnnDetector:
    """Finds the faces of frames by MTCNN, with the weights that facenet-pytorch carries.

    Implements Ren et al., section 4, Face Detection. Differs from the paper: MTCNN alone finds the
    faces there are; in the paper it judges the boxes that SSH proposes.
    """

    def __init__(
        self, *, thresholds: tuple[float, float, float] = THRESHOLDS, smallest: int = 20, device: str = "cpu"
    ) -> None:
        """Loads the three networks.

        Args:
            thresholds: probabilities in [0, 1] above which P-Net, R-Net and O-Net pass a box on.
            smallest: side in pixels of the smallest face looked for.
            device: where the networks run.

        Raises:
            ConfigError: a threshold is no probability, or `smallest` is under 12 pixels.
        """
        if len(thresholds) != 3 or not all(0 <= t <= 1 for t in thresholds):
            raise ConfigError(f"MTCNN thresholds {thresholds}: use three numbers from 0 to 1")
        if smallest < 12:
            raise ConfigError(f"smallest face {smallest}: P-Net reads 12 pixels, use 12 or more")
        from facenet_pytorch import MTCNN

        self.network = MTCNN(
            keep_all=True, thresholds=list(thresholds), min_face_size=smallest, device=torch.device(device)
        )

    def __call__(self, frames: Tensor) -> list[Faces]:
        """The faces of each frame.

        Args:
            frames: `(B, 3, H, W)` in [0, 1].

        Returns:
            One `Faces` a frame, on the CPU; empty where nobody is found.
        """
        pictures = (frames.detach() * 255).round().clamp(0, 255).to("cpu", torch.uint8)
        return [_faces(*found) for part in pictures.split(BATCH) for found in run_mtcnn(self.network, part)]


def _faces(boxes: object, scores: object, landmarks: object) -> Faces:
    """What MTCNN says of one frame as tensors, the surest first."""
    if boxes is None:
        empty = torch.zeros(0)
        return Faces(boxes=empty.reshape(0, 4), scores=empty, landmarks=empty.reshape(0, 5, 2))
    boxes, scores, landmarks = (
        torch.from_numpy(np.asarray(x).astype(np.float32)) for x in (boxes, scores, landmarks)
    )
    order = scores.argsort(descending=True, stable=True)
    return Faces(boxes=boxes[order], scores=scores[order], landmarks=landmarks[order])


class Mtcnn:
    """Five landmarks of the most prominent face by MTCNN, see `most_prominent`.

    Implements Ren et al., section 5.1, Face Recognition: crops follow MTCNN's keypoints.
    Differs from the paper: none.
    """

    cache_key = "mtcnn 1"

    def __init__(self, *, device: str = "cpu", probability: float = 0.9, batch: int = 16) -> None:
        """Loads the three networks that come with facenet-pytorch."""
        from facenet_pytorch import MTCNN

        self.network = MTCNN(keep_all=True, device=torch.device(device))
        self.probability = probability
        self.batch = batch

    def __call__(self, pictures: Sequence[Tensor]) -> list[Tensor | None]:
        """Landmarks `(5, 2)` in each picture, uint8 `(3, H, W)`, or None."""
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, picture in enumerate(pictures):
            by_size[tuple(picture.shape)].append(index)
        found: dict[int, Tensor | None] = {}
        for members in by_size.values():
            for start in range(0, len(members), self.batch):
                part = members[start : start + self.batch]
                stacked = torch.stack([pictures[i] for i in part])
                found.update(zip(part, self._detect(stacked), strict=True))
        return [found[i] for i in range(len(pictures))]

    def _detect(self, pictures: Tensor) -> list[Tensor | None]:
        """Landmarks in pictures of one size, `(B, 3, H, W)`."""
        centre = (pictures.shape[3] / 2, pictures.shape[2] / 2)
        return [
            most_prominent(*one, centre=centre, probability=self.probability)
            for one in run_mtcnn(self.network, pictures)
        ]


def run_mtcnn(network: Any, pictures: Tensor) -> list[tuple[Any, Any, Any]]:
    """Every face that facenet-pytorch's MTCNN finds in pictures of one size.

    Args:
        network: `facenet_pytorch.MTCNN`.
        pictures: `(B, 3, H, W)` uint8 RGB.

    Returns:
        Boxes `(K, 4)`, probabilities `(K,)` and landmarks `(K, 5, 2)` of each picture, arrays of
        numbers or of objects; without a face the boxes are None.
    """
    if min(pictures.shape[2:]) < network.min_face_size:
        return [(None, [None], None)] * len(pictures)
    boxes, chances, points = network.detect(pictures.permute(0, 2, 3, 1).numpy(), landmarks=True)
    return list(zip(boxes, chances, points, strict=True))


def most_prominent(
    boxes: Any, chances: Any, points: Any, *, centre: tuple[float, float], probability: float
) -> Tensor | None:
    """Landmarks of the face whose size, the root of its area, most exceeds its distance from
    the picture's centre.

    Args:
        boxes: `(K, 4)` xyxy, of numbers or of objects, or None.
        chances: `(K,)` probability that a box holds a face.
        points: `(K, 5, 2)` landmarks.
        centre: x and y of the picture's centre.
        probability: faces less sure than this do not count.

    Returns:
        `(5, 2)`, or None if no face counts.

    >>> most_prominent(None, [None], None, centre=(50, 50), probability=0.9) is None
    True
    """
    if boxes is None:
        return None
    boxes, chances = np.asarray(boxes, dtype=np.float64), np.asarray(chances, dtype=np.float64)
    width, height = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).T
    away = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - np.array(centre), axis=1)
    score = np.where(chances >= probability, np.sqrt(width * height) - away, -np.inf)
    best = int(score.argmax())
    if not np.isfinite(score[best]):
        return None
    return torch.as_tensor(np.asarray(points[best], dtype=np.float32))

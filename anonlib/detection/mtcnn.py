"""All faces of a frame by MTCNN: three small networks, each more careful than the one before.

P-Net looks everywhere at every size and proposes, R-Net refines, O-Net decides and finds the
landmarks. Each stage drops the candidates below its own threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from anonlib.data.face_crops import run_mtcnn
from anonlib.errors import ConfigError

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
        return Faces(
            boxes=self.boxes[kept], scores=self.scores[kept], landmarks=self.landmarks[kept]
        )


class MtcnnDetector:
    """Finds the faces of frames by MTCNN, with the weights that facenet-pytorch carries.

    Implements Ren et al., section 4, Face Detection. Differs from the paper: MTCNN alone finds the
    faces there are; in the paper it judges the boxes that SSH proposes.
    """

    def __init__(
        self, *, thresholds: tuple[float, float, float] = THRESHOLDS, smallest: int = 20,
        device: str = "cpu",
    ) -> None:  # fmt: skip
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
            keep_all=True, thresholds=list(thresholds), min_face_size=smallest,
            device=torch.device(device),
        )  # fmt: skip

    def __call__(self, frames: Tensor) -> list[Faces]:
        """The faces of each frame.

        Args:
            frames: `(B, 3, H, W)` in [0, 1].

        Returns:
            One `Faces` a frame, on the CPU; empty where nobody is found.
        """
        pictures = (frames.detach() * 255).round().clamp(0, 255).to("cpu", torch.uint8)
        return [
            _faces(*found)
            for part in pictures.split(BATCH)
            for found in run_mtcnn(self.network, part)
        ]


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

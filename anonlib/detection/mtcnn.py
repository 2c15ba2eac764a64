"""Faces by MTCNN, with the weights that come with facenet-pytorch.

P-Net proposes boxes at every place and size, R-Net refines them, O-Net decides and finds landmarks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from anonlib.detection.faces import Faces
from anonlib.errors import ConfigError

DetectLandmarks = Callable[[Sequence[Tensor]], list[Tensor | None]]
"""Pictures, uint8 RGB `(3, H, W)` of any sizes, to the `(5, 2)` landmarks of the person in each,
or None. If it has an attribute `cache_key`, crops are cached between runs; change that string
whenever the results change."""

THRESHOLDS = (0.6, 0.7, 0.7)
"""Thresholds of P-Net, R-Net and O-Net: the defaults of facenet-pytorch."""
BATCH = 16
"""Frames in one batch; limits the memory."""
PROBABILITY = 0.9
"""Smallest score of a face that can be the most prominent one."""


class MtcnnDetector:
    """Finds the faces of frames by MTCNN.

    Implements Ren et al., section 4, Face Detection. Differs from the paper: MTCNN finds the faces
    alone; in the paper it classifies the boxes that SSH proposes, see `cascade`.
    """

    def __init__(
        self, *, thresholds: tuple[float, float, float] = THRESHOLDS, smallest: int = 20, device: str = "cpu"
    ) -> None:
        """Loads the three networks; each drops the boxes below its own threshold.

        Raises:
            ConfigError: a threshold is not a probability, or `smallest` is under 12 pixels.
        """
        if len(thresholds) != 3 or not all(0 <= t <= 1 for t in thresholds):
            raise ConfigError(f"MTCNN thresholds {thresholds}: use three numbers from 0 to 1")
        if smallest < 12:
            raise ConfigError(f"smallest face {smallest}: P-Net needs 12 pixels, use 12 or more")
        from facenet_pytorch import MTCNN

        self.network = MTCNN(
            keep_all=True, thresholds=list(thresholds), min_face_size=smallest, device=torch.device(device)
        )

    def __call__(self, frames: Tensor) -> list[Faces]:
        """The faces of each frame `(B, 3, H, W)` in [0, 1], on the CPU."""
        pictures = (frames.detach() * 255).round().clamp(0, 255).to("cpu", torch.uint8)
        return [faces for batch in pictures.split(BATCH) for faces in self.find(batch)]

    def find(self, pictures: Tensor) -> list[Faces]:
        """The faces of each picture `(B, 3, H, W)` uint8, in one batch."""
        if min(pictures.shape[2:]) < self.network.min_face_size:
            return [_faces(None, None, None)] * len(pictures)
        found = self.network.detect(pictures.permute(0, 2, 3, 1).numpy(), landmarks=True)
        return [_faces(*one) for one in zip(*found, strict=True)]


def _faces(boxes: object, scores: object, landmarks: object) -> Faces:
    """The output of facenet-pytorch for one picture; the boxes are None if it holds no face."""
    if boxes is None:
        return Faces(boxes=torch.zeros(0, 4), scores=torch.zeros(0), landmarks=torch.zeros(0, 5, 2))
    boxes, scores, landmarks = (
        torch.from_numpy(np.asarray(x).astype(np.float32)) for x in (boxes, scores, landmarks)
    )
    faces = Faces(boxes=boxes, scores=scores, landmarks=landmarks)
    return faces.select(scores.argsort(descending=True, stable=True))


class MtcnnLandmarks:
    """Five landmarks of the most prominent face of each picture, by MTCNN; a `DetectLandmarks`.

    Implements Ren et al., section 5.1, Face Recognition: crops follow MTCNN's keypoints.
    Differs from the paper: none.
    """

    cache_key = "mtcnn 1"

    def __init__(self, *, device: str = "cpu") -> None:
        """Loads the three networks."""
        self.detector = MtcnnDetector(device=device)

    def __call__(self, pictures: Sequence[Tensor]) -> list[Tensor | None]:
        """Landmarks `(5, 2)` in each picture, uint8 `(3, H, W)`, or None."""
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, picture in enumerate(pictures):
            by_size[tuple(picture.shape)].append(index)
        landmarks: list[Tensor | None] = [None] * len(pictures)
        for (_, height, width), members in by_size.items():
            for start in range(0, len(members), BATCH):
                batch = members[start : start + BATCH]
                found = self.detector.find(torch.stack([pictures[i] for i in batch]))
                for index, faces in zip(batch, found, strict=True):
                    landmarks[index] = most_prominent(faces, centre=(width / 2, height / 2))
        return landmarks


def most_prominent(faces: Faces, *, centre: tuple[float, float]) -> Tensor | None:
    """Landmarks `(5, 2)` of the face that a picture is about, or None.

    This is the face with the largest difference between its size (the square root of its area) and
    its distance from the picture's centre (x, y), in pixels.

    >>> nobody = Faces(boxes=torch.zeros(0, 4), scores=torch.zeros(0), landmarks=torch.zeros(0, 5, 2))
    >>> most_prominent(nobody, centre=(50, 50)) is None
    True
    """
    candidates = faces.select(faces.scores.double() >= PROBABILITY)
    if not len(candidates):
        return None
    corners = candidates.boxes.double()
    size = (corners[:, 2:] - corners[:, :2]).clamp(min=0).prod(dim=1).sqrt()
    away = ((corners[:, :2] + corners[:, 2:]) / 2 - torch.tensor(centre)).norm(dim=1)
    return candidates.landmarks[(size - away).argmax()]

"""The paper's cascade: SSH proposes faces, and the later networks of MTCNN classify them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.detection.faces import Faces
from anonlib.detection.ssh import Network, SshDetector
from anonlib.errors import ConfigError

PROPOSED = 0.8
"""Smallest score of SSH's proposals."""
THRESHOLDS = (0.6, 0.7)
"""Smallest probabilities of R-Net and O-Net: the defaults of facenet-pytorch."""


class CascadeDetector:
    """Keeps those of SSH's faces that MTCNN's R-Net and O-Net classify as faces.

    Implements Ren et al., section 4, Face Detection: SSH at a score above 0.8, then MTCNN as a
    binary classifier. Differs from the paper: the paper does not say which networks of MTCNN
    classify. Here R-Net and O-Net do, on SSH's box made square. Box, score and landmarks are SSH's.
    """

    def __init__(
        self,
        *,
        network: Network | None = None,
        thresholds: tuple[float, float] = THRESHOLDS,
        device: str = "cpu",
    ) -> None:
        """Loads R-Net and O-Net, and the shipped SSH unless it is given, for example compiled.

        Raises:
            ConfigError: a threshold is not a probability.
            CheckpointError: the shipped weights are missing or damaged.
        """
        if not all(0 <= threshold <= 1 for threshold in thresholds):
            raise ConfigError(f"R-Net and O-Net thresholds {thresholds}: use two numbers from 0 to 1")
        from facenet_pytorch.models.mtcnn import ONet, RNet

        self.propose = SshDetector(network=network, threshold=PROPOSED, device=device)
        self.classifiers: Sequence[tuple[nn.Module, int, float]] = (
            (RNet().eval().to(device), 24, thresholds[0]),
            (ONet().eval().to(device), 48, thresholds[1]),
        )
        self.device = device

    def __call__(self, frames: Tensor) -> list[Faces]:
        """The faces of each frame `(B, 3, H, W)` in [0, 1] of any size, on the CPU."""
        return [
            self._classify(frame, faces) for frame, faces in zip(frames, self.propose(frames), strict=True)
        ]

    @torch.inference_mode()
    def _classify(self, frame: Tensor, faces: Faces) -> Faces:
        frame = frame.detach().float().to(self.device)
        for network, side, threshold in self.classifiers:
            if not len(faces):
                break
            crops = torch.stack([square_crop(frame, box, side=side) for box in faces.boxes])
            probability: Tensor = network(2 * crops - 1)[-1][:, 1].cpu()
            faces = faces.select(probability >= threshold)
        return faces


def square_crop(frame: Tensor, box: Tensor, *, side: int) -> Tensor:
    """The square around a box, clipped to the frame and resized, as MTCNN crops.

    >>> square_crop(torch.rand(3, 50, 60), torch.tensor([10.0, 5.0, 20.0, 35.0]), side=24).shape
    torch.Size([3, 24, 24])
    """
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max() / 2
    height, width = frame.shape[1:]
    x0, y0 = (max(0, int(v)) for v in middle - half)
    x1, y1 = (int(v) for v in middle + half)
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    x1, y1 = max(min(x1, width), x0 + 1), max(min(y1, height), y0 + 1)
    return F.interpolate(frame[None, :, y0:y1, x0:x1], (side, side), mode="area")[0]

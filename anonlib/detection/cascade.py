"""The paper's cascade: SSH proposes, the later stages of MTCNN judge."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.detection.mtcnn import Faces
from anonlib.detection.ssh import Network, SshDetector
from anonlib.errors import ConfigError

PROPOSED = 0.8
"""Probability that SSH must give a proposal."""
JUDGED = (0.6, 0.7)
"""Probabilities that R-Net and O-Net must give, as facenet-pytorch sets them."""


class CascadeDetector:
    """Keeps of SSH's faces those that MTCNN's R-Net and O-Net take for faces too.

    Implements Ren et al., section 4, Face Detection: SSH at a score above 0.8, then MTCNN as a
    binary classifier. Differs from the paper: which of MTCNN's stages judge is not said there;
    here all after the proposals, each on SSH's own box made square. The box, the score and the
    landmarks stay SSH's.
    """

    def __init__(
        self,
        *,
        network: Network | None = None,
        proposed: float = PROPOSED,
        judged: tuple[float, float] = JUDGED,
        longest: int = 640,
        device: str = "cpu",
    ) -> None:
        """Loads SSH, R-Net and O-Net.

        Args:
            network: SSH, compiled for instance; the shipped one by default.
            proposed: probability in [0, 1] from which on SSH proposes.
            judged: probabilities in [0, 1] from which on R-Net and O-Net agree.
            longest: pixels of the longer side that SSH sees at most.
            device: where the networks run.

        Raises:
            ConfigError: a threshold is no probability.
            CheckpointError: the shipped weights are missing or damaged.
        """
        if not all(0 <= threshold <= 1 for threshold in judged):
            raise ConfigError(f"R-Net and O-Net thresholds {judged}: use two numbers from 0 to 1")
        from facenet_pytorch.models.mtcnn import ONet, RNet

        self.propose = SshDetector(network=network, threshold=proposed, longest=longest, device=device)
        self.judges: Sequence[tuple[nn.Module, int, float]] = (
            (RNet().eval().to(device), 24, judged[0]),
            (ONet().eval().to(device), 48, judged[1]),
        )
        self.device = device

    def __call__(self, frames: Tensor) -> list[Faces]:
        """The faces of each frame.

        Args:
            frames: `(B, 3, H, W)` in [0, 1], of any size.

        Returns:
            One `Faces` a frame, on the CPU, the surest first; empty where nobody is found.
        """
        return [self._agreed(frame, faces) for frame, faces in zip(frames, self.propose(frames), strict=True)]

    @torch.inference_mode()
    def _agreed(self, frame: Tensor, faces: Faces) -> Faces:
        """Those of a frame's proposals that every judge takes for a face."""
        frame = frame.detach().float().to(self.device)
        for network, side, threshold in self.judges:
            if not len(faces):
                break
            crops = [square_crop(frame, box, side=side) for box in faces.boxes]
            likely: Tensor = network(2 * torch.stack(crops) - 1)[-1][:, 1].cpu()
            kept = likely >= threshold
            faces = Faces(boxes=faces.boxes[kept], scores=faces.scores[kept], landmarks=faces.landmarks[kept])
        return faces


def square_crop(frame: Tensor, box: Tensor, *, side: int) -> Tensor:
    """The square around a box, cut off at the frame's edge and resized, as MTCNN crops.

    Args:
        frame: `(3, H, W)`.
        box: `(4,)` xyxy pixels.
        side: of the crop.

    Returns:
        `(3, side, side)`.

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

"""Faces by SSH: one small network that finds faces of every size in one pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from anonlib.assets import data_path, load_weights
from anonlib.detection.faces import Faces
from anonlib.detection.search import check_settings, sized
from anonlib.errors import CheckpointError
from anonlib.geometry import nms
from anonlib.networks.ssh import Ssh, anchors, decode_boxes, decode_landmarks

Network = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""Pictures `(B, 3, H, W)` in [0, 1], H and W multiples of 32, to logits `(B, A)`, offsets of boxes
`(B, A, 4)` and of landmarks `(B, A, 10)`; `Ssh` is one."""

THRESHOLD = 0.5
"""Smallest score of a face; chosen on held-out training people."""
LONGEST = 640
"""Longer side in pixels of the largest picture that the network gets."""
OVERLAP = 0.4
"""If two boxes overlap by more (IoU), the one with the lower score is dropped."""
_BATCH = 16
_anchors = lru_cache(maxsize=4)(anchors)


class SshDetector:
    """Finds the faces of frames by SSH.

    Implements Ren et al., section 4, Face Detection, the first half of the cascade.
    Differs from the paper: the network is thinner, and each frame is searched at one size only.
    """

    def __init__(
        self,
        *,
        network: Network | None = None,
        threshold: float = THRESHOLD,
        longest: int = LONGEST,
        device: str = "cpu",
    ) -> None:
        """Loads the shipped network, or takes another one, for example compiled.

        Frames with a side of more than `longest` pixels are scaled down; none is enlarged.

        Raises:
            ConfigError: the threshold is not a probability, or `longest` is under 32 pixels.
            CheckpointError: the shipped weights are missing or damaged.
        """
        check_settings(threshold=threshold, longest=longest)
        self.network = load_ssh(device=device) if network is None else network
        self.threshold, self.longest, self.device = threshold, longest, device

    def __call__(self, frames: Tensor) -> list[Faces]:
        """The faces of each frame `(B, 3, H, W)` in [0, 1] of any size, on the CPU."""
        return [faces for batch in frames.split(_BATCH) for faces in self._find(batch)]

    @torch.inference_mode()
    def _find(self, frames: Tensor) -> list[Faces]:
        small, scale = sized(frames.detach().float().to(self.device), longest=self.longest)
        outputs = [part.float().cpu() for part in self.network(small)]
        places = _anchors(*small.shape[2:])
        found = []
        for logits, offsets, points in zip(*outputs, strict=True):
            scores = logits.sigmoid()
            sure = scores >= self.threshold
            boxes = decode_boxes(offsets[sure], places[sure])
            kept = nms(boxes, scores[sure], OVERLAP)
            faces = Faces(
                boxes=boxes[kept] * scale.repeat(2),
                scores=scores[sure][kept],
                landmarks=decode_landmarks(points[sure], places[sure])[kept] * scale,
            )
            found.append(faces)
        return found


def load_ssh(path: Path | None = None, *, device: str = "cpu") -> Ssh:
    """The shipped network, or other weights of `recipes/train_face_detector.py`, ready to detect.

    Raises:
        CheckpointError: the weights are missing, damaged or of another network.
    """
    path = path or data_path("weights", "face-detector.safetensors")
    tensors, config = load_weights(path)
    try:
        network = Ssh(config["width"])
        network.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(
            f"weights {path} are not SSH's: restore the file from the repository or train it again"
        ) from error
    return network.eval().to(device)

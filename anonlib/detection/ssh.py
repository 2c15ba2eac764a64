"""All faces of a frame by SSH: one small network, one pass, every size at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torchvision.ops import batched_nms

from anonlib.assets import data_path
from anonlib.detection.mtcnn import Faces
from anonlib.errors import CheckpointError, ConfigError
from anonlib.networks.compiled import compiled_if_possible
from anonlib.networks.ssh import Ssh, anchors, decode_boxes, decode_landmarks

Network = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""Pictures `(B, 3, H, W)` in [0, 1], H and W multiples of 32, to logits `(B, A)`, offsets of boxes
`(B, A, 4)` and of landmarks `(B, A, 10)`; `Ssh` is one."""

THRESHOLD = 0.5
"""Probability from which on a find is shown; chosen on held-back training people."""
LONGEST = 640
"""Pixels of the longer side that the network sees at most."""
OVERLAP = 0.4
"""Of two finds that overlap by more only the surer is kept."""
_COARSEST = 32
_BATCH = 16
_anchors = lru_cache(maxsize=4)(anchors)


class SshDetector:
    """Finds the faces of frames by SSH.

    Implements Ren et al., section 4, Face Detection, the first half of the cascade.
    Differs from the paper: a thin network, a frame seen at one size.
    """

    def __init__(
        self,
        *,
        network: Network | None = None,
        threshold: float = THRESHOLD,
        longest: int = LONGEST,
        device: str = "cpu",
    ) -> None:
        """Loads the shipped network, or takes another that computes the same.

        Args:
            network: a compiled network, for instance; the shipped one in torch by default.
            threshold: probability in [0, 1] from which on a find is a face.
            longest: frames with a longer side are reduced to it; none is enlarged.
            device: where the shipped network runs.

        Raises:
            ConfigError: the threshold is no probability, or `longest` is under 32 pixels.
            CheckpointError: the shipped weights are missing or damaged.
        """
        if not 0 <= threshold <= 1:
            raise ConfigError(f"threshold {threshold}: use a number from 0 to 1")
        if longest < _COARSEST:
            raise ConfigError(f"longest side {longest}: use {_COARSEST} pixels or more")
        self.network = load_ssh(device=device) if network is None else network
        self.threshold, self.longest, self.device = threshold, longest, device

    def __call__(self, frames: Tensor) -> list[Faces]:
        """The faces of each frame.

        Args:
            frames: `(B, 3, H, W)` in [0, 1], of any size.

        Returns:
            One `Faces` a frame, on the CPU, the surest first; empty where nobody is found.
        """
        return [faces for part in frames.split(_BATCH) for faces in self._find(part)]

    @torch.inference_mode()
    def _find(self, frames: Tensor) -> list[Faces]:
        small, scale = reduced(frames.detach().float().to(self.device), longest=self.longest)
        logits, boxes, points = (part.float().cpu() for part in self.network(small))
        places = _anchors(*small.shape[2:])
        return [
            self._faces(logits[i].sigmoid(), boxes[i], points[i], places, scale) for i in range(len(frames))
        ]

    def _faces(self, scores: Tensor, boxes: Tensor, points: Tensor, places: Tensor, scale: Tensor) -> Faces:
        """Faces of one frame, in its pixels, from what is said at every anchor."""
        sure = scores >= self.threshold
        scores, places = scores[sure], places[sure]
        found = decode_boxes(boxes[sure], places)
        kept = batched_nms(found, scores, torch.zeros(len(found)), OVERLAP)
        landmarks = decode_landmarks(points[sure][kept], places[kept])
        return Faces(boxes=found[kept] * scale.repeat(2), scores=scores[kept], landmarks=landmarks * scale)


def load_ssh(path: Path | None = None, *, device: str = "cpu") -> Ssh:
    """The shipped network, ready to detect.

    Args:
        path: other weights, as the training script writes them.
        device: where it shall run.

    Raises:
        CheckpointError: the weights are missing, damaged or do not fit.
    """
    path = path or data_path("weights", "face-detector.safetensors")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            network = Ssh(json.loads(file.metadata()["config"])["width"])
        network.load_state_dict(tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(
            f"weights {path} are missing, damaged or not SSH's ({type(error).__name__}); restore "
            "the file from the repository or train it again"
        ) from error
    return network.eval().to(device)


def fast_ssh(*, device: str = "cpu") -> Network:
    """The shipped network; compiled on a CPU where OpenVINO is installed.

    Raises:
        CheckpointError: see `load_ssh`.
    """
    network = load_ssh(device=device)
    if device == "cpu":
        example = torch.rand(2, 3, 2 * _COARSEST, 3 * _COARSEST)
        return compiled_if_possible(network, example, threads=1, free_sides=True)
    return network


def reduced(frames: Tensor, *, longest: int) -> tuple[Tensor, Tensor]:
    """Frames no longer than `longest`, with a border on the right and below to multiples of 32.

    Args:
        frames: `(B, 3, H, W)`.
        longest: pixels.

    Returns:
        `(B, 3, H', W')`, and `(2,)` the pixels of the frame in one of its own, along x and y.

    >>> small, scale = reduced(torch.rand(1, 3, 100, 200), longest=100)
    >>> small.shape, scale
    (torch.Size([1, 3, 64, 128]), tensor([2., 2.]))
    """
    height, width = frames.shape[2:]
    share = min(1.0, longest / max(height, width))
    size = (max(1, round(height * share)), max(1, round(width * share)))
    if size != (height, width):
        frames = F.interpolate(frames, size, mode="bilinear", antialias=True)
    below, right = (-side % _COARSEST for side in size)
    return F.pad(frames, (0, right, 0, below)), torch.tensor([width / size[1], height / size[0]])

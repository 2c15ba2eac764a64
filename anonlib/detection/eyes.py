"""The eyelids of faces whose mesh is known. The mesh itself hardly shows whether eyes are open."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from anonlib.detection.windows import Window, view
from anonlib.networks.compiled import compiled_if_possible
from anonlib.networks.eye_mesh import SIDE, load_eye_mesh

Network = Callable[[Tensor], Tensor]
"""Pictures `(B, 3, 64, 64)` in [0, 1] to contours `(B, 71, 2)`; `EyeMesh` is one."""

_CORNERS = ((33, 133), (362, 263))
"""Left and right corner, as seen, of the eye on the left and of the one on the right of the picture."""
_MARGIN = 2.3
"""Side of the window in widths of the eye, as the network was trained."""


class EyeLandmarks:
    """Finds the eyelids of the face in each crop."""

    def __init__(self, *, network: Network | None = None, device: str = "cpu") -> None:
        """Loads the shipped network, compiled on a CPU, or takes another one.

        Raises:
            CheckpointError: the shipped weights are missing or damaged.
        """
        self.device = device
        if network is None:
            network = load_eye_mesh(device=device)
            if device == "cpu":
                example = torch.rand(2, 3, SIDE, SIDE)
                network = compiled_if_possible(network, example, threads=1, exact=True, keep=True)
        self.network = network

    @torch.inference_mode()
    def __call__(self, crops: Sequence[Tensor], points: Tensor) -> Tensor:
        """Eyelids `(N, 2, 16, 2)` in xy pixels of the crops, on the CPU.

        The second dimension is the eye, the one on the left of the picture first. The third: 0 outer
        corner, 1 to 7 lower lid, 8 inner corner, 9 to 15 upper lid, both from outer to inner.

        Args:
            crops: RGB `(3, h, w)` in [0, 1], each of its own size.
            points: `(N, 468, 3)` meshes of their faces, from `MeshLandmarks`.
        """
        windows = [_window(mesh[list(pair), :2]) for mesh in points for pair in _CORNERS]
        if not windows:
            return torch.zeros(0, 2, 16, 2)
        views = torch.stack([view(crops[i // 2], window, SIDE) for i, window in enumerate(windows)])
        views[1::2] = views[1::2].flip(3)  # the network knows the eye on the left
        eyelids = self.network(views.to(self.device))[:, :16].float().cpu().clone()
        eyelids[1::2, :, 0] = SIDE - eyelids[1::2, :, 0]
        placed = [window.placed(lids, SIDE) for lids, window in zip(eyelids, windows, strict=True)]
        return torch.stack(placed).unflatten(0, (-1, 2))


def eye_opening(eyelids: Tensor) -> Tensor:
    """Height by width of each eye, `(N, 2)`, from eyelids `(N, 2, 16, 2)`.

    The height is the mean distance of the three middle points of the upper from those of the lower lid.
    """
    height = (eyelids[:, :, 11:14] - eyelids[:, :, 3:6]).norm(dim=-1).mean(-1)
    return height / (eyelids[:, :, 0] - eyelids[:, :, 8]).norm(dim=-1)


def _window(corners: Tensor) -> Window:
    """Around the corners of an eye `(2, 2)`."""
    x, y = corners.mean(0).tolist()
    right, down = (corners[1] - corners[0]).tolist()
    return Window(x, y, math.atan2(down, right), _MARGIN * max(math.hypot(right, down), 1.0))

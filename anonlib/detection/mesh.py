"""The 468 points of faces. The network runs again until the face is upright and centred in its window."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeGuard

import torch
from torch import Tensor

from anonlib.detection.windows import Window, view
from anonlib.errors import ImageError
from anonlib.networks.compiled import compiled_if_possible
from anonlib.networks.face_mesh import POINTS, SIDE, load_face_mesh

Network = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Pictures `(B, 3, 192, 192)` in [0, 1] to points `(B, 468, 3)` and logits `(B,)`; `FaceMesh` is one."""

MARGIN = 1.5
"""Side of the window that the network reads, in multiples of the face; as it was trained."""
PRESENT = 0.5
"""Smallest score of a face."""
_OUTER_EYES = (33, 263)
_FIRST_LOOK = 0.75
"""Side of the first window in multiples of the crop's longer side, where no start is given."""
_LOOKS = 4


class MeshLandmarks:
    """Finds 468 points of the one face in each crop.

    Implements the region of interest of Kartynnik et al., Real-time Facial Surface Geometry from
    Monocular Video on Mobile GPUs, 2019, section 2: upright by the eyes, 1.5 times the face.
    Differs from the paper: without a start, the first window is the middle of the crop; the network
    looks again, twice to four times in all, until the window fits the points that it found in it.
    """

    def __init__(self, *, network: Network | None = None, device: str = "cpu") -> None:
        """Loads the shipped network, compiled on a CPU, or takes another one.

        Raises:
            CheckpointError: the shipped weights are missing or damaged.
        """
        self.network = network or fast_face_mesh(device=device)
        self.device = device

    @torch.inference_mode()
    def __call__(
        self, crops: Sequence[Tensor], starts: Sequence[Tensor | None] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Points `(N, 468, 3)` in pixels of the crops and scores `(N,)` in [0, 1], on the CPU.

        A pixel's centre is at its index plus 0.5. z has the unit of x and y; smaller is nearer. A score
        is the network's probability of a face in its last window. The points are only to be trusted
        where it is `PRESENT` or more.

        Args:
            crops: RGB `(3, h, w)` in [0, 1], each of its own size, a face in the middle third.
            starts: for each crop None, the mesh of the previous frame `(468, 3)` in pixels of this
                crop (one look is then mostly enough), or five landmarks `(5, 2)`. If no face is
                seen there, the search starts again from the middle.

        Raises:
            ImageError: a crop is not `(3, h, w)`, a start has another shape, or their numbers differ.
        """
        starts = [None] * len(crops) if starts is None else starts
        _check(crops, starts)
        windows = [_first(*pair) for pair in zip(crops, starts, strict=True)]
        points, scores = torch.zeros(len(crops), POINTS, 3), torch.zeros(len(crops))
        todo = list(range(len(crops)))
        for look in range(_LOOKS):
            if todo:
                seen = self._look([crops[i] for i in todo], [windows[i] for i in todo])
                points[todo], scores[todo] = seen
            before = list(windows)
            for i in todo:
                lost = look == 0 and starts[i] is not None and scores[i] < PRESENT
                windows[i] = _first(crops[i], None) if lost else _around(points[i])
            guessed = [look == 0 and not _is_mesh(start) for start in starts]
            todo = [i for i in todo if guessed[i] or not windows[i].close(before[i])]
        return points, scores

    def _look(self, crops: Sequence[Tensor], windows: list[Window]) -> tuple[Tensor, Tensor]:
        """Points in the crops and scores, seen through one window for each."""
        views = torch.stack([view(crop, window, SIDE) for crop, window in zip(crops, windows, strict=True)])
        found, logits = (part.float().cpu() for part in self.network(views.to(self.device)))
        placed = torch.stack([window.placed(part, SIDE) for part, window in zip(found, windows, strict=True)])
        return placed, logits.sigmoid()


def fast_face_mesh(*, device: str = "cpu") -> Network:
    """The shipped network; on a CPU compiled, see `compiled_if_possible`.

    Raises:
        CheckpointError: the shipped weights are missing or damaged.
    """
    network = load_face_mesh(device=device)
    if device == "cpu":
        return compiled_if_possible(network, torch.rand(2, 3, SIDE, SIDE), threads=1, exact=True, keep=True)
    return network


def _check(crops: Sequence[Tensor], starts: Sequence[Tensor | None]) -> None:
    for crop in crops:
        if crop.ndim != 3 or len(crop) != 3 or not crop.numel():
            raise ImageError(f"a crop has shape {tuple(crop.shape)}: use RGB (3, h, w)")
    shapes = {tuple(start.shape) for start in starts if start is not None}
    if len(starts) != len(crops) or not shapes <= {(POINTS, 3), (5, 2)}:
        raise ImageError(
            f"starts {sorted(shapes)} for {len(crops)} crops: give each crop None, a mesh (468, 3) "
            "or landmarks (5, 2)"
        )


def _is_mesh(start: Tensor | None) -> TypeGuard[Tensor]:
    return start is not None and len(start) == POINTS


def _first(crop: Tensor, start: Tensor | None) -> Window:
    """Where to look first."""
    height, width = crop.shape[1:]
    if start is None:
        return Window(width / 2, height / 2, 0.0, _FIRST_LOOK * max(height, width))
    if _is_mesh(start):
        return _around(start)
    eyes, mouth, across = start[:2].mean(0), start[3:].mean(0), start[1] - start[0]
    side = 4.2 * max(across.norm().item(), 0.8 * (mouth - eyes).norm().item(), 1.0)
    x, y = (0.55 * eyes + 0.45 * mouth).tolist()
    return Window(x, y, math.atan2(across[1].item(), across[0].item()), side)


def _around(points: Tensor) -> Window:
    """The window about a mesh `(468, 3)`, its outer corners of the eyes level."""
    left, right = _OUTER_EYES
    across = (points[right] - points[left]).tolist()
    level = Window(0.0, 0.0, math.atan2(across[1], across[0]), 1.0)
    turned = points[:, :2] @ level.axes()
    low, high = turned.amin(0), turned.amax(0)
    x, y = (level.axes() @ ((low + high) / 2)).tolist()
    return Window(x, y, level.angle, MARGIN * max((high - low).max().item(), 1.0))

"""What CIAGAN sees of a face: a drawing of few landmarks, and the picture with a hole where the face was.

No colour of the face passes to the generator, except in the ablation `CiaganConfig.face`. The crop depends on
the inner corners of the eyes, so training and use agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from anonlib.detection.mesh import PRESENT
from anonlib.detection.windows import Window, view
from anonlib.geometry import warp_affine
from anonlib.networks.ciagan import SIZE
from anonlib.types import Images

FindPoints = Callable[[Sequence[Tensor]], tuple[Tensor, Tensor]]
"""Crops `(3, h, w)` to mesh points `(N, 468, 3)` and scores `(N,)`; `detection.MeshLandmarks` is one."""
SCALE = 8.0
"""Side of the crop, in distances of the inner corners of the eyes."""
_INNER_EYES = (133, 362)
_LEFT_JAW = (127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148)
JAW = (*_LEFT_JAW, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356)
"""Points of the mesh from the left temple over the chin to the right one; dlib's 0-16."""
NOSE = (168, 6, 197, 195)
"""The bridge of the nose; dlib's 27-30."""
MOUTH = (78, 81, 13, 311, 308, 402, 14, 178, 78)
"""The inner edge of the lips, closed; dlib's 60-67."""
BROWS = (300, 334, 105, 70)
"""The upper edge of the brows, from the right."""
_FINE = 4
"""Lines and edges are drawn so many times finer, then averaged, so that they move smoothly in a video."""

_MARGIN = 2
"""Pixels by which the hole is wider than the face, and in which it then fades, so that no seam is left."""


class Conditions(NamedTuple):
    """Faces in their crops, as CIAGAN needs them; all `(B, ..., SIZE, SIZE)` in [0, 1]."""

    images: Tensor
    """`(B, 3, ...)` the pictures."""
    drawings: Tensor
    """`(B, 3, ...)` blue lines on white: jaw, bridge of the nose, inner mouth."""
    masks: Tensor
    """`(B, 1, ...)` opacity of what the generator draws."""

    def seen(self, *, face: bool = False) -> Tensor:
        """What the generator sees, `(B, 6, ...)`: drawing, and picture that is zero wherever it draws.

        With `face`, the clear picture is in the place of the drawing; see `CiaganConfig.face`.
        """
        first = self.images if face else self.drawings
        return torch.cat([first, self.images * (self.masks <= 0)], 1)

    def composed(self, drawn: Tensor) -> Tensor:
        """The pictures with drawn faces `(B, 3, ...)` in their holes."""
        return torch.lerp(self.images, drawn, self.masks)


def window_of(points: Tensor) -> Window:
    """The crop of a face with mesh points `(468, 2 or 3)`, in the pixels of the points.

    Implements the crop of CIAGAN's public code, centred between the inner corners of the eyes. Differs from
    the paper: it is a square; its size is 8 eye distances, between those of the code's training and test.
    """
    left, right = points[list(_INNER_EYES), :2]
    x, y = ((left + right) / 2).tolist()
    return Window(x, y, 0.0, SCALE * max(float((right - left).norm()), 1.0))


def conditions_of(picture: Tensor, points: Tensor) -> tuple[Window, Conditions]:
    """The crop of the face with these points in a picture `(3, h, w)` in [0, 1], a batch of one.

    Implements the inputs of CIAGAN. Differs from the paper: points of a mesh stand for dlib's 68; the whole
    brows are hidden, the paper's mask leaves their ends; its edge is sharp.
    """
    window = window_of(points)
    flat = (points[:, :2] - torch.tensor([window.x, window.y])) * (SIZE / window.side) + SIZE / 2
    drawing, mask = draw(flat)
    return window, Conditions(view(picture, window, SIZE)[None], drawing[None], mask[None])


def draw(points: Tensor) -> tuple[Tensor, Tensor]:
    """The drawing `(3, SIZE, SIZE)` and the mask `(1, SIZE, SIZE)` for points `(468, 2)` in its pixels."""
    side = SIZE * _FINE
    lines, hole = Image.new("L", (side, side)), Image.new("L", (side, side))
    for indices in (JAW, NOSE, MOUTH):
        corners = points[list(indices)] * _FINE
        ImageDraw.Draw(lines).line(corners.flatten().tolist(), fill=255, width=_FINE)
    ImageDraw.Draw(hole).polygon((points[list(JAW + BROWS)] * _FINE).flatten().tolist(), fill=255)
    planes = [torch.from_numpy(np.array(plane.reduce(_FINE)))[None] for plane in (lines, hole)]
    ink, mask = (plane.float() / 255 for plane in planes)
    wider = F.max_pool2d(mask, 2 * _MARGIN + 1, stride=1, padding=_MARGIN)
    soft = F.avg_pool2d(wider, 2 * _MARGIN + 1, stride=1, padding=_MARGIN)
    return torch.cat([1 - ink, 1 - ink, torch.ones_like(ink)]), soft


def into_picture(layers: Tensor, window: Window, size: tuple[int, int]) -> Tensor:
    """Layers `(1, C, SIZE, SIZE)` of a crop in the picture of that height and width, 0 outside the crop."""
    linear = window.axes() * (window.side / SIZE)
    shift = torch.tensor([[window.x], [window.y]]) - linear.sum(1, keepdim=True) * (SIZE / 2)
    return warp_affine(layers, torch.cat([linear, shift], 1)[None].to(layers), size)[0]


def condition(images: Images, find: FindPoints) -> tuple[Conditions, list[Window], Tensor]:
    """Of all pictures `(N, 3, h, w)` uint8 in which the mesh is found: conditions, crops, rows."""
    kept, windows, rows = [], [], []
    for start, part in zip(range(0, len(images), 64), images.split(64), strict=True):
        pictures = list(part.float() / 255)
        for index, (picture, points, score) in enumerate(zip(pictures, *find(pictures), strict=True)):
            if score >= PRESENT:
                window, conditions = conditions_of(picture, points)
                kept.append(conditions)
                windows.append(window)
                rows.append(start + index)
    return Conditions(*[torch.cat(part) for part in zip(*kept, strict=True)]), windows, torch.tensor(rows)

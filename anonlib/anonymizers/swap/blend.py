"""Draws the new face into the picture: same place, same light, soft edge."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers.swap.light import SCALE, light_field, lit
from anonlib.anonymizers.swap.mask import soft_mask
from anonlib.anonymizers.swap.model import MeshModel
from anonlib.anonymizers.swap.person import Person
from anonlib.anonymizers.swap.render import fill_polygon, mesh_places, place_mesh, sample_texture
from anonlib.anonymizers.swap.state import State
from anonlib.geometry import resize

LARGEST = 192
"""Largest side in pixels at which a face is drawn. It is enlarged for larger windows."""
COARSE = 96
"""The same for what is smooth: light, edges and the places of the mesh."""
MARGIN = 0.12
"""Free space around the face in its window, in heights of the face."""
EDGE = 0.03
"""Width of the soft edge, in heights of the face."""
MOST_CHANGE = 1.5
"""The texture follows a measure up to this many standard deviations; the shape follows it without limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The part of a crop in which the face is drawn."""

    corners: tuple[int, int, int, int]
    """Whole pixels of the crop, xyxy."""
    picture: Tensor
    """`(3, h, w)` in [0, 1], at most `COARSE` pixels a side."""
    points: Tensor
    """`(468, 3)` in pixels of this picture."""

    @staticmethod
    def around(points: Tensor, crop: Tensor) -> Window:
        """The window about a mesh `(468, 3)` in a crop `(3, h, w)`."""
        height, width = crop.shape[1:]
        low, high = points[:, :2].amin(0), points[:, :2].amax(0)
        margin = MARGIN * float(high[1] - low[1]) + 2
        x0, y0 = (max(0, int(v)) for v in (low - margin).tolist())
        x1, y1 = (
            min(side, int(v) + 1) for v, side in zip((high + margin).tolist(), (width, height), strict=True)
        )
        part = crop[:, y0:y1, x0:x1]
        small = resize(part[None], small_size(part.shape[1], part.shape[2], COARSE))[0]
        across, down = small.shape[2] / part.shape[2], small.shape[1] / part.shape[1]
        scale = torch.tensor([across, down, (across + down) / 2])
        moved = (points - torch.tensor([x0, y0, 0])) * scale
        return Window(corners=(x0, y0, x1, y1), picture=small, points=moved)

    @property
    def face_height(self) -> float:
        """Height of the face in pixels of the window."""
        return float(self.points[:, 1].max() - self.points[:, 1].min())

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in which the face is drawn, at most `LARGEST`."""
        x0, y0, x1, y1 = self.corners
        return small_size(y1 - y0, x1 - x0, LARGEST)


def small_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """Height and width, scaled down so that the longer side is at most `longest`."""
    shrink = max(1.0, max(height, width) / longest)
    return round(height / shrink), round(width / shrink)


class Drawn(NamedTuple):
    """A new face, of the size `Window.size`."""

    face: Tensor
    """`(3, h, w)` in [0, 1]."""
    opacity: Tensor
    """`(1, h, w)` in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """What a new face is drawn from. Nothing is computed before `drawn` is asked for."""

    window: Window
    person: Person
    model: MeshModel
    state: State
    """Of the points of the window."""
    logits: Tensor
    """`(1, 96, 96)` say what is in front of the face, see `Masker.logits`."""
    head: bool = False
    """Whether the whole head is replaced. Then the outline of the real face is not followed, and nothing in
    front of it is kept."""

    @cached_property
    def drawn(self) -> Drawn:
        """The new face."""
        window, model, expression = self.window, self.model, self.state.expression[0]
        height, width = window.picture.shape[1:]
        outline = window.points[model.oval, :2]
        mesh = place_mesh(self.person.shape, self.state, None if self.head else outline, model)
        places, covered = mesh_places(mesh, model, height=height, width=width)
        opacity = soft_inside(covered, edge=max(1, round(EDGE * window.face_height)))[None]
        visible = opacity * soft_mask(self.logits, window.points, (height, width), edge=False)
        skin = (visible[0] > 0.5) & fill_polygon(outline, height=height, width=width)  # of the real face
        field = light_field(window.picture, skin.float(), sigma=SCALE * window.face_height)
        coarse = torch.cat([places, field, opacity if self.head else visible])[None]
        places, field, shown = F.interpolate(coarse, window.size, mode="bilinear")[0].split([2, 3, 1])
        usual = expression.clamp(-MOST_CHANGE * model.spread, MOST_CHANGE * model.spread)
        texture = self.person.texture + torch.einsum("e,echw->chw", usual, model.changes)
        return Drawn(lit(sample_texture(texture, places), field), shown)


def soft_inside(drawn: Tensor, *, edge: int) -> Tensor:
    """1 inside a region `(h, w)` bool, falling to 0 at its border over about two edges; `(h, w)`."""
    soft = drawn.float()[None]
    for kernel in ((1, 2 * edge + 1), (2 * edge + 1, 1)) * 2:
        soft = F.avg_pool2d(soft, kernel, 1, [side // 2 for side in kernel], count_include_pad=False)
    return (2 * soft[0] - 1).clamp(0, 1) * drawn


def paste(
    crop: Tensor, corners: tuple[int, int, int, int], drawn: Drawn, *, front: Tensor | None = None
) -> Tensor:
    """The crop in which the window with these corners shows the face; pixels of opacity 0 stay as they are.

    `front` `(1, H, W)` is the opacity of what is in front of the face in the crop.
    """
    x0, y0, x1, y1 = corners
    both = torch.cat([drawn.face, drawn.opacity])[None]
    face, opacity = resize(both, (y1 - y0, x1 - x0))[0].split([3, 1])
    if front is not None:
        opacity = opacity * (1 - front[:, y0:y1, x0:x1])
    out = crop.clone()
    part = out[:, y0:y1, x0:x1]
    part += opacity * (face - part)
    return out

"""Draws the new face into the picture: same place, same light, soft edge."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers.swap.light import SCALE, light_field, lit
from anonlib.anonymizers.swap.mask import Masker, soft_mask
from anonlib.anonymizers.swap.model import MeshModel
from anonlib.anonymizers.swap.person import Person
from anonlib.anonymizers.swap.render import draw_mesh, fill_polygon, place_mesh
from anonlib.anonymizers.swap.state import read_state
from anonlib.geometry import resize

LARGEST = 256
"""A face with a longer side in pixels is drawn at this size and enlarged."""
MARGIN = 0.12
"""Free space around the face in its window, in heights of the face."""
EDGE = 0.03
"""Width of the soft edge, in heights of the face."""
MOST_CHANGE = 1.5
"""Standard deviations of a measure up to which the texture follows it; the shape follows it always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The part of a crop in which the face is drawn, at most `LARGEST` pixels a side."""

    corners: tuple[int, int, int, int]
    """Whole pixels of the crop, xyxy."""
    picture: Tensor
    """`(3, h, w)` in [0, 1]."""
    points: Tensor
    """`(468, 3)` in its pixels."""

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
        shrink = max(1.0, max(part.shape[1:]) / LARGEST)
        small = resize(part[None], (round(part.shape[1] / shrink), round(part.shape[2] / shrink)))[0]
        scale = torch.tensor([small.shape[2] / part.shape[2], small.shape[1] / part.shape[1], 1 / shrink])
        moved = (points - torch.tensor([x0, y0, 0])) * scale
        return Window(corners=(x0, y0, x1, y1), picture=small, points=moved)

    @property
    def face_height(self) -> float:
        """Height of the face in pixels of the window."""
        return float(self.points[:, 1].max() - self.points[:, 1].min())


def draw_face(
    window: Window, person: Person, model: MeshModel, masker: Masker, *, openings: Tensor, head: bool = False
) -> tuple[Tensor, Tensor]:
    """The new face `(3, h, w)` in [0, 1] and its opacity `(1, h, w)` in the window.

    Args:
        masker: finds what is in front of the face.
        openings: `(1, 2)` of the eyes, see `read_state`.
        head: whether the whole head is replaced. Then the outline of the real face is not followed, and
            nothing in front of it is kept.
    """
    height, width = window.picture.shape[1:]
    state = read_state(window.points[None], model, openings=openings)
    outline = window.points[model.oval, :2]
    mesh = place_mesh(person.shape, state, None if head else outline, model)
    usual = state.expression[0].clamp(-MOST_CHANGE * model.spread, MOST_CHANGE * model.spread)
    texture = person.texture + torch.einsum("e,echw->chw", usual, model.changes)
    skin, drawn = draw_mesh(mesh, texture, model, height=height, width=width)
    opacity = soft_inside(drawn, edge=max(1, round(EDGE * window.face_height)))[None]
    logits = masker.logits([window.picture], [window.points])[0]
    visible = opacity * soft_mask(logits, window.points, (height, width), edge=False)
    skin_seen = (visible[0] > 0.5) & fill_polygon(outline, height=height, width=width)
    field = light_field(window.picture, skin_seen.float(), sigma=SCALE * window.face_height)
    return lit(skin, field), opacity if head else visible


def soft_inside(drawn: Tensor, *, edge: int) -> Tensor:
    """1 inside a region `(h, w)` bool, falling to 0 at its border over about two edges; `(h, w)`."""
    inner = -F.max_pool2d(-drawn.float()[None, None], 2 * edge + 1, 1, edge)
    for _ in range(2):
        inner = F.avg_pool2d(inner, 2 * (edge // 2) + 1, 1, edge // 2, count_include_pad=False)
    return inner[0, 0] * drawn


def paste(
    crop: Tensor, window: Window, face: Tensor, opacity: Tensor, *, front: Tensor | None = None
) -> Tensor:
    """The crop in which the window shows the face; pixels of opacity 0 stay as they are.

    `front` `(1, H, W)` is the opacity of what is in front of the face in the crop.
    """
    x0, y0, x1, y1 = window.corners
    face, opacity = resize(torch.cat([face, opacity])[None], (y1 - y0, x1 - x0))[0].split([3, 1])
    if front is not None:
        opacity = opacity * (1 - front[:, y0:y1, x0:x1])
    out = crop.clone()
    part = out[:, y0:y1, x0:x1]
    part += opacity * (face - part)
    return out

"""Draws the new person's face in the seen place, turn and expression.

Besides the state, only the outline of the real face passes: 36 points on the border of what stays
visible. The outline of the drawing follows them, so that no second chin or cheek remains.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from anonlib.anonymizers.swap.model import MeshModel
from anonlib.anonymizers.swap.state import State


def fill_polygon(corners: Tensor, *, height: int, width: int) -> Tensor:
    """The pixels `(h, w)` bool inside a polygon with `(n, 2)` corners in pixels."""
    canvas = Image.new("1", (width, height), 0)
    ImageDraw.Draw(canvas).polygon((corners - 0.5).flatten().tolist(), fill=1)
    return torch.from_numpy(np.array(canvas))


def place_mesh(shape: Tensor, state: State, outline: Tensor | None, model: MeshModel) -> Tensor:
    """The points of a new person's face in the picture, `(468, 3)` pixels.

    Args:
        shape: `(468, 3)` of the person at mean expression.
        state: of one face.
        outline: `(36, 2)` the seen outline, in pixels; without it the person keeps the own one.
    """
    moved = shape + torch.einsum("e,epi->pi", state.expression[0], model.expression)
    points = state.scale[0] * moved @ state.rotation[0].T + state.place[0]
    if outline is not None:
        points[:, :2] += model.follow @ (outline - points[model.oval, :2])
    return points


def draw_mesh(
    points: Tensor, texture: Tensor, model: MeshModel, *, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """The textured mesh `(3, h, w)` and where it is drawn `(h, w)` bool.

    Triangles that face away are left out; the nearer ones are drawn over the farther ones.

    Args:
        points: `(468, 3)` in pixels of the picture to be drawn.
        texture: `(3, H, W)` of any three channels.
    """
    corners = points[model.triangles].numpy()
    one, two = corners[:, 1, :2] - corners[:, 0, :2], corners[:, 2, :2] - corners[:, 0, :2]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    order = np.argsort(-corners[:, :, 2].mean(1))
    order = order[area[order] > 1e-6]
    canvas = Image.new("I", (width, height), 0)
    pen = ImageDraw.Draw(canvas)
    for index, triangle in zip(
        order.tolist(), (corners[order, :, :2] - 0.5).reshape(-1, 6).tolist(), strict=True
    ):
        pen.polygon(triangle, fill=index + 1)
    owner = np.asarray(canvas)
    y, x = np.nonzero(owner)
    owner = owner[y, x] - 1
    first = corners[owner, 0, :2]
    px, py = x + 0.5 - first[:, 0], y + 0.5 - first[:, 1]
    a, b = one[owner], two[owner]
    u = (px * b[:, 1] - py * b[:, 0]) / area[owner]
    v = (py * a[:, 0] - px * a[:, 1]) / area[owner]
    places = model.uv.numpy()[model.triangles.numpy()[owner]]
    where = (
        places[:, 0] + u[:, None] * (places[:, 1] - places[:, 0]) + v[:, None] * (places[:, 2] - places[:, 0])
    )
    grid = torch.from_numpy(where.astype(np.float32)) * 2 - 1
    colours = F.grid_sample(
        texture[None], grid[None, None], mode="bilinear", padding_mode="border", align_corners=False
    )
    out, drawn = torch.zeros(3, height, width), torch.zeros(height, width, dtype=torch.bool)
    out[:, y, x] = colours[0, :, 0]
    drawn[y, x] = True
    return out, drawn

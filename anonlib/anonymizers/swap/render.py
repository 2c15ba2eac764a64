"""Draws the new person's face in the seen place, turn and expression.

Besides the state, only the outline of the real face passes: 36 points on the border of what stays
visible. The outline of the drawing follows them, so that no second chin or cheek remains.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from anonlib.anonymizers.swap.model import MeshModel
from anonlib.anonymizers.swap.state import State

SQUARES = (3, 6, 12)
"""Sides in pixels of the squares that small triangles fit in."""
CRACK = 1e-3
"""How far beyond its sides, as a share of them, a triangle covers a pixel, so that there are no cracks."""


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
        outline: `(36, 2)` the seen outline, in pixels; without it the outline is the new person's own.
    """
    moved = shape + torch.einsum("e,epi->pi", state.expression[0], model.expression)
    points = state.scale[0] * moved @ state.rotation[0].T + state.place[0]
    if outline is not None:
        points[:, :2] += model.follow @ (outline - points[model.oval, :2])
    return points


def mesh_places(points: Tensor, model: MeshModel, *, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The place in the texture that each pixel shows, `(2, h, w)` xy in [-1, 1], and where the mesh is.

    The second is `(h, w)` bool. Triangles that face away are left out; the nearer ones are drawn over the
    farther ones. Pixels beside the mesh continue its places, so that they can be enlarged.

    Args:
        points: `(468, 3)` in pixels of the picture to be drawn.
    """
    corners = points[model.triangles].numpy().astype(np.float32)
    order = np.argsort(-corners[:, :, 2].mean(1))
    flat = corners[order, :, :2]
    first, sides = flat[:, 0], flat[:, 1:] - flat[:, :1]
    area = sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0]
    front = np.flatnonzero(area > 1e-6)
    # rows of `inverse` take a pixel, relative to the first corner, to its shares of both sides
    inverse = np.stack([sides[:, 1, ::-1], sides[:, 0, ::-1]], 1) * [[1, -1], [-1, 1]]
    inverse = (inverse / np.where(area > 1e-6, area, 1)[:, None, None]).astype(np.float32)
    owner = np.full(height * width, -1)
    _own(owner.reshape(height, width), front, flat, inverse)
    # each triangle's affine map from a pixel to its place in the texture
    uv = 2 * model.uv.numpy()[model.triangles.numpy()[order]] - 1
    linear = (uv[:, 1:] - uv[:, :1]).transpose(0, 2, 1) @ inverse
    shift = uv[:, 0] - (linear @ (first - np.float32(0.5))[:, :, None])[:, :, 0]
    y, x = (each.astype(np.float32) for each in np.divmod(np.arange(height * width, dtype=np.int32), width))
    maps = np.concatenate([linear, shift[:, :, None]], 2).reshape(-1, 6).T[:, owner]
    where = [maps[0] * x + maps[1] * y + maps[2], maps[3] * x + maps[4] * y + maps[5]]
    places = torch.from_numpy(np.stack([*where, np.ones_like(x)]) * (owner >= 0)).reshape(3, height, width)
    inside, around = places[2] > 0, F.interpolate(places[None], (height // 4, width // 4), mode="area")
    around = F.interpolate(around, (height, width), mode="bilinear")[0]
    return torch.where(inside, places[:2], around[:2] / around[2:].clamp(min=1e-6)), inside


def _own(owner: NDArray[Any], which: NDArray[Any], flat: NDArray[Any], inverse: NDArray[Any]) -> None:
    """Writes into `owner` `(h, w)` the last of the triangles `which` that covers the centre of each pixel.

    Each triangle is compared with a square of pixels: small triangles with a small one.
    """
    height, width = owner.shape
    low = np.ceil(flat.min(1) - 0.5).clip(0)
    extent = (np.floor(flat.max(1) - 0.5).clip(None, [width - 1, height - 1]) - low + 1).max(1)
    low = low.astype(np.int32)
    for least, most in itertools.pairwise([0, *SQUARES, max(SQUARES[-1], int(extent[which].max(initial=0)))]):
        rows = which[(extent[which] > least) & (extent[which] <= most)]
        x, y = (low[rows, i, None] + np.arange(most, dtype=np.int32) for i in (0, 1))
        px, py = (each.astype(np.float32) + np.float32(0.5) for each in (x, y))
        px, py = px - flat[rows, 0, 0, None], py - flat[rows, 0, 1, None]
        u, v = (
            (inverse[rows, i, 0, None] * px)[:, None] + (inverse[rows, i, 1, None] * py)[:, :, None]
            for i in (0, 1)
        )
        hit = np.minimum(np.minimum(u, v), 1 - u - v) >= -CRACK
        hit &= (x < width)[:, None] & (y < height)[:, :, None]
        row, i, j = hit.nonzero()
        np.maximum.at(owner.reshape(-1), y[row, i] * width + x[row, j], rows[row])


def sample_texture(texture: Tensor, places: Tensor) -> Tensor:
    """The colours `(C, h, w)` of a texture `(C, H, W)` at places `(2, h, w)`, see `mesh_places`."""
    grid = places.permute(1, 2, 0)[None]
    return F.grid_sample(texture[None], grid, padding_mode="border", align_corners=False)[0]

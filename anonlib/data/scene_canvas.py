"""A canvas for training scenes: pictures laid on one another, and where their faces end up.

Labels come from a detector: sure finds are faces, unsure ones count neither way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from anonlib.data.scene_looks import disturb, texture

Array = NDArray[np.floating]
MIRRORED = (1, 0, 2, 4, 3)
"""The five landmarks in the order that they have in a mirror."""
SMALLEST = 8.0
"""Faces of fewer pixels count neither way."""


class Labelled(NamedTuple):
    """A picture and the faces in it."""

    picture: NDArray[np.uint8]
    """`(H, W, 3)`."""
    boxes: Array
    """`(n, 4)` xyxy pixels of faces, the one to cut out first."""
    landmarks: Array
    """`(n, 5, 2)` xy pixels."""
    doubtful: Array
    """`(m, 4)` where something may be a face or not."""


class Scene(NamedTuple):
    """One training picture."""

    picture: Tensor
    """`(3, S, S)` uint8."""
    boxes: Tensor
    """`(n, 4)` xyxy pixels, not clipped to the picture."""
    landmarks: Tensor
    """`(n, 5, 2)` xy pixels."""
    doubtful: Tensor
    """`(m, 4)` xyxy pixels, to be left out of the loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """Where a picture goes: its point `source` to the canvas's point `target`."""

    source: Array
    target: Array
    scale: float
    """Canvas pixels a source pixel."""
    angle: float = 0.0
    """Radians."""
    squeeze: float = 1.0
    """Width over the width it had: under 1 looks like a head turned aside."""

    def matrix(self) -> Array:
        """`(2, 3)` from source to canvas pixels."""
        cos, sin = np.cos(self.angle) * self.scale, np.sin(self.angle) * self.scale
        turn = np.array([[cos * self.squeeze, -sin], [sin * self.squeeze, cos]], np.float32)
        return np.column_stack([turn, self.target - turn @ self.source]).astype(np.float32)


def move_points(matrix: Array, points: Array) -> Array:
    """Points `(..., 2)` by a `(2, 3)` matrix."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def move_boxes(matrix: Array, boxes: Array) -> Array:
    """Boxes `(n, 4)` with their centres moved and their sides scaled, upright as before."""
    centre = move_points(matrix, (boxes[:, :2] + boxes[:, 2:]) / 2)
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * np.linalg.norm(matrix[:, :2], axis=0)
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def mirror_boxes(boxes: Array, width: int) -> Array:
    """Boxes `(n, 4)` in the mirrored picture of that width.

    >>> mirror_boxes(np.array([[0, 5, 10, 20]], np.float32), 100).tolist()
    [[90.0, 5.0, 100.0, 20.0]]
    """
    x = width - boxes[:, [2, 0]]
    return np.stack([x[:, 0], boxes[:, 1], x[:, 1], boxes[:, 3]], axis=1).astype(np.float32)


def mirror_landmarks(points: Array, width: int) -> Array:
    """Landmarks `(n, 5, 2)` in the mirrored picture: what was the left eye is the right one."""
    swapped = points[:, list(MIRRORED)]
    return np.stack([width - swapped[..., 0], swapped[..., 1]], axis=-1).astype(np.float32)


class Canvas:
    """A scene while it is made."""

    def __init__(self, ground: Image.Image) -> None:
        self.image = ground
        self.boxes = np.zeros((0, 4), np.float32)
        self.landmarks = np.zeros((0, 5, 2), np.float32)
        self.doubtful = np.zeros((0, 4), np.float32)

    def lay(self, one: Labelled, placing: Placing, *, cut: float | None) -> None:
        """Lays a picture down: all of it, or its first face with `cut` times its box."""
        matrix = placing.matrix()
        keep = slice(None) if cut is None else slice(1)
        mask = None if cut is None else _head_mask(one.boxes[0], one.picture.shape, cut)
        covered = self._paint(one.picture, matrix, mask)
        self._cover(covered)
        self.boxes = np.concatenate([self.boxes, move_boxes(matrix, one.boxes[keep])])
        self.landmarks = np.concatenate(
            [self.landmarks, move_points(matrix, one.landmarks[keep]).astype(np.float32)]
        )
        unsure = one.doubtful if cut is None else one.doubtful[:0]
        self.doubtful = np.concatenate([self.doubtful, move_boxes(matrix, unsure)])

    def _paint(
        self, picture: NDArray[np.uint8], matrix: Array, mask: Image.Image | None
    ) -> NDArray[np.uint8]:
        """Draws the picture by a matrix; returns how much of each pixel it covers."""
        source = Image.fromarray(picture)
        mask = Image.new("L", source.size, 255) if mask is None else mask
        covered = np.zeros(self.image.size[::-1], np.uint8)
        x0, y0, x1, y1 = region = _moved_region(matrix, mask, self.image.size)
        if x1 <= x0 or y1 <= y0:
            return covered
        scale = float(np.linalg.norm(matrix[:, 1]))
        coarse = max(1, min(int(1 / max(scale, 0.02)), 16))  # reduced first, against aliasing
        if coarse > 1:
            source, mask = source.reduce(coarse), mask.reduce(coarse)
        full = np.vstack([matrix @ np.diag([coarse, coarse, 1.0]), [0, 0, 1]])
        full[:2, 2] -= x0, y0
        back = tuple(np.linalg.inv(full)[:2].ravel())
        size, how = (x1 - x0, y1 - y0), Image.Resampling.BILINEAR
        moved = source.transform(size, Image.Transform.AFFINE, back, how)
        alpha = mask.transform(size, Image.Transform.AFFINE, back, how)
        self.image.paste(moved, region[:2], alpha)
        covered[y0:y1, x0:x1] = np.asarray(alpha)
        return covered

    def _cover(self, alpha: NDArray[np.uint8]) -> None:
        """Faces that are hidden by a new picture are gone, half hidden ones doubtful."""
        hidden = np.array([_mean_inside(alpha, box) for box in self.boxes]).reshape(-1)
        clear, gone = hidden < 0.3, hidden > 0.8
        unsure = self.boxes[~clear & ~gone]
        self.doubtful = np.concatenate([self.doubtful, unsure])
        self.boxes, self.landmarks = self.boxes[clear], self.landmarks[clear]

    def occlude(self, rng: np.random.Generator) -> None:
        """Hides part of some faces."""
        for box in self.boxes[rng.random(len(self.boxes)) < 0.15]:
            wide, tall = box[2:] - box[:2]
            part = rng.uniform(0.2, 0.45)
            size = (int(wide), int(part * tall)) if rng.random() < 0.6 else (
                int(part * wide), int(tall))  # fmt: skip
            if min(size) < 2:
                continue
            patch = texture(max(size), rng).crop((0, 0, *size))
            left = int(box[0]) if rng.random() < 0.5 else int(box[2]) - size[0]
            self.image.paste(patch, (left, int(box[3]) - size[1]))

    def finish(self, *, mirror: bool, rng: np.random.Generator) -> Scene:
        """The scene, lit and disturbed, with faces that are too small or cut off as doubtful."""
        image = disturb(self.image, rng)
        boxes, points, unsure = self.boxes, self.landmarks, self.doubtful
        width, height = image.size
        if mirror:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            boxes, unsure = mirror_boxes(boxes, width), mirror_boxes(unsure, width)
            points = mirror_landmarks(points, width)
        inside = boxes.clip([0, 0, 0, 0], [width, height, width, height])
        areas = [np.prod((b[:, 2:] - b[:, :2]).clip(0), axis=1) for b in (inside, boxes)]
        seen = areas[0] / areas[1].clip(1e-3)
        good = (seen > 0.6) & (areas[1] > SMALLEST**2)
        unsure = np.concatenate([unsure, boxes[~good & (seen > 0)]])
        return Scene(
            torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous(),
            *(torch.from_numpy(x.astype(np.float32)) for x in (boxes[good], points[good], unsure)),
        )


def _head_mask(box: Array, shape: tuple[int, ...], cut: float) -> Image.Image:
    """A soft ellipse around a face."""
    mask = Image.new("L", (shape[1], shape[0]), 0)
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * cut
    corners = [float(v) for v in (*(centre - half), *(centre + half))]
    ImageDraw.Draw(mask).ellipse(corners, fill=255)
    return mask.filter(ImageFilter.BoxBlur(float(half[0]) * 0.06))


def _moved_region(
    matrix: Array, mask: Image.Image, limit: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The canvas's pixels that the seen part of a mask can reach."""
    x0, y0, x1, y1 = mask.getbbox() or (0, 0, 0, 0)
    corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], np.float32)
    moved = move_points(matrix, corners)
    low = np.floor(moved.min(axis=0)).clip(0, limit).astype(int)
    high = np.ceil(moved.max(axis=0)).clip(0, limit).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _mean_inside(alpha: NDArray[np.uint8], box: Array) -> float:
    x0, y0, x1, y1 = (int(v) for v in box.clip(0, alpha.shape[0]))
    return float(alpha[y0:y1, x0:x1].mean()) / 255 if x1 > x0 and y1 > y0 else 1.0

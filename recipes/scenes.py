"""Training scenes for the face detector: faces pasted on backgrounds, then degraded like photographs."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from torch import Tensor


def texture(size: int, rng: np.random.Generator) -> Image.Image:
    """A square of coloured noise, coarse or fine, that shows nobody."""
    cells = int(rng.integers(2, 40))
    colours = rng.integers(0, 256, (cells, cells, 3)).astype(np.uint8)
    if rng.random() < 0.3:
        colours[:] = colours[0, 0]
    how = Image.Resampling.BICUBIC if rng.random() < 0.7 else Image.Resampling.NEAREST
    return Image.fromarray(colours).resize((size, size), how)


def disturb(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The picture in another light, blurred, noisy or compressed, each by chance."""
    for change in (_relight, _soften, _grain, _compress):
        image = change(image, rng)
    return image


def _relight(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Gamma, gain and a tint as one table; colour more or less, now and then none."""
    gain = rng.uniform(0.2, 0.6) if rng.random() < 0.12 else rng.uniform(0.75, 1.25)
    gamma = np.exp(rng.normal(0, 0.25))
    tint = 1 + rng.normal(0, 0.08, 3)
    ramp = (np.arange(256) / 255) ** gamma * gain
    table = (ramp[None] * tint[:, None] * 255).clip(0, 255).astype(int)
    image = image.point(table.ravel().tolist())
    if rng.random() < 0.4:
        amount = 0.0 if rng.random() < 0.3 else rng.uniform(0.4, 1.4)
        image = ImageEnhance.Color(image).enhance(float(amount))
    return image


def _soften(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    if rng.random() < 0.2:
        return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 2.0))))
    if rng.random() < 0.15:
        share = rng.uniform(0.4, 0.8)
        small = (int(image.width * share), int(image.height * share))
        return image.resize(small, Image.Resampling.BILINEAR).resize(image.size)
    return image


def _grain(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    if rng.random() > 0.2:
        return image
    noise = rng.standard_normal((image.size[1], image.size[0], 1), np.float32)
    noisy = np.asarray(image, np.float32) + noise * rng.uniform(2, 14)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def _compress(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    if rng.random() > 0.25:
        return image
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(rng.integers(25, 90)))
    return Image.open(file).convert("RGB")


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
            size = (int(wide), int(part * tall)) if rng.random() < 0.6 else (int(part * wide), int(tall))
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


def _moved_region(matrix: Array, mask: Image.Image, limit: tuple[int, int]) -> tuple[int, int, int, int]:
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


__all__ = ["Labelled", "Scene", "Scenes"]


class Scenes:
    """An endless row of training scenes; number n is the same however often it is asked for."""

    def __init__(
        self,
        portraits: Sequence[Labelled],
        grounds: Sequence[Labelled],
        *,
        size: int,
        seed: int,
        whole: Sequence[Labelled] = (),
    ) -> None:
        """Keeps the pictures.

        Args:
            portraits: pictures with a face, to lay on others.
            grounds: pictures with or without faces, to lay others on.
            size: side of a scene in pixels.
            seed: the same seed gives the same scenes.
            whole: frames that every other scene shows a part of, with nothing laid on it.
        """
        self.whole = whole
        self.portraits, self.grounds = portraits, grounds
        self.size, self.seed = size, seed

    def __getitem__(self, number: int) -> Scene:
        rng = np.random.default_rng([self.seed, number])
        canvas = Canvas(texture(self.size, rng))
        if self.whole and number % 2:
            self._part(canvas, rng)
            return canvas.finish(mirror=rng.random() < 0.5, rng=rng)
        if rng.random() < 0.85:
            self._ground(canvas, rng)
        faces = int(rng.choice(9, p=[0.12, 0.2, 0.18, 0.14, 0.11, 0.08, 0.07, 0.05, 0.05]))
        for _ in range(faces):
            self._face(canvas, rng, faces)
        canvas.occlude(rng)
        return canvas.finish(mirror=rng.random() < 0.5, rng=rng)

    def __iter__(self) -> Iterator[Scene]:
        number = 0
        while True:
            yield self[number]
            number += 1

    def _ground(self, canvas: Canvas, rng: np.random.Generator) -> None:
        one = self.grounds[int(rng.integers(len(self.grounds)))]
        height, width = one.picture.shape[:2]
        least = self.size / min(height, width)
        scale = least * float(np.exp(rng.uniform(0, 0.9)))
        slack = np.array([width, height]) - self.size / scale
        corner = (rng.random(2) * slack).astype(np.float32)
        origin = np.zeros(2, np.float32)
        canvas.lay(one, Placing(source=corner, target=origin, scale=scale), cut=None)

    def _part(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """A part of a whole frame, around one of its faces half of the time, tilted up to 30°."""
        one = self.whole[int(rng.integers(len(self.whole)))]
        scale = float(np.exp(rng.uniform(np.log(0.8), np.log(2.5))))
        size = np.array(one.picture.shape[1::-1])
        reach = np.minimum(self.size / 2 / scale, size / 2)
        source, target = rng.uniform(reach, size - reach), np.full(2, self.size / 2)
        if len(one.boxes) and rng.random() < 0.5:
            box = one.boxes[int(rng.integers(len(one.boxes)))]
            source, target = (box[:2] + box[2:]) / 2, rng.uniform(0.2, 0.8, 2) * self.size
        angle = 0.0 if rng.random() < 0.3 else float(rng.uniform(-1, 1) * np.pi / 6)
        canvas.lay(one, Placing(source=source, target=target, scale=scale, angle=angle), cut=None)

    def _face(self, canvas: Canvas, rng: np.random.Generator, faces: int) -> None:
        one = self.portraits[int(rng.integers(len(self.portraits)))]
        tall = float(one.boxes[0, 3] - one.boxes[0, 1])
        largest = 300 / np.sqrt(faces)
        size = float(np.exp(rng.uniform(np.log(10), np.log(largest))))
        angle = rng.normal(0, 0.17) if rng.random() < 0.85 else rng.uniform(-0.8, 0.8)
        placing = Placing(
            source=(one.boxes[0, :2] + one.boxes[0, 2:]) / 2,
            target=rng.uniform(0, self.size, 2).astype(np.float32),
            scale=size / tall,
            angle=float(angle),
            squeeze=float(rng.uniform(0.55, 1)) if rng.random() < 0.25 else 1.0,
        )
        canvas.lay(one, placing, cut=float(rng.uniform(1.2, 2.2)) if rng.random() < 0.5 else None)

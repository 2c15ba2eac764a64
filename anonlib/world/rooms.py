"""Rooms behind the people, and the camera.

A room is drawn once for a clip, wider than the frame, so that the camera can pan over it.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from anonlib.world.pen import Color, Looks, Pen, fade, shade


class Camera:
    """A hand-held camera in the light of a room; offsets are fractions of the frame height."""

    def __init__(self, rng: np.random.Generator) -> None:
        light = rng.uniform(0.86, 1.1)
        self.gains = [float(light * rng.uniform(0.95, 1.05)) for _ in range(3)]  # of red, green, blue
        self.drift = (float(rng.normal(0, 0.004)), float(rng.normal(0, 0.002)))  # offset a frame
        self.shake = float(rng.uniform(0.0, 0.004))  # standard deviation of each frame's offset
        # Change of the light from edge to edge, across and down.
        self.slope = (float(rng.uniform(-0.2, 0.2)), float(rng.uniform(-0.15, 0.1)))
        self.noise = float(rng.uniform(0.002, 0.009))  # standard deviation, for values in [0, 1]

    def film(self, picture: Image.Image, rng: np.random.Generator) -> np.ndarray:
        """A drawn frame as this camera sees it: `(H, W, 3)` uint8 with its colours, light and noise."""
        pixels = np.asarray(picture, dtype=np.float32)
        height, width = pixels.shape[:2]
        across = 1 + self.slope[0] * (np.linspace(0, 1, width, dtype=np.float32) - 0.5)
        down = 1 + self.slope[1] * (np.linspace(0, 1, height, dtype=np.float32) - 0.5)
        gains = np.asarray(self.gains, dtype=np.float32)
        noise = rng.standard_normal((height, width), dtype=np.float32) * (255 * self.noise)
        pixels = pixels * (down[:, None, None] * (across[None, :, None] * gains))
        return np.clip(pixels + noise[..., None], 0, 255).astype(np.uint8)


def draw_room(looks: Looks, *, size: tuple[int, int], horizon: float) -> Image.Image:
    """An RGB picture of a furnished room; `size` is its height and width in pixels.

    The floor begins at `horizon`, a fraction of the height; above 1 it is not seen.
    """
    height, width = size
    wall = looks.color((0.0, 1.0), (0.03, 0.2), (0.6, 0.93))
    image = Image.new("RGB", (width, height), wall[:3])
    pen = Pen(image, scale=height, origin=(0.0, 0.0))  # its unit is the height of the room
    aspect = width / height
    _draw_wall(pen, looks, wall, aspect)
    _draw_floor(pen, looks, horizon, aspect)
    pen.bar((0, horizon), (aspect, horizon), 0.03, shade(wall, 1.2))
    slots = looks.rng.permutation(4)
    pieces = looks.rng.permutation(len(_FURNITURE))
    for slot, piece in zip(slots[: int(looks.rng.integers(2, 5))], pieces, strict=False):
        x = (float(slot) + float(looks.rng.uniform(0.25, 0.75))) * aspect / 4
        _FURNITURE[int(piece)](pen, looks, x, horizon)
    return _uneven_light(image, looks.rng)


def _draw_wall(pen: Pen, looks: Looks, wall: Color, aspect: float) -> None:
    style = looks.style(("plain", "stripes", "panels"), ("plain", "boards"), ("plain", "dots", "tiles"))
    ink = fade(shade(wall, 0.9 if looks.rng.random() < 0.5 else 1.12), 200)
    step = float(looks.rng.uniform(0.07, 0.13))
    count = math.ceil(aspect / step)
    if style == "stripes":
        for k in range(count):
            pen.bar((k * step, 0), (k * step, 1), step * 0.45, ink)
    elif style == "boards":
        for k in range(math.ceil(1 / step)):
            pen.line([(0, k * step), (aspect, k * step)], 0.008, ink)
    elif style == "panels":
        pen.bar((0, 0.62), (aspect, 0.62), 0.02, ink)
        for k in range(count // 2):
            pen.line([(2 * k * step, 0.62), (2 * k * step, 1)], 0.01, ink)
    elif style == "tiles":
        for k in range(count):
            pen.line([(k * step, 0), (k * step, 1)], 0.006, ink)
            pen.line([(0, k * step), (aspect, k * step)], 0.006, ink)
    elif style == "dots":
        for k in range(count):
            for row in range(math.ceil(1 / step)):
                pen.ellipse(((k + 0.5 * (row % 2)) * step, row * step), (0.012, 0.012), ink)


def _draw_floor(pen: Pen, looks: Looks, horizon: float, aspect: float) -> None:
    color = looks.color((0.03, 0.16), (0.15, 0.5), (0.35, 0.75))
    style = looks.style(("planks", "plain"), ("rug",), ("tiles", "plain"))
    pen.bar((0, (horizon + 1.2) / 2), (aspect, (horizon + 1.2) / 2), 1.2 - horizon, color)
    ink = shade(color, 0.85)
    if style in ("planks", "tiles"):
        for k in range(-6, 20):
            x = k * 0.14
            pen.line([(0.5 * aspect + (x - 0.5 * aspect) * 0.8, horizon), (x, 1.1)], 0.006, ink)
    if style == "tiles":
        for k in range(1, 5):
            y = horizon + 0.03 * k * k
            pen.line([(0, y), (aspect, y)], 0.006, ink)
    if style == "rug":
        pen.ellipse((0.5 * aspect, 1.0), (0.5, 0.12), looks.color((0.0, 1.0), (0.2, 0.6), (0.35, 0.7)))


def _picture(pen: Pen, looks: Looks, x: float, horizon: float) -> None:
    rng = looks.rng
    y, wide, tall = rng.uniform(0.12, 0.4), rng.uniform(0.08, 0.14), rng.uniform(0.1, 0.22)
    frame = looks.color((0.0, 0.15), (0.2, 0.6), (0.2, 0.6))
    pen.bar((x - wide - 0.015, y), (x + wide + 0.015, y), tall + 0.03, frame)
    pen.bar((x - wide, y), (x + wide, y), tall, looks.color((0.0, 1.0), (0.1, 0.5), (0.6, 0.95)))
    for _ in range(3):
        spot = (x + rng.uniform(-0.6, 0.6) * wide, y + rng.uniform(-0.3, 0.3) * tall)
        radii = (rng.uniform(0.15, 0.35) * wide, rng.uniform(0.1, 0.2) * tall)
        pen.ellipse(spot, radii, looks.color((0.0, 1.0), (0.3, 0.7), (0.3, 0.9)))


def _shelf(pen: Pen, looks: Looks, x: float, horizon: float) -> None:
    rng = looks.rng
    wide = rng.uniform(0.12, 0.2)
    wood = looks.color((0.04, 0.12), (0.25, 0.6), (0.35, 0.75))
    for y in (0.22, 0.42, 0.62)[: int(rng.integers(1, 4))]:
        pen.bar((x - wide, y), (x + wide, y), 0.02, wood)
        spot = x - wide + 0.02
        while spot < x + wide - 0.03:
            thick, tall = rng.uniform(0.015, 0.045), rng.uniform(0.05, 0.13)
            color = looks.color((0.0, 1.0), (0.15, 0.6), (0.3, 0.85))
            if rng.random() < 0.75:
                pen.bar((spot, y - 0.01), (spot, y - 0.01 - tall), thick, color)
            else:
                pen.ellipse((spot, y - 0.045), (0.025, 0.035), color)
            spot += thick + rng.uniform(0.008, 0.03)


def _cabinet(pen: Pen, looks: Looks, x: float, horizon: float) -> None:
    rng = looks.rng
    wide, top = rng.uniform(0.12, 0.22), rng.uniform(0.45, 0.62)
    wood = looks.color((0.02, 0.14), (0.15, 0.55), (0.35, 0.85))
    base = max(horizon, top + 0.1) + 0.03
    pen.bar((x, top), (x, base), 2 * wide, wood)
    pen.bar((x - wide - 0.015, top), (x + wide + 0.015, top), 0.025, shade(wood, 1.2))
    for side in (-1, 1):
        door = x + side * wide / 2
        pen.bar((door, top + 0.03), (door, base - 0.03), wide * 0.8, shade(wood, 0.9))
        pen.ellipse((x + side * 0.02, (top + base) / 2), (0.008, 0.008), shade(wood, 0.4))
    pen.ellipse((x + wide / 2, top - 0.06), (0.035, 0.05), looks.color((0.0, 1.0), (0.2, 0.6), (0.4, 0.9)))


def _plant(pen: Pen, looks: Looks, x: float, horizon: float) -> None:
    rng = looks.rng
    y = min(horizon, 0.98)
    leaf = looks.color((0.22, 0.42), (0.35, 0.7), (0.3, 0.65))
    for _ in range(9):
        angle = rng.uniform(-2.6, -0.5)
        reach = rng.uniform(0.1, 0.26)
        end = (x + reach * math.cos(angle), y - 0.1 + reach * math.sin(angle))
        pen.capsule((x, y - 0.1), end, (0.008, 0.028), shade(leaf, float(rng.uniform(0.7, 1.25))))
    pot = looks.color((0.0, 0.12), (0.3, 0.7), (0.4, 0.8))
    pen.polygon([(x - 0.06, y - 0.12), (x + 0.06, y - 0.12), (x + 0.045, y), (x - 0.045, y)], pot)


def _lamp(pen: Pen, looks: Looks, x: float, horizon: float) -> None:
    y = float(looks.rng.uniform(0.1, 0.3))
    pen.line([(x, y), (x, max(horizon, 0.8))], 0.012, (70, 66, 64))
    pen.ellipse((x, y + 0.06), (0.16, 0.14), (255, 244, 200, 50))
    cloth = looks.color((0.08, 0.18), (0.2, 0.5), (0.8, 0.98))
    top = [(x - 0.045, y - 0.05), (x + 0.045, y - 0.05)]
    pen.polygon([*top, (x + 0.09, y + 0.07), (x - 0.09, y + 0.07)], cloth)


def _casement(pen: Pen, looks: Looks, x: float, horizon: float) -> None:
    """A window with curtains."""
    sky = looks.color((0.5, 0.64), (0.12, 0.4), (0.8, 0.98))
    pen.bar((x - 0.15, 0.3), (x + 0.15, 0.3), 0.44, (236, 234, 228))
    for pane in (x - 0.07, x + 0.07):
        pen.bar((pane, 0.1), (pane, 0.5), 0.12, sky)
    cloth = looks.color((0.0, 1.0), (0.15, 0.5), (0.5, 0.9))
    for side in (-1, 1):
        for k in range(3):
            spot = x + side * (0.13 + 0.03 * k)
            pen.bar((spot, 0.05), (spot, 0.58), 0.03, shade(cloth, 1.0 - 0.1 * (k % 2)))
    pen.bar((x - 0.24, 0.05), (x + 0.24, 0.05), 0.018, (88, 70, 56))


def _uneven_light(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The room under light that varies slowly from place to place."""
    coarse = rng.integers(121, 136, (9, 12), dtype=np.uint8)
    light = Image.fromarray(coarse).resize(image.size, Image.Resampling.BICUBIC)
    pixels = np.asarray(image, dtype=np.float32) * (np.asarray(light, dtype=np.float32) / 128)[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


_FURNITURE = (
    *(_picture, _picture, _picture, _shelf, _shelf, _shelf),
    *(_cabinet, _cabinet, _plant, _plant, _lamp, _casement),
)

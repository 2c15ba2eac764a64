"""A pen for flat illustrations, and random colours and sizes that differ between the splits."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw

from anonlib.errors import ConfigError

SPLITS = ("train", "validation", "test")
Choice = TypeVar("Choice")
Color = tuple[int, int, int] | tuple[int, int, int, int]
Point = tuple[float, float]


def hsv(hue: float, saturation: float, value: float) -> Color:
    """The 8-bit RGB colour of a hue (in turns, any real), saturation and value in [0, 1].

    >>> hsv(0.0, 1.0, 1.0), hsv(1.5, 0.0, 0.5)
    ((255, 0, 0), (128, 128, 128))
    """
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def shade(color: Color, factor: float) -> Color:
    """A darker (factor < 1) or lighter (factor > 1) colour of the same opacity.

    >>> shade((100, 200, 40), 0.5), shade((100, 200, 40), 1.5)
    ((50, 100, 20), (150, 255, 60))
    """
    red, green, blue = (min(255, round(channel * factor)) for channel in color[:3])
    return (red, green, blue, color[3]) if len(color) == 4 else (red, green, blue)


def fade(color: Color, alpha: int) -> Color:
    """A colour with an opacity of 0 to 255."""
    return color[0], color[1], color[2], alpha


def along(start: Point, end: Point, t: float, lift: float = 0.0) -> Point:
    """The point a fraction `t` of the way from start to end, moved `lift` units to the right.

    >>> along((0.0, 0.0), (2.0, 0.0), 0.5), along((0.0, 0.0), (2.0, 0.0), 0.5, 0.25)
    ((1.0, 0.0), (1.0, 0.25))
    """
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    return start[0] + t * dx - lift * dy / length, start[1] + t * dy + lift * dx / length


def smooth(points: Sequence[Point]) -> list[Point]:
    """A closed Catmull-Rom curve through the points, with four samples a segment.

    >>> len(smooth([(0, 0), (1, 0), (1, 1)]))
    12
    """
    curve: list[Point] = []
    for i in range(len(points)):
        a, b, c, d = (points[(i + k) % len(points)] for k in (-1, 0, 1, 2))
        for t in (0.0, 0.25, 0.5, 0.75):
            w = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
            x = w[0] * a[0] + w[1] * b[0] + w[2] * c[0] + w[3] * d[0]
            y = w[0] * a[1] + w[1] * b[1] + w[2] * c[1] + w[3] * d[1]
            curve.append((x / 2, y / 2))
    return curve


class Pen:
    """Draws on an RGB image in units of `scale` pixels about `origin` (pixels)."""

    def __init__(self, image: Image.Image, *, scale: float, origin: Point) -> None:
        self.image, self.scale, self.origin = image, scale, origin
        self.part = ""
        """Name of the part that is drawn next; "" records no extent."""
        self.extents: dict[str, list[float]] = {}
        """Part -> [x0, y0, x1, y1] in pixels, not clipped to the image."""
        self._draw = ImageDraw.Draw(image, "RGBA")

    def polygon(self, points: Sequence[Point], fill: Color) -> None:
        """A filled polygon."""
        self._draw.polygon(self._pixels(points), fill=fill)

    def capsule(
        self, start: Point, end: Point, radii: tuple[float, float], fill: Color, edge: float = 0.0
    ) -> None:
        """A limb: two discs of these radii and the area between them, with a darker edge."""
        if edge:
            wider = (radii[0] + edge, radii[1] + edge)
            self.polygon(_capsule_outline(start, end, wider), shade(fill, 0.72))
        self.polygon(_capsule_outline(start, end, radii), fill)

    def ellipse(self, centre: Point, radii: tuple[float, float], fill: Color, angle: float = 0.0) -> None:
        """A filled ellipse, turned by `angle` radians."""
        if angle == 0.0:
            x, y = self.origin[0] + self.scale * centre[0], self.origin[1] + self.scale * centre[1]
            rx, ry = radii[0] * self.scale, radii[1] * self.scale
            self._record([(x - rx, y - ry), (x + rx, y + ry)])
            self._draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill)
            return
        c, s = math.cos(angle), math.sin(angle)
        ring = [(radii[0] * x, radii[1] * y) for x, y in _RING]
        self.polygon([(centre[0] + c * x - s * y, centre[1] + s * x + c * y) for x, y in ring], fill)

    def line(self, points: Sequence[Point], width: float, fill: Color) -> None:
        """A polyline `width` units wide, at least one pixel."""
        thickness = max(1, round(width * self.scale))
        self._draw.line(self._pixels(points), fill=fill, width=thickness, joint="curve")

    def bar(self, start: Point, end: Point, width: float, fill: Color) -> None:
        """A straight bar with square ends."""
        half = width / 2
        ends = ((0.0, half), (1.0, half), (1.0, -half), (0.0, -half))
        self.polygon([along(start, end, t, lift) for t, lift in ends], fill)

    def paste(self, sprite: Image.Image, corner: tuple[int, int]) -> None:
        """An RGBA picture, its upper left corner at this pixel; its extent is the opaque part."""
        self.image.paste(sprite, corner, sprite)
        opaque = sprite.getchannel("A").point(lambda v: 255 * (v > 127)).getbbox()
        if opaque is not None:
            (x, y), (left, top, right, bottom) = corner, opaque
            self._record([(x + left, y + top), (x + right, y + bottom)])

    def _pixels(self, points: Sequence[Point]) -> list[Point]:
        """Points as pixel coordinates; their extent is recorded."""
        pixels = [(self.origin[0] + self.scale * x, self.origin[1] + self.scale * y) for x, y in points]
        self._record(pixels)
        return pixels

    def _record(self, pixels: Sequence[Point]) -> None:
        if not self.part:
            return
        xs, ys = [p[0] for p in pixels], [p[1] for p in pixels]
        old = self.extents.get(self.part, [math.inf, math.inf, -math.inf, -math.inf])
        self.extents[self.part] = [min(old[0], *xs), min(old[1], *ys), max(old[2], *xs), max(old[3], *ys)]


_RING = [(math.cos(2 * math.pi * k / 20), math.sin(2 * math.pi * k / 20)) for k in range(20)]


def _capsule_outline(start: Point, end: Point, radii: tuple[float, float]) -> list[Point]:
    """Half a disc about each end, joined."""
    heading = math.atan2(end[1] - start[1], end[0] - start[0])
    outline = []
    for centre, radius, turn in ((end, radii[1], -math.pi / 2), (start, radii[0], math.pi / 2)):
        for k in range(8):
            angle = heading + turn + math.pi * k / 7
            outline.append((centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)))
    return outline


class Looks:
    """Random colours and sizes of one split.

    Each range is cut into intervals and each interval into thirds, one a split. Objects of the three
    splits belong to the same categories, but share no hue and no proportion.

    >>> a, b = (Looks(s, np.random.Generator(np.random.Philox(1))) for s in ("train", "test"))
    >>> a.between(0.0, 3.0, intervals=1) < 1.0 and b.between(0.0, 3.0, intervals=1) >= 2.0
    True

    Raises:
        ConfigError: the split is not one of `SPLITS`.
    """

    def __init__(self, split: str, rng: np.random.Generator) -> None:
        if split not in SPLITS:
            raise ConfigError(f"split '{split}' is unknown: use one of {', '.join(SPLITS)}")
        self.split, self.rng = split, rng

    def spawn(self) -> Looks:
        """Looks of the same split with their own random numbers, drawn independently of these."""
        return Looks(self.split, self.rng.spawn(1)[0])

    def between(self, low: float, high: float, *, intervals: int = 4) -> float:
        """A number of the range that only this split can draw."""
        interval = int(self.rng.integers(intervals))
        place = interval + (SPLITS.index(self.split) + float(self.rng.random())) / len(SPLITS)
        return low + (high - low) * place / intervals

    def color(
        self, hue: tuple[float, float], saturation: tuple[float, float], value: tuple[float, float]
    ) -> Color:
        """A colour whose hue only this split can draw; all splits share saturations and values."""
        return hsv(
            self.between(*hue, intervals=6),
            float(self.rng.uniform(*saturation)),
            float(self.rng.uniform(*value)),
        )

    def style(self, *options: Sequence[Choice]) -> Choice:
        """One of this split's options; `options` holds a sequence for each split."""
        mine = options[SPLITS.index(self.split)]
        return mine[int(self.rng.integers(len(mine)))]

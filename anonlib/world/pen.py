"""A pen for flat illustrations: capsules, ellipses and smooth outlines in a person's own units.

Wraps Pillow's `ImageDraw` with a scale and an origin, so that a figure is written once in units of
its head and drawn at any size, and remembers the extent of what it drew, part by part, so that
boxes come from the drawing itself.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

Color = tuple[int, int, int] | tuple[int, int, int, int]
Point = tuple[float, float]


def hsv(hue: float, saturation: float, value: float) -> Color:
    """The 8-bit RGB colour of a hue (turns, any real), saturation and value in [0, 1].

    >>> hsv(0.0, 1.0, 1.0), hsv(1.5, 0.0, 0.5)
    ((255, 0, 0), (128, 128, 128))
    """
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def shade(color: Color, factor: float) -> Color:
    """A colour darkened (factor < 1) or lightened (factor > 1), opacity kept.

    >>> shade((100, 200, 40), 0.5), shade((100, 200, 40), 1.5)
    ((50, 100, 20), (150, 255, 60))
    """
    red, green, blue = (min(255, round(channel * factor)) for channel in color[:3])
    return (red, green, blue, color[3]) if len(color) == 4 else (red, green, blue)


def fade(color: Color, alpha: int) -> Color:
    """A colour at an opacity of 0 to 255.

    >>> fade((1, 2, 3), 128)
    (1, 2, 3, 128)
    """
    return color[0], color[1], color[2], alpha


def along(start: Point, end: Point, t: float, lift: float = 0.0) -> Point:
    """The point a fraction `t` of the way from start to end, `lift` units off to the right.

    >>> along((0.0, 0.0), (2.0, 0.0), 0.5), along((0.0, 0.0), (2.0, 0.0), 0.5, 0.25)
    ((1.0, 0.0), (1.0, 0.25))
    """
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    return start[0] + t * dx - lift * dy / length, start[1] + t * dy + lift * dx / length


def smooth(points: Sequence[Point], steps: int = 4) -> list[Point]:
    """A closed Catmull-Rom curve through the points, `steps` samples a segment.

    >>> len(smooth([(0, 0), (1, 0), (1, 1)], steps=4))
    12
    """
    curve: list[Point] = []
    count = len(points)
    for i in range(count):
        a, b, c, d = (points[(i + k) % count] for k in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            w = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
            x = w[0] * a[0] + w[1] * b[0] + w[2] * c[0] + w[3] * d[0]
            y = w[0] * a[1] + w[1] * b[1] + w[2] * c[1] + w[3] * d[1]
            curve.append((x / 2, y / 2))
    return curve


class Pen:
    """Draws on an RGB image in units of `scale` pixels about `origin` (pixels).

    Attributes:
        part: name under which the extents of what is drawn next are kept; "" keeps none.
        extents: part -> [x0, y0, x1, y1] in pixels of the image, not clipped to it.
    """

    def __init__(self, image: Image.Image, *, scale: float, origin: Point) -> None:
        self.image = image
        self.scale = scale
        self.origin = origin
        self.part = ""
        self.extents: dict[str, list[float]] = {}
        self._draw = ImageDraw.Draw(image, "RGBA")

    def pixels(self, point: Point) -> Point:
        """Pixel coordinates of a point in units."""
        return self.origin[0] + self.scale * point[0], self.origin[1] + self.scale * point[1]

    def polygon(self, points: Sequence[Point], fill: Color) -> None:
        """A filled polygon."""
        pixels = [self.pixels(point) for point in points]
        self._note(pixels)
        self._draw.polygon(pixels, fill=fill)

    def capsule(
        self, start: Point, end: Point, radii: tuple[float, float], fill: Color, edge: float = 0.0
    ) -> None:
        """A limb: two discs of the given radii and what lies between, with a darker edge."""
        if edge:
            wider = (radii[0] + edge, radii[1] + edge)
            self.polygon(_capsule_outline(start, end, wider), shade(fill, 0.72))
        self.polygon(_capsule_outline(start, end, radii), fill)

    def ellipse(self, centre: Point, radii: tuple[float, float], fill: Color, angle: float = 0.0) -> None:
        """A filled ellipse, turned by `angle` radians."""
        if angle == 0.0:
            x, y = self.pixels(centre)
            rx, ry = radii[0] * self.scale, radii[1] * self.scale
            self._note([(x - rx, y - ry), (x + rx, y + ry)])
            self._draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill)
            return
        c, s = math.cos(angle), math.sin(angle)
        ring = [(radii[0] * x, radii[1] * y) for x, y in _RING]
        self.polygon([(centre[0] + c * x - s * y, centre[1] + s * x + c * y) for x, y in ring], fill)

    def line(self, points: Sequence[Point], width: float, fill: Color) -> None:
        """A polyline `width` units wide, at least one pixel."""
        pixels = [self.pixels(point) for point in points]
        self._note(pixels)
        self._draw.line(pixels, fill=fill, width=max(1, round(width * self.scale)), joint="curve")

    def bar(self, start: Point, end: Point, width: float, fill: Color) -> None:
        """A straight bar with square ends."""
        half = width / 2
        ends = ((0.0, half), (1.0, half), (1.0, -half), (0.0, -half))
        self.polygon([along(start, end, t, lift) for t, lift in ends], fill)

    def _note(self, pixels: Sequence[Point]) -> None:
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

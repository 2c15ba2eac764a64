"""The four chores: floor, window, textile and iron. Units are those of `body`."""

from __future__ import annotations

import math
from collections.abc import Callable

from anonlib.world.body import Arm, Body, Moment, Pose, Prop, reach
from anonlib.world.pen import Looks, Pen, Point, along, fade, shade


class Floor(Prop):
    """A mop, broom or flat wiper pushed over the floor with both hands."""

    def __init__(self, looks: Looks) -> None:
        rng = looks.rng
        self.kind = ("mop", "broom", "wiper")[int(rng.integers(3))]
        self.handle = looks.color((0.0, 1.0), (0.35, 0.8), (0.45, 0.85))
        self.head = looks.color((0.0, 1.0), (0.1, 0.7), (0.6, 0.95))
        self.bucket = looks.color((0.0, 1.0), (0.5, 0.85), (0.5, 0.9))
        self.has_bucket = bool(rng.random() < 0.5)
        self.size = looks.between(0.24, 0.32)
        self.reach = float(rng.uniform(0.6, 0.9))

    def pose(self, moment: Moment, body: Body) -> Pose:
        """One hand near the top of the stick, the other on its middle."""
        top, foot = self._stick(moment)
        axis = math.atan2(foot[1] - top[1], foot[0] - top[0])
        return Pose(
            work=_arm(body, moment.side, along(top, foot, 0.46), axis=axis, length=0.8),
            rest=_arm(body, -moment.side, along(top, foot, 0.13), axis=axis, length=0.7),
        )

    def behind(self, pen: Pen, moment: Moment) -> None:
        """A reflection on the wet floor and sometimes a bucket."""
        foot = self._stick(moment)[1]
        pen.ellipse((foot[0], foot[1] + 0.08), (0.7, 0.16), (255, 255, 255, 60))
        if self.has_bucket:
            x, y = -moment.side * 0.85, foot[1] - 0.12
            pen.line([(x - 0.2, y - 0.2), (x, y - 0.42), (x + 0.2, y - 0.2)], 0.02, (90, 90, 96))
            rim = [(x - 0.23, y - 0.22), (x + 0.23, y - 0.22)]
            pen.polygon([*rim, (x + 0.17, y + 0.25), (x - 0.17, y + 0.25)], self.bucket)
            pen.ellipse((x, y - 0.22), (0.23, 0.06), shade(self.bucket, 0.6))

    def tool(self, pen: Pen, moment: Moment, pose: Pose) -> None:
        """The stick and its head."""
        top, (x, y) = self._stick(moment)
        pen.capsule(top, (x, y), (0.042, 0.042), self.handle, edge=0.014)
        if self.kind == "wiper":
            wide = self.size * 1.3
            pen.bar((x - wide, y + 0.04), (x + wide, y + 0.04), 0.16, shade(self.head, 0.6))
            pen.bar((x - wide, y + 0.02), (x + wide, y + 0.02), 0.1, self.head)
            return
        wide = self.size * (1.15 if self.kind == "mop" else 1.0)
        skirt = [(x - 0.1, y - 0.16), (x + 0.1, y - 0.16), (x + wide, y + 0.2), (x - wide, y + 0.2)]
        pen.polygon(skirt, shade(self.head, 0.7))
        for k in range(7):
            end = x - wide + 2 * wide * k / 6
            pen.line([(x + (end - x) * 0.3, y - 0.14), (end, y + 0.2)], 0.05, self.head)
        pen.bar((x - 0.12, y - 0.16), (x + 0.12, y - 0.16), 0.08, shade(self.handle, 0.7))

    def _stick(self, moment: Moment) -> tuple[Point, Point]:
        swing = math.sin(moment.phase)
        foot = min(2.5, moment.bottom - 0.26) + 0.04 * swing
        return ((moment.side * (0.04 + 0.05 * swing), 0.82), (moment.side * (self.reach + 0.2 * swing), foot))


class Window(Prop):
    """A cloth wiped in circles over a window pane beside the person."""

    def __init__(self, looks: Looks) -> None:
        rng = looks.rng
        self.cloth = looks.color((0.0, 1.0), (0.4, 0.85), (0.7, 0.98))
        self.frame = looks.style(((242, 240, 234),), ((120, 84, 52),), ((196, 200, 206), (92, 66, 48)))
        self.sky = looks.color((0.5, 0.64), (0.18, 0.5), (0.8, 0.98))
        self.centre = (float(rng.uniform(1.03, 1.12)), float(rng.uniform(0.0, 0.7)))
        self.radius = float(rng.uniform(0.09, 0.15))
        self.size = looks.between(0.22, 0.27)
        self.idle = int(rng.integers(3))

    def pose(self, moment: Moment, body: Body) -> Pose:
        """One hand on the glass, the other arm idle."""
        x = moment.side * (self.centre[0] + self.radius * math.cos(moment.phase))
        y = self.centre[1] + self.radius * math.sin(moment.phase)
        return Pose(
            work=reach(body.shoulder(moment.side), (x, y), bend=moment.side, axis=math.pi / 2),
            rest=body.idle_arm(-moment.side, self.idle),
        )

    def behind(self, pen: Pen, moment: Moment) -> None:
        """The pane with its frame, sky, reflections and soap."""
        left, right = sorted((-0.1 * moment.side, 1.55 * moment.side))
        pen.bar((left - 0.1, 0.28), (right + 0.1, 0.28), 2.3, shade(self.frame, 0.75))
        pen.bar((left - 0.07, 0.28), (right + 0.07, 0.28), 2.24, self.frame)
        for k in range(8):
            y = -0.62 + 0.265 * k
            pen.bar((left, y), (right, y), 0.28, shade(self.sky, 0.82 + 0.045 * k))
        middle = (left + right) / 2
        for offset in (0.0, 0.22):
            band = [(left + offset, 0.9), (left + 0.12 + offset, 0.9), (left + 0.7 + offset, -0.7)]
            pen.polygon([*band, (left + 0.58 + offset, -0.7)], (255, 255, 255, 70))
        pen.bar((middle, -0.8), (middle, 1.36), 0.06, self.frame)
        pen.bar((left - 0.16, 1.42), (right + 0.16, 1.42), 0.12, shade(self.frame, 0.88))
        x, y = moment.side * self.centre[0], self.centre[1]
        for k in range(9):
            spot = (x + 0.3 * math.cos(2.4 * k), y + 0.36 * math.sin(2.4 * k))
            pen.ellipse(spot, (0.15, 0.12), (255, 255, 255, 120))

    def tool(self, pen: Pen, moment: Moment, pose: Pose) -> None:
        """A crumpled cloth under the hand."""
        x, y = pose.work.hand
        turn = 0.3 * math.sin(moment.phase)
        corners = []
        for k in range(8):
            angle = turn + 2 * math.pi * k / 8
            radius = self.size * (1.12 if k % 2 else 0.84)
            corners.append((x + radius * math.cos(angle), y + radius * math.sin(angle)))
        pen.polygon([(x + 1.09 * (a - x), y + 1.09 * (b - y)) for a, b in corners], shade(self.cloth, 0.6))
        pen.polygon(corners, self.cloth)
        pen.line([corners[1], (x, y), corners[4]], 0.02, shade(self.cloth, 0.75))


class Fold(Prop):
    """A textile held by two corners and folded over a table."""

    def __init__(self, looks: Looks) -> None:
        self.cloth = looks.color((0.0, 1.0), (0.25, 0.75), (0.65, 0.98))
        self.stripe = looks.color((0.0, 1.0), (0.3, 0.8), (0.4, 0.95))
        self.table = looks.color((0.04, 0.13), (0.25, 0.6), (0.4, 0.8))
        self.stack = [looks.color((0.0, 1.0), (0.2, 0.7), (0.5, 0.95)) for _ in range(3)]
        self.height = float(looks.rng.uniform(1.4, 1.55))
        self.pattern = looks.style(("plain", "stripes"), ("checks",), ("plain", "hem"))
        self.width = looks.between(0.42, 0.56)

    def pose(self, moment: Moment, body: Body) -> Pose:
        """The hands hold the upper corners and move together and apart."""
        x, y = self._corner(moment)
        return Pose(
            work=_arm(body, moment.side, (moment.side * x, y), axis=math.pi / 2, length=0.68),
            rest=_arm(body, -moment.side, (-moment.side * x, y), axis=math.pi / 2, length=0.68),
        )

    def before(self, pen: Pen, moment: Moment) -> None:
        """The table with a stack of folded textiles."""
        top = self._table(moment)
        pen.bar((-1.0, top + 0.9), (1.0, top + 0.9), 1.4, shade(self.table, 0.62))
        pen.polygon([(-0.92, top), (0.92, top), (1.04, top + 0.26), (-1.04, top + 0.26)], self.table)
        pen.line([(-1.04, top + 0.27), (1.04, top + 0.27)], 0.04, shade(self.table, 0.5))
        x = moment.side * 0.62
        for k, color in enumerate(self.stack):
            y = top + 0.08 - 0.11 * k
            pen.capsule((x - 0.17, y), (x + 0.17, y), (0.05, 0.05), color, edge=0.014)

    def tool(self, pen: Pen, moment: Moment, pose: Pose) -> None:
        """The textile between the hands; its lower edge lies on the table."""
        x, top = self._corner(moment)
        low, wide = self._table(moment) + 0.2, x + 0.06
        cloth = [(-wide, top), (wide, top), (wide * 0.96, low), (-wide * 0.96, low)]
        pen.polygon([(x * 1.04, y + (0.02 if y == low else -0.02)) for x, y in cloth], shade(self.cloth, 0.6))
        pen.polygon(cloth, self.cloth)
        ink = fade(self.stripe, 210)
        if self.pattern in ("stripes", "checks"):
            for k in range(1, 5):
                x = wide * (-1 + 2 * k / 5)
                pen.line([(x, top), (x * 0.96, low)], 0.05, ink)
        if self.pattern in ("checks", "hem"):
            for t in (0.3, 0.6, 0.9) if self.pattern == "checks" else (0.85,):
                y = top + t * (low - top)
                pen.line([(-wide * 0.97, y), (wide * 0.97, y)], 0.05, ink)
        pen.line([(0.02, top + 0.03), (0.0, low)], 0.025, fade(shade(self.cloth, 0.55), 160))

    def _table(self, moment: Moment) -> float:
        return min(self.height, moment.bottom - 0.42)

    def _corner(self, moment: Moment) -> Point:
        """Upper corner of the textile on the right of the image; the other is at -x."""
        x = self.width * (0.74 + 0.26 * math.sin(moment.phase))
        return x, self._table(moment) - 0.34 - 0.06 * math.cos(moment.phase)


class Iron(Prop):
    """An iron pushed along a garment on an ironing board."""

    def __init__(self, looks: Looks) -> None:
        self.iron = looks.color((0.0, 1.0), (0.5, 0.9), (0.55, 0.95))
        self.cover = looks.color((0.0, 1.0), (0.15, 0.5), (0.6, 0.92))
        self.garment = looks.color((0.0, 1.0), (0.1, 0.6), (0.7, 0.98))
        self.size = looks.between(0.29, 0.35)
        self.height = float(looks.rng.uniform(1.45, 1.6))
        self.steam = bool(looks.rng.random() < 0.5)

    def pose(self, moment: Moment, body: Body) -> Pose:
        """One hand on the iron; the other holds the garment down."""
        (x, y), board = self._iron(moment), self._board(moment)
        return Pose(
            work=_arm(body, moment.side, (x, y - 0.23), axis=0.0, length=0.75),
            rest=_arm(body, -moment.side, (-0.52 * moment.side, board - 0.02), axis=0.3, length=0.75),
        )

    def before(self, pen: Pen, moment: Moment) -> None:
        """The board on its crossed legs, with a garment."""
        y = self._board(moment)
        for side in (-1, 1):
            pen.line([(side * 0.5, y + 0.1), (-side * 0.5, y + 1.9)], 0.06, (150, 152, 158))
        ends = (-moment.side * 0.9, y + 0.06), (moment.side * 0.95, y + 0.06)
        pen.capsule(*ends, (0.17, 0.1), self.cover, edge=0.02)
        cloth = [(-0.55, y - 0.05), (0.6, y - 0.05), (0.7, y + 0.3), (-0.1, y + 0.42), (-0.65, y + 0.26)]
        pen.polygon(cloth, self.garment)
        pen.line([(-0.1, y), (-0.12, y + 0.38)], 0.02, shade(self.garment, 0.75))

    def tool(self, pen: Pen, moment: Moment, pose: Pose) -> None:
        """The iron: a metal sole with a pointed tip, a coloured body and its handle."""
        x, y = self._iron(moment)
        size, tip = self.size, moment.side
        sole = [(x - tip * size, y + 0.12), (x + tip * size * 1.25, y + 0.12)]
        body = [*sole, (x + tip * size * 0.5, y - 0.05), (x - tip * size, y - 0.07)]
        pen.polygon([(x + 1.06 * (a - x), y + 1.1 * (b - y)) for a, b in body], shade(self.iron, 0.5))
        pen.polygon(body, self.iron)
        pen.line(sole, 0.06, (205, 208, 214))
        grip = [(x - tip * size * 0.8, y - 0.06), (x - tip * size * 0.7, y - 0.22)]
        grip += [(x + tip * size * 0.35, y - 0.22), (x + tip * size * 0.42, y - 0.04)]
        pen.line(grip, 0.07, shade(self.iron, 0.45))
        if self.steam:
            for k in range(3):
                puff = (x + tip * (size + 0.1 + 0.09 * k), y - 0.02 - 0.1 * k)
                pen.ellipse(puff, (0.08 + 0.015 * k,) * 2, (255, 255, 255, 90 - 22 * k))

    def _board(self, moment: Moment) -> float:
        return min(self.height, moment.bottom - 0.34)

    def _iron(self, moment: Moment) -> Point:
        x = moment.side * (0.22 + 0.24 * math.sin(moment.phase))
        return x, self._board(moment) - 0.1


def _arm(body: Body, side: int, hand: Point, *, axis: float, length: float) -> Arm:
    """An arm that reaches forwards, with the elbow towards the outside."""
    return reach(body.shoulder(side), hand, bend=-side, axis=axis, length=length)


CHORES: dict[str, Callable[[Looks], Prop]] = {"floor": Floor, "window": Window, "fold": Fold, "iron": Iron}

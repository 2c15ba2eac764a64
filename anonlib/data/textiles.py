"""Folding and ironing: textiles and tools away from the face.

Each class answers `pose`, `behind`, `before` and `tool` as `FaceProp` does. Units: see `body`.
"""

from __future__ import annotations

import math

from anonlib.data.body import BodyLook, Pose, reach, shoulder
from anonlib.data.looks import Comb
from anonlib.data.moment import Moment
from anonlib.data.pen import Pen, Point, fade, shade


class Fold:
    """A textile held by two corners and folded over a table."""

    def __init__(self, comb: Comb) -> None:
        rng = comb.rng
        self.cloth = comb.color((0.0, 1.0), (0.25, 0.75), (0.65, 0.98))
        self.stripe = comb.color((0.0, 1.0), (0.3, 0.8), (0.4, 0.95))
        self.table = comb.color((0.04, 0.13), (0.25, 0.6), (0.4, 0.8))
        self.stack = [comb.color((0.0, 1.0), (0.2, 0.7), (0.5, 0.95)) for _ in range(3)]
        self.height = float(rng.uniform(1.4, 1.55))
        self.pattern = comb.style(("plain", "stripes"), ("checks",), ("plain", "hem"))
        self.width = comb.between(0.42, 0.56)

    def pose(self, moment: Moment, body: BodyLook) -> Pose:
        """Both hands on the upper corners, moving together and apart."""
        spread, lift = self._corners(moment)
        arms = {}
        for side in (-1, 1):
            start = shoulder(body, side)
            arms[side] = reach(start, (side * spread, lift), bend=-side, length=0.68)
        return Pose(
            work=arms[moment.side], rest=arms[-moment.side], work_axis=math.pi / 2,
            rest_axis=math.pi / 2,
        )  # fmt: skip

    def behind(self, pen: Pen, moment: Moment) -> None:
        """Nothing stands behind the person."""

    def before(self, pen: Pen, moment: Moment) -> None:
        """The table with a stack of folded textiles."""
        top = self._table(moment)
        pen.bar((-1.0, top + 0.9), (1.0, top + 0.9), 1.4, shade(self.table, 0.62))
        corners = [(-0.92, top), (0.92, top), (1.04, top + 0.26), (-1.04, top + 0.26)]
        pen.polygon(corners, self.table)
        pen.line([(-1.04, top + 0.27), (1.04, top + 0.27)], 0.04, shade(self.table, 0.5))
        for k, color in enumerate(self.stack):
            y = top + 0.08 - 0.11 * k
            ends = (moment.side * 0.62 - 0.17, y), (moment.side * 0.62 + 0.17, y)
            pen.capsule(*ends, (0.05, 0.05), color, edge=0.014)

    def tool(self, pen: Pen, moment: Moment, pose: Pose) -> None:
        """The textile between the hands, its lower edge on the table."""
        spread, lift = self._corners(moment)
        low = self._table(moment) + 0.2
        wide = spread + 0.06
        cloth = [(-wide, lift), (wide, lift), (wide * 0.96, low), (-wide * 0.96, low)]
        pen.polygon(
            [(x * 1.04, y + (0.02 if y == low else -0.02)) for x, y in cloth],
            shade(self.cloth, 0.6),
        )
        pen.polygon(cloth, self.cloth)
        ink = fade(self.stripe, 210)
        if self.pattern in ("stripes", "checks"):
            for k in range(1, 5):
                x = wide * (-1 + 2 * k / 5)
                pen.line([(x, lift), (x * 0.96, low)], 0.05, ink)
        if self.pattern in ("checks", "hem"):
            for t in (0.3, 0.6, 0.9) if self.pattern == "checks" else (0.85,):
                y = lift + t * (low - lift)
                pen.line([(-wide * 0.97, y), (wide * 0.97, y)], 0.05, ink)
        pen.line([(0.02, lift + 0.03), (0.0, low)], 0.025, fade(shade(self.cloth, 0.55), 160))

    def _table(self, moment: Moment) -> float:
        return min(self.height, moment.bottom - 0.42)

    def _corners(self, moment: Moment) -> Point:
        swing = math.sin(moment.phase)
        spread = self.width * (0.74 + 0.26 * swing)
        return spread, self._table(moment) - 0.34 - 0.06 * math.cos(moment.phase)


class Iron:
    """An iron pushed along a garment on an ironing board."""

    def __init__(self, comb: Comb) -> None:
        rng = comb.rng
        self.iron = comb.color((0.0, 1.0), (0.5, 0.9), (0.55, 0.95))
        self.cover = comb.color((0.0, 1.0), (0.15, 0.5), (0.6, 0.92))
        self.garment = comb.color((0.0, 1.0), (0.1, 0.6), (0.7, 0.98))
        self.size = comb.between(0.29, 0.35)
        self.height = float(rng.uniform(1.45, 1.6))
        self.steam = bool(rng.random() < 0.5)

    def pose(self, moment: Moment, body: BodyLook) -> Pose:
        """One hand on the iron, the other holds the garment down."""
        side = moment.side
        x, y = self._iron(moment)
        hold = (-side * 0.52, self._board(moment) - 0.02)
        return Pose(
            work=reach(shoulder(body, side), (x, y - 0.23), bend=-side, length=0.75),
            rest=reach(shoulder(body, -side), hold, bend=side, length=0.75),
            work_axis=0.0,
            rest_axis=0.3,
        )

    def behind(self, pen: Pen, moment: Moment) -> None:
        """Nothing stands behind the person."""

    def before(self, pen: Pen, moment: Moment) -> None:
        """The board on its crossed legs, with a garment."""
        y = self._board(moment)
        for side in (-1, 1):
            pen.line([(side * 0.5, y + 0.1), (-side * 0.5, y + 1.9)], 0.06, (150, 152, 158))
        point = moment.side
        pen.capsule(
            (-point * 0.9, y + 0.06), (point * 0.95, y + 0.06), (0.17, 0.1), self.cover, edge=0.02
        )
        cloth = [
            (-0.55, y - 0.05),
            (0.6, y - 0.05),
            (0.7, y + 0.3),
            (-0.1, y + 0.42),
            (-0.65, y + 0.26),
        ]
        pen.polygon(cloth, self.garment)
        pen.line([(-0.1, y), (-0.12, y + 0.38)], 0.02, shade(self.garment, 0.75))

    def tool(self, pen: Pen, moment: Moment, pose: Pose) -> None:
        """The iron: a metal sole with a pointed tip, a coloured body and its handle."""
        x, y = self._iron(moment)
        size, tip = self.size, moment.side
        sole = [(x - tip * size, y + 0.12), (x + tip * size * 1.25, y + 0.12)]
        body = [*sole, (x + tip * size * 0.5, y - 0.05), (x - tip * size, y - 0.07)]
        pen.polygon(
            [(x + 1.06 * (a - x), y + 1.1 * (b - y)) for a, b in body], shade(self.iron, 0.5)
        )
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

"""Drawn bodies: legs, torso, clothes, neck, arms with hands, and heads seen from behind.

Units: one unit is the side of the person's canonical head crop. The origin is the centre of this
crop, x grows to the right and y downwards. The enlarged face box is therefore `[-0.5, 0.5]` squared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from anonlib.world.pen import Color, Looks, Pen, Point, along, fade, hsv, shade, smooth

UPPER_ARM = 0.84
FOREARM = 0.86
_SKINS = ((1.0, 0.86, 0.75), (0.93, 0.74, 0.6), (0.8, 0.6, 0.45), (0.6, 0.42, 0.31))
_IDLE = (((0.72, 1.52), (0.74, 2.2)), ((0.8, 1.5), (0.36, 1.68)), ((0.76, 1.48), (0.12, 1.36)))
"""Elbow and hand of three idle arms of side 1: hanging, on the belly, on the chest."""
_OUTLINE = (
    *((-0.12, 0.53), (-0.3, 0.59), (-0.58, 0.68), (-0.65, 0.86)),
    *((-0.53, 1.2), (-0.48, 1.55), (-0.52, 1.95)),
)
"""Left half of the torso."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Joints of one arm; `axis` is the direction, in radians, of what the hand holds."""

    shoulder: Point
    elbow: Point
    hand: Point
    axis: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Both arms in one frame."""

    work: Arm
    rest: Arm


def reach(start: Point, target: Point, *, bend: int, axis: float = 0.0, length: float = 1.0) -> Arm:
    """Two-segment inverse kinematics: an arm from the shoulder `start` whose hand is at the target.

    A target out of reach stretches the arm. `bend` is 1 or -1, the side of the line from shoulder to
    hand on which the elbow is. `length` is below 1 for an arm that points at the viewer.

    >>> arm = reach((0.0, 0.0), (0.0, 1.2), bend=1)
    >>> abs(math.dist(arm.shoulder, arm.elbow) - UPPER_ARM) < 1e-9, arm.elbow[0] < 0
    (True, True)
    """
    upper, fore = length * UPPER_ARM, length * FOREARM
    distance = math.dist(start, target)
    if distance >= upper + fore:
        elbow = along(start, target, upper / (upper + fore))
    else:
        distance = max(distance, 0.05)
        base = max(-upper, min(upper, (upper**2 - fore**2 + distance**2) / (2 * distance)))
        elbow = along(start, target, base / distance, bend * math.sqrt(upper**2 - base**2))
    return Arm(shoulder=start, elbow=elbow, hand=target, axis=axis)


class Body:
    """Clothes and shape of one person in one clip, and how they are drawn."""

    def __init__(self, looks: Looks, *, skin: Color | None = None) -> None:
        """Chooses clothes of the split; without a skin colour that is random, too."""
        rng = looks.rng
        red, green, blue = _SKINS[int(rng.integers(len(_SKINS)))]
        self.skin = skin or (round(255 * red), round(255 * green), round(255 * blue))
        self.hair = hsv(rng.uniform(0.04, 0.1), rng.uniform(0.2, 0.6), rng.uniform(0.08, 0.5))
        self.shirt = looks.color((0.0, 1.0), (0.06, 0.46), (0.3, 0.86))
        self.trim = looks.color((0.0, 1.0), (0.05, 0.45), (0.4, 0.95))
        self.trousers = looks.color((0.5, 0.75), (0.15, 0.6), (0.15, 0.45))
        self.breadth = looks.between(0.8, 1.02)
        self.long_sleeves = bool(rng.random() < 0.55)
        self.pattern = looks.style(
            ("plain", "stripes", "buttons"), ("plain", "band"), ("plain", "pocket", "hoops")
        )
        self.collar = ("round", "vee", "shirt")[int(rng.integers(3))]

    def shoulder(self, side: int) -> Point:
        """Shoulder of a side; -1 is the left of the image, 1 the right."""
        return side * 0.6 * self.breadth, 0.8

    def idle_arm(self, side: int, choice: int) -> Arm:
        """One of the three idle arms, by `choice` 0 to 2."""
        elbow, hand = ((side * x, y) for x, y in _IDLE[choice])
        return Arm(shoulder=self.shoulder(side), elbow=elbow, hand=hand, axis=1.2)

    def draw_legs(self, pen: Pen) -> None:
        """Two trouser legs down to the shoes."""
        for side in (-1, 1):
            hip, foot = (side * 0.24 * self.breadth, 1.85), (side * 0.3 * self.breadth, 3.3)
            pen.capsule(hip, foot, (0.27 * self.breadth, 0.15), self.trousers, edge=0.02)
            pen.ellipse((foot[0] + side * 0.06, 3.42), (0.2, 0.1), shade(self.trousers, 0.5))
        pen.ellipse((0.0, 1.85), (0.5 * self.breadth, 0.22), self.trousers)

    def draw_torso(self, pen: Pen, *, lean: float, back: bool) -> None:
        """Torso with pattern and collar (none at the back), shaded on one side.

        `lean` is the sideways shift of the torso for one unit of y.
        """
        points = [*_OUTLINE, *((-x, y) for x, y in reversed(_OUTLINE))]
        outline = smooth([(x * self.breadth + lean * (y - 0.6), y) for x, y in points])
        pen.polygon([(x * 1.025, y) for x, y in outline], shade(self.shirt, 0.72))
        pen.polygon(outline, self.shirt)
        self._draw_pattern(pen, lean)
        for inset, alpha in ((0.8, 26), (0.55, 18)):
            edge = [(x, y) for x, y in outline if x > lean * (y - 0.6) and y > 0.6]
            inner = [(lean * (y - 0.6) * (1 - inset) + inset * x, y) for x, y in reversed(edge)]
            pen.polygon(edge + inner, fade(shade(self.shirt, 0.3), alpha))
        if not back:
            self._draw_collar(pen)

    def draw_neck(self, pen: Pen, head: Point) -> None:
        """A neck, darker than the face, from a head at `head` down into the collar."""
        pen.capsule((head[0], head[1] + 0.25), (0.0, 0.5), (0.16, 0.17), shade(self.skin, 0.86), edge=0.01)

    def draw_back_of_head(self, pen: Pen, head: Point) -> None:
        """A head seen from behind: ears, hair and a few strands."""
        x, y = head
        for side in (-1, 1):
            pen.ellipse((x + side * 0.3, y + 0.04), (0.05, 0.08), self.skin)
        pen.ellipse((x, y - 0.06), (0.31, 0.36), self.hair)
        pen.ellipse((x, y + 0.1), (0.27, 0.25), self.hair)
        for k in (-2, -1, 0, 1, 2):
            strand = [(x + 0.04 * k, y - 0.36), (x + 0.1 * k, y - 0.05), (x + 0.09 * k, y + 0.28)]
            pen.line(strand, 0.015, fade(shade(self.hair, 1.5 if k % 2 else 0.6), 150))

    def draw_arm(self, pen: Pen, arm: Arm) -> None:
        """Arm with sleeve, and the part of the hand that is behind the tool."""
        wrist = along(arm.elbow, arm.hand, 0.88)
        cuff = along(arm.elbow, arm.hand, 0.72)
        pen.capsule(arm.elbow, wrist, (0.115, 0.07), self.skin, edge=0.018)
        pen.capsule(arm.shoulder, arm.elbow, (0.14, 0.115), self.skin, edge=0.018)
        if self.long_sleeves:
            pen.capsule(arm.elbow, cuff, (0.128, 0.098), self.shirt, edge=0.018)
            pen.capsule(arm.shoulder, arm.elbow, (0.17, 0.13), self.shirt, edge=0.018)
            pen.capsule(arm.elbow, cuff, (0.122, 0.092), self.shirt)
        else:
            hem = along(arm.shoulder, arm.elbow, 0.45)
            pen.capsule(arm.shoulder, hem, (0.172, 0.168), self.shirt, edge=0.018)
        axis = arm.axis or 1e-6  # the pen draws unturned ellipses in another way
        pen.ellipse(arm.hand, (0.128, 0.112), shade(self.skin, 0.7), axis)
        pen.ellipse(arm.hand, (0.113, 0.098), shade(self.skin, 0.93), axis)

    def draw_fingers(self, pen: Pen, arm: Arm) -> None:
        """Four fingers across the tool, in front of it."""
        c, s = math.cos(arm.axis), math.sin(arm.axis)
        for k in (-1.5, -0.5, 0.5, 1.5):
            x, y = arm.hand[0] + 0.052 * k * c, arm.hand[1] + 0.052 * k * s
            ends = (x + 0.06 * s, y - 0.06 * c), (x - 0.06 * s, y + 0.06 * c)
            pen.capsule(*ends, (0.026, 0.028), self.skin, edge=0.009)

    def _draw_pattern(self, pen: Pen, lean: float) -> None:
        wide = 0.46 * self.breadth
        if self.pattern == "stripes":
            for x in (-0.3, -0.15, 0.0, 0.15, 0.3):
                pen.line([(x, 0.72), (x + lean * 1.3, 1.92)], 0.035, fade(self.trim, 190))
        elif self.pattern in ("hoops", "band"):
            for y in (0.95, 1.2, 1.45, 1.7) if self.pattern == "hoops" else (1.05,):
                shift = lean * (y - 0.6)
                thick = 0.06 if self.pattern == "hoops" else 0.16
                pen.line([(shift - wide, y), (shift + wide, y)], thick, fade(self.trim, 190))
        elif self.pattern == "buttons":
            pen.line([(0.0, 0.62), (lean * 1.3, 1.92)], 0.02, shade(self.shirt, 0.7))
            for y in (0.8, 1.05, 1.3, 1.55):
                pen.ellipse((0.03 + lean * (y - 0.6), y), (0.022, 0.022), self.trim)
        elif self.pattern == "pocket":
            pen.bar((0.14, 1.1), (0.36, 1.1), 0.22, shade(self.shirt, 0.8))

    def _draw_collar(self, pen: Pen) -> None:
        """An opening of skin below the neck, framed by the collar."""
        if self.collar == "round":
            pen.ellipse((0.0, 0.55), (0.25, 0.14), self.trim)
            pen.ellipse((0.0, 0.53), (0.2, 0.12), self.skin)
            return
        depth = 0.86 if self.collar == "vee" else 0.74
        pen.polygon([(-0.25, 0.5), (0.25, 0.5), (0.0, depth + 0.06)], self.trim)
        pen.polygon([(-0.2, 0.48), (0.2, 0.48), (0.0, depth)], self.skin)
        if self.collar == "shirt":
            for side in (-1, 1):
                wing = [(side * 0.17, 0.46), (side * 0.34, 0.58), (side * 0.13, 0.8)]
                pen.polygon(wing, shade(self.shirt, 1.2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One person in one frame; positions are in the person's units."""

    side: int
    """1 when the working hand is on the right of the image, else -1."""
    phase: float
    """Phase of the action's motion in radians."""
    head: Point
    """Offset of the head from its rest position."""
    mouth: Point
    bottom: float
    """y of the lower edge of the frame."""


class Prop(Protocol):
    """What a person holds during an action, and what stands around this person."""

    def pose(self, moment: Moment, body: Body) -> Pose:
        """Where the arms are."""

    def tool(self, pen: Pen, moment: Moment, pose: Pose) -> None:
        """Draw what the hands hold."""

    def behind(self, pen: Pen, moment: Moment) -> None:
        """Draw what stands behind all people; by default nothing."""
        return None

    def before(self, pen: Pen, moment: Moment) -> None:
        """Draw what stands between body and arms; by default nothing."""
        return None

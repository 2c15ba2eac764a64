"""Drawn bodies: legs, torso, clothes, neck, arms with hands, and heads seen from behind.

Units: one unit is the side of the person's canonical head crop. The origin is the centre of this
crop, x grows to the right and y downwards. The enlarged face box is therefore `[-0.5, 0.5]` squared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from anonlib.world.looks import Looks
from anonlib.world.pen import Color, Pen, Point, along, fade, hsv, shade, smooth

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
class BodyLook:
    """Colours and shape of a body in one clip."""

    skin: Color
    hair: Color
    shirt: Color
    trim: Color
    trousers: Color
    breadth: float
    long_sleeves: bool
    pattern: str
    collar: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Joints of one arm."""

    shoulder: Point
    elbow: Point
    hand: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Both arms in one frame. An axis is the direction, in radians, of what the hand holds."""

    work: Arm
    rest: Arm
    work_axis: float
    rest_axis: float


def random_body(looks: Looks, *, skin: Color | None = None) -> BodyLook:
    """A body in this split's clothes; the skin colour is random unless it is given."""
    rng = looks.rng
    tone = _SKINS[int(rng.integers(len(_SKINS)))]
    return BodyLook(
        skin=skin or (round(255 * tone[0]), round(255 * tone[1]), round(255 * tone[2])),
        hair=hsv(rng.uniform(0.04, 0.1), rng.uniform(0.2, 0.6), rng.uniform(0.08, 0.5)),
        shirt=looks.color((0.0, 1.0), (0.06, 0.46), (0.3, 0.86)),
        trim=looks.color((0.0, 1.0), (0.05, 0.45), (0.4, 0.95)),
        trousers=looks.color((0.5, 0.75), (0.15, 0.6), (0.15, 0.45)),
        breadth=looks.between(0.8, 1.02),
        long_sleeves=bool(rng.random() < 0.55),
        pattern=looks.style(("plain", "stripes", "buttons"), ("plain", "band"), ("plain", "pocket", "hoops")),
        collar=("round", "vee", "shirt")[int(rng.integers(3))],
    )


def shoulder(look: BodyLook, side: int) -> Point:
    """Shoulder of a side; -1 is the left of the image, 1 the right."""
    return side * 0.6 * look.breadth, 0.8


def reach(start: Point, target: Point, *, bend: int, length: float = 1.0) -> Arm:
    """Two-segment inverse kinematics: an arm whose hand is at the target.

    A target out of reach stretches the arm.

    Args:
        start: the shoulder.
        target: where the hand is.
        bend: 1 or -1, the side of the line from shoulder to hand on which the elbow is.
        length: visible part of the length of both segments; below 1 for an arm that points
            at the viewer.

    >>> arm = reach((0.0, 0.0), (0.0, 1.2), bend=1)
    >>> abs(math.dist(arm.shoulder, arm.elbow) - UPPER_ARM) < 1e-9, arm.elbow[0] < 0
    (True, True)
    """
    upper, fore = length * UPPER_ARM, length * FOREARM
    distance = math.dist(start, target)
    if distance >= upper + fore:
        return Arm(shoulder=start, elbow=along(start, target, upper / (upper + fore)), hand=target)
    distance = max(distance, 0.05)
    base = max(-upper, min(upper, (upper**2 - fore**2 + distance**2) / (2 * distance)))
    lift = math.sqrt(upper**2 - base**2)
    return Arm(shoulder=start, elbow=along(start, target, base / distance, bend * lift), hand=target)


def idle_arm(look: BodyLook, side: int, choice: int) -> Arm:
    """One of the three idle arms, by `choice` 0 to 2."""
    elbow, hand = ((side * x, y) for x, y in _IDLE[choice])
    return Arm(shoulder=shoulder(look, side), elbow=elbow, hand=hand)


def draw_legs(pen: Pen, look: BodyLook) -> None:
    """Two trouser legs down to the shoes."""
    for side in (-1, 1):
        hip, foot = (side * 0.24 * look.breadth, 1.85), (side * 0.3 * look.breadth, 3.3)
        pen.capsule(hip, foot, (0.27 * look.breadth, 0.15), look.trousers, edge=0.02)
        pen.ellipse((foot[0] + side * 0.06, 3.42), (0.2, 0.1), shade(look.trousers, 0.5))
    pen.ellipse((0.0, 1.85), (0.5 * look.breadth, 0.22), look.trousers)


def draw_torso(pen: Pen, look: BodyLook, *, lean: float, back: bool) -> None:
    """Torso with pattern and collar (none at the back), shaded on one side.

    `lean` is the sideways shift of the torso for one unit of y.
    """
    points = [*_OUTLINE, *((-x, y) for x, y in reversed(_OUTLINE))]
    outline = smooth([(x * look.breadth + lean * (y - 0.6), y) for x, y in points])
    pen.polygon([(x * 1.025, y) for x, y in outline], shade(look.shirt, 0.72))
    pen.polygon(outline, look.shirt)
    _draw_pattern(pen, look, lean)
    for inset, alpha in ((0.8, 26), (0.55, 18)):
        edge = [(x, y) for x, y in outline if x > lean * (y - 0.6) and y > 0.6]
        inner = [(lean * (y - 0.6) * (1 - inset) + inset * x, y) for x, y in reversed(edge)]
        pen.polygon(edge + inner, fade(shade(look.shirt, 0.3), alpha))
    if not back:
        _draw_collar(pen, look)


def _draw_pattern(pen: Pen, look: BodyLook, lean: float) -> None:
    wide = 0.46 * look.breadth
    if look.pattern == "stripes":
        for x in (-0.3, -0.15, 0.0, 0.15, 0.3):
            pen.line([(x, 0.72), (x + lean * 1.3, 1.92)], 0.035, fade(look.trim, 190))
    elif look.pattern in ("hoops", "band"):
        for y in (0.95, 1.2, 1.45, 1.7) if look.pattern == "hoops" else (1.05,):
            shift = lean * (y - 0.6)
            thick = 0.06 if look.pattern == "hoops" else 0.16
            pen.line([(shift - wide, y), (shift + wide, y)], thick, fade(look.trim, 190))
    elif look.pattern == "buttons":
        pen.line([(0.0, 0.62), (lean * 1.3, 1.92)], 0.02, shade(look.shirt, 0.7))
        for y in (0.8, 1.05, 1.3, 1.55):
            pen.ellipse((0.03 + lean * (y - 0.6), y), (0.022, 0.022), look.trim)
    elif look.pattern == "pocket":
        pen.bar((0.14, 1.1), (0.36, 1.1), 0.22, shade(look.shirt, 0.8))


def _draw_collar(pen: Pen, look: BodyLook) -> None:
    """An opening of skin below the neck, framed by the collar."""
    if look.collar == "round":
        pen.ellipse((0.0, 0.55), (0.25, 0.14), look.trim)
        pen.ellipse((0.0, 0.53), (0.2, 0.12), look.skin)
        return
    depth = 0.86 if look.collar == "vee" else 0.74
    pen.polygon([(-0.25, 0.5), (0.25, 0.5), (0.0, depth + 0.06)], look.trim)
    pen.polygon([(-0.2, 0.48), (0.2, 0.48), (0.0, depth)], look.skin)
    if look.collar == "shirt":
        for side in (-1, 1):
            wing = [(side * 0.17, 0.46), (side * 0.34, 0.58), (side * 0.13, 0.8)]
            pen.polygon(wing, shade(look.shirt, 1.2))


def draw_neck(pen: Pen, look: BodyLook, head: Point) -> None:
    """A neck, darker than the face, from a head at `head` down into the collar."""
    pen.capsule((head[0], head[1] + 0.25), (0.0, 0.5), (0.16, 0.17), shade(look.skin, 0.86), edge=0.01)


def draw_back_of_head(pen: Pen, look: BodyLook, head: Point) -> None:
    """A head seen from behind: ears, hair and a few strands."""
    x, y = head
    for side in (-1, 1):
        pen.ellipse((x + side * 0.3, y + 0.04), (0.05, 0.08), look.skin)
    pen.ellipse((x, y - 0.06), (0.31, 0.36), look.hair)
    pen.ellipse((x, y + 0.1), (0.27, 0.25), look.hair)
    for k in (-2, -1, 0, 1, 2):
        strand = [(x + 0.04 * k, y - 0.36), (x + 0.1 * k, y - 0.05), (x + 0.09 * k, y + 0.28)]
        pen.line(strand, 0.015, fade(shade(look.hair, 1.5 if k % 2 else 0.6), 150))


def draw_arm(pen: Pen, look: BodyLook, arm: Arm) -> None:
    """Upper arm, forearm and sleeve; the hand is drawn by `draw_palm` and `draw_fingers`."""
    wrist = along(arm.elbow, arm.hand, 0.88)
    cuff = along(arm.elbow, arm.hand, 0.72)
    pen.capsule(arm.elbow, wrist, (0.115, 0.07), look.skin, edge=0.018)
    pen.capsule(arm.shoulder, arm.elbow, (0.14, 0.115), look.skin, edge=0.018)
    if look.long_sleeves:
        pen.capsule(arm.elbow, cuff, (0.128, 0.098), look.shirt, edge=0.018)
        pen.capsule(arm.shoulder, arm.elbow, (0.17, 0.13), look.shirt, edge=0.018)
        pen.capsule(arm.elbow, cuff, (0.122, 0.092), look.shirt)
    else:
        hem = along(arm.shoulder, arm.elbow, 0.45)
        pen.capsule(arm.shoulder, hem, (0.172, 0.168), look.shirt, edge=0.018)


def draw_palm(pen: Pen, look: BodyLook, hand: Point, axis: float) -> None:
    """The part of a hand that is behind the tool."""
    axis = axis or 1e-6  # the pen draws unturned ellipses in another way
    pen.ellipse(hand, (0.128, 0.112), shade(look.skin, 0.7), axis)
    pen.ellipse(hand, (0.113, 0.098), shade(look.skin, 0.93), axis)


def draw_fingers(pen: Pen, look: BodyLook, hand: Point, axis: float) -> None:
    """Four fingers across the tool, in front of it."""
    c, s = math.cos(axis), math.sin(axis)
    for k in (-1.5, -0.5, 0.5, 1.5):
        x, y = hand[0] + 0.052 * k * c, hand[1] + 0.052 * k * s
        ends = (x + 0.06 * s, y - 0.06 * c), (x - 0.06 * s, y + 0.06 * c)
        pen.capsule(*ends, (0.026, 0.028), look.skin, edge=0.009)

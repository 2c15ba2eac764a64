"""Illustrated bodies: clothes, legs, torso, neck, two-segment arms with hands, backs of heads.

Units: one unit is the side of the person's canonical head crop, the origin is its centre, x grows
to the right and y downwards. The enlarged face box is therefore `[-0.5, 0.5]` squared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from anonlib.world.looks import Comb
from anonlib.world.pen import Color, Pen, Point, along, fade, hsv, shade, smooth

UPPER_ARM = 0.84
FOREARM = 0.86
_SKINS = ((1.0, 0.86, 0.75), (0.93, 0.74, 0.6), (0.8, 0.6, 0.45), (0.6, 0.42, 0.31))
_IDLE = (((0.72, 1.52), (0.74, 2.2)), ((0.8, 1.5), (0.36, 1.68)), ((0.76, 1.48), (0.12, 1.36)))
"""Elbow and hand of the arm of side 1."""
_OUTLINE = ((-0.12, 0.53), (-0.3, 0.59), (-0.58, 0.68), (-0.65, 0.86), (-0.53, 1.2), (-0.48, 1.55))


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLook:
    """What does not change during a clip."""

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
    """Joints of one arm, in units."""

    shoulder: Point
    elbow: Point
    hand: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Both arms in one frame; an axis is the direction of what a hand holds, in radians."""

    work: Arm
    rest: Arm
    work_axis: float = 0.0
    rest_axis: float = 0.0


def random_body(comb: Comb, *, skin: Color | None = None) -> BodyLook:
    """Clothes of the comb's split; without a skin colour one is drawn."""
    rng = comb.rng
    tone = _SKINS[int(rng.integers(len(_SKINS)))]
    patterns = (("plain", "stripes", "buttons"), ("plain", "band"), ("plain", "pocket", "hoops"))
    return BodyLook(
        skin=skin or (round(255 * tone[0]), round(255 * tone[1]), round(255 * tone[2])),
        hair=hsv(rng.uniform(0.04, 0.1), rng.uniform(0.2, 0.6), rng.uniform(0.08, 0.5)),
        shirt=comb.color((0.0, 1.0), (0.06, 0.46), (0.3, 0.86)),
        trim=comb.color((0.0, 1.0), (0.05, 0.45), (0.4, 0.95)),
        trousers=comb.color((0.5, 0.75), (0.15, 0.6), (0.15, 0.45)),
        breadth=comb.between(0.8, 1.02),
        long_sleeves=bool(rng.random() < 0.55),
        pattern=comb.style(*patterns),
        collar=("round", "vee", "shirt")[int(rng.integers(3))],
    )


def shoulder(look: BodyLook, side: int) -> Point:
    """Where the arm of a side (-1 is left in the image) begins."""
    return side * 0.6 * look.breadth, 0.8


def reach(start: Point, target: Point, *, bend: int, length: float = 1.0) -> Arm:
    """Two-segment inverse kinematics: the elbow bends to the side `bend` of the line to the hand.

    A target out of reach stretches the arm, one too near folds it.

    Args:
        start: the shoulder.
        target: where the hand must be.
        bend: 1 or -1.
        length: how long both segments look; below 1 when they point at the viewer.

    >>> arm = reach((0.0, 0.0), (0.0, 1.2), bend=1)
    >>> abs(math.dist(arm.shoulder, arm.elbow) - UPPER_ARM) < 1e-9, arm.elbow[0] < 0
    (True, True)
    """
    upper, fore = length * UPPER_ARM, length * FOREARM
    distance = math.dist(start, target)
    if distance >= upper + fore:
        return Arm(shoulder=start, elbow=along(start, target, upper / (upper + fore)), hand=target)
    distance = max(distance, 0.05)
    base = (upper**2 - fore**2 + distance**2) / (2 * distance)
    base = max(-upper, min(upper, base))
    lift = math.sqrt(upper**2 - base**2)
    elbow = along(start, target, base / distance, bend * lift)
    return Arm(shoulder=start, elbow=elbow, hand=target)


def idle_arm(look: BodyLook, side: int, choice: int) -> Arm:
    """An arm with nothing to do, in one of three ways: it hangs, or rests on belly or chest."""
    (elbow_x, elbow_y), (x, y) = _IDLE[choice]
    start = shoulder(look, side)
    return Arm(shoulder=start, elbow=(side * elbow_x, elbow_y), hand=(side * x, y))


def draw_legs(pen: Pen, look: BodyLook) -> None:
    """Two trouser legs down to the shoes."""
    for side in (-1, 1):
        hip, foot = (side * 0.24 * look.breadth, 1.85), (side * 0.3 * look.breadth, 3.3)
        pen.capsule(hip, foot, (0.27 * look.breadth, 0.15), look.trousers, edge=0.02)
        pen.ellipse((foot[0] + side * 0.06, 3.42), (0.2, 0.1), shade(look.trousers, 0.5))
    pen.ellipse((0.0, 1.85), (0.5 * look.breadth, 0.22), look.trousers)


def draw_torso(pen: Pen, look: BodyLook, *, lean: float = 0.0, back: bool = False) -> None:
    """Torso with its pattern and collar, shaded on one side; `lean` shifts the hips sideways."""
    half = [*_OUTLINE, (-0.52, 1.95)]
    points = half + [(-x, y) for x, y in reversed(half)]
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
    """A neck from the chin of a head at `head` down into the collar, in the chin's shadow."""
    shadow = shade(look.skin, 0.86)
    pen.capsule((head[0], head[1] + 0.25), (0.0, 0.5), (0.16, 0.17), shadow, edge=0.01)


def draw_back_of_head(pen: Pen, look: BodyLook, head: Point) -> None:
    """A head seen from behind: ears, hair and a few strands, no face."""
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
    """The part of a hand behind what it holds."""
    pen.ellipse(hand, (0.128, 0.112), shade(look.skin, 0.7), axis or 1e-6)
    pen.ellipse(hand, (0.113, 0.098), shade(look.skin, 0.93), axis or 1e-6)


def draw_fingers(pen: Pen, look: BodyLook, hand: Point, axis: float) -> None:
    """Four fingers across the held thing, in front of it, and a thumb along it."""
    c, s = math.cos(axis), math.sin(axis)
    for k in (-1.5, -0.5, 0.5, 1.5):
        x, y = hand[0] + 0.052 * k * c, hand[1] + 0.052 * k * s
        ends = (x + 0.06 * s, y - 0.06 * c), (x - 0.06 * s, y + 0.06 * c)
        pen.capsule(*ends, (0.026, 0.028), look.skin, edge=0.009)

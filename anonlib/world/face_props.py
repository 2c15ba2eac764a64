"""The six face-related actions: what is held at the face, and how.

The arms are drawn from the same distributions for all six, so that only the tool tells the actions
apart. Units are those of `body`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from anonlib.world.body import Arm, Body, Moment, Pose, Prop
from anonlib.world.pen import Color, Looks, Pen, Point, along, fade, hsv, shade


class FaceProp(Prop):
    """One of the six face-related actions, `name`, with a random look of its tool."""

    def __init__(self, name: str, looks: Looks) -> None:
        self.name = name
        rng = looks.rng
        self.grip = (float(rng.uniform(0.25, 0.35)), float(rng.uniform(0.06, 0.2)))
        self.elbow = (float(rng.uniform(0.64, 0.9)), float(rng.uniform(1.2, 1.5)))
        self.other_elbow = (float(rng.uniform(0.64, 0.9)), float(rng.uniform(1.2, 1.5)))
        self.idle = int(rng.integers(3))
        self.second_hand = bool(rng.random() < 0.2)  # raised as well
        make_look, self.draw = TOOLS[name]
        self.look = make_look(looks)

    def pose(self, moment: Moment, body: Body) -> Pose:
        """Working hand at the face; the other arm is idle or, sometimes, raised as well."""
        side, mouth = moment.side, moment.mouth
        hand = self._grip(moment)
        axis = math.atan2(mouth[1] - hand[1], mouth[0] - hand[0])
        if self.name in ("phone", "photo"):
            axis = math.pi / 2 + 0.25 * side
        elbow = (side * self.elbow[0], self.elbow[1])
        work = Arm(shoulder=body.shoulder(side), elbow=elbow, hand=hand, axis=axis)
        rest = body.idle_arm(-side, self.idle)
        if self.second_hand:
            elbow = (-side * self.other_elbow[0], self.other_elbow[1])
            rest = replace(rest, elbow=elbow, hand=(mouth[0] - side * 0.31, mouth[1] + 0.12))
        return Pose(work=work, rest=rest)

    def tool(self, pen: Pen, moment: Moment, pose: Pose) -> None:
        """Draw the tool in the working hand."""
        self.draw(pen, self.look, moment, pose.work.hand)

    def _grip(self, moment: Moment) -> Point:
        """Where the working hand is."""
        swing = math.sin(moment.phase)
        a, b = self.grip
        if self.name == "phone":
            x, y = moment.head[0] + moment.side * (a + 0.05), moment.head[1] + b + 0.08
            return x, y + 0.01 * swing
        if self.name == "photo":
            x, y = moment.head[0] + moment.side * a, moment.head[1] + b - 0.08
            return x + 0.015 * swing, y
        return moment.mouth[0] + moment.side * (a + 0.035 * swing), moment.mouth[1] + b


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolLook:
    """Colours and sizes of a tool."""

    main: Color
    accent: Color
    length: float
    width: float
    kind: str = ""
    """Variant of the tool, such as `cup` for `drink`."""


def _lip_look(looks: Looks) -> ToolLook:
    return ToolLook(
        main=looks.color((-0.07, 0.03), (0.8, 0.97), (0.7, 0.97)),
        accent=looks.style(
            ((30, 28, 34), (206, 168, 70)), ((235, 232, 226),), ((40, 36, 56), (196, 176, 104))
        ),
        length=looks.between(0.15, 0.19),
        width=looks.between(0.105, 0.13),
    )


def _draw_lip(pen: Pen, look: ToolLook, moment: Moment, hand: Point) -> None:
    """Coloured lips and a short lipstick that touches them."""
    x, y = moment.mouth
    pen.ellipse((x, y), (0.14, 0.06), fade(look.main, 220))
    pen.line([(x - 0.1, y), (x + 0.1, y)], 0.012, shade(look.main, 0.5))
    tip = (x + moment.side * (0.075 + 0.03 * math.sin(moment.phase)), y + 0.01)
    reachable = math.dist(tip, hand)
    ring, case = along(tip, hand, look.length * 0.5 / reachable), along(tip, hand, 0.98)
    pen.capsule(ring, case, (look.width * 0.6, look.width * 0.6), look.accent, edge=0.014)
    pen.capsule(tip, ring, (look.width * 0.36, look.width * 0.46), look.main, edge=0.012)
    pen.bar(along(tip, hand, look.length * 0.44 / reachable), ring, look.width, (226, 196, 110))


def _brush_look(looks: Looks) -> ToolLook:
    return ToolLook(
        main=looks.color((0.3, 0.75), (0.7, 0.95), (0.6, 0.95)),
        accent=hsv(looks.between(0.45, 0.65), 0.12, 0.98),
        length=looks.between(0.1, 0.17),
        width=looks.between(0.068, 0.086),
    )


def _draw_brush(pen: Pen, look: ToolLook, moment: Moment, hand: Point) -> None:
    """White foam, a white brush head across the mouth, and a long thin handle."""
    x, y = moment.mouth
    slide = 0.05 * math.sin(moment.phase)
    pen.ellipse((x, y + 0.02), (0.15, 0.08), (246, 250, 252, 240))
    pen.ellipse((x - 0.07 * moment.side, y + 0.1), (0.055, 0.06), (240, 247, 250, 235))
    front = (x - moment.side * (0.12 - slide), y - 0.045)
    back = along(front, hand, 1.0 + look.length / 0.5)
    pen.capsule(front, back, (look.width * 0.45, look.width * 0.62), look.main, edge=0.012)
    neck = along(front, hand, 0.38)
    pen.bar(along(front, neck, 0.0, -0.03), along(front, neck, 1.0, -0.03), 0.1, look.accent)
    pen.bar(along(front, neck, 0.0, 0.02), along(front, neck, 1.0, 0.02), 0.035, look.main)


def _drink_look(looks: Looks) -> ToolLook:
    return ToolLook(
        main=looks.color((0.1, 0.72), (0.45, 0.85), (0.55, 0.95)),
        accent=looks.color((0.04, 0.16), (0.5, 0.9), (0.4, 0.95)),
        length=looks.between(0.48, 0.54),
        width=looks.between(0.3, 0.36),
        kind=("glass", "cup", "bottle")[int(looks.rng.integers(3))],
    )


def _draw_drink(pen: Pen, look: ToolLook, moment: Moment, hand: Point) -> None:
    """A glass, cup or bottle tilted to the lips; its bottom is beyond the hand."""
    x, y = moment.mouth
    rim = (x - moment.side * 0.03, y + 0.005)
    target = (hand[0], hand[1] - 0.09 + 0.03 * math.sin(moment.phase))
    base = along(rim, target, look.length / math.dist(rim, target))
    half = look.width / 2
    profile = {
        "glass": ((0.0, 1.0), (1.0, 0.78)),
        "cup": ((0.0, 1.0), (0.75, 0.95), (0.9, 0.7)),
        "bottle": ((0.0, 0.42), (0.2, 0.46), (0.34, 0.92), (1.05, 0.92)),
    }[look.kind]

    def body(inset: float) -> list[Point]:
        upper = [along(rim, base, t, half * w - inset) for t, w in profile]
        return upper + [along(rim, base, t, inset - half * w) for t, w in reversed(profile)]

    if look.kind == "glass":
        pen.polygon(body(-0.012), (70, 90, 110, 235))
        pen.polygon(body(0.0), (214, 232, 242, 225))
        fill = [(0.25, 0.86), (0.95, 0.7)]
        sides = [along(rim, base, t, half * w) for t, w in fill]
        pen.polygon(sides + [along(rim, base, t, -half * w) for t, w in reversed(fill)], look.accent)
    else:
        pen.polygon(body(-0.014), shade(look.main, 0.45))
        pen.polygon(body(0.0), look.main)
        if look.kind == "bottle":
            pen.bar(along(rim, base, 0.62), along(rim, base, 0.95), look.width * 0.9, look.accent)
        else:
            heading = math.atan2(base[1] - rim[1], base[0] - rim[0]) or 1e-6
            pen.ellipse(rim, (0.035, half), shade(look.main, 0.4), heading)
    shine = (along(rim, base, 0.1, -half * 0.5), along(rim, base, 0.85, -half * 0.45))
    pen.line(shine, 0.022, (255, 255, 255, 150))


def _harmonica_look(looks: Looks) -> ToolLook:
    grey = round(looks.between(186, 234))
    return ToolLook(
        main=(grey, grey, min(255, grey + 8)),
        accent=looks.color((0.0, 1.0), (0.5, 0.9), (0.3, 0.6)),
        length=looks.between(0.56, 0.66),
        width=looks.between(0.16, 0.19),
    )


def _draw_harmonica(pen: Pen, look: ToolLook, moment: Moment, hand: Point) -> None:
    """A wide metal bar across the mouth with a coloured stripe and a row of holes."""
    slide = 0.04 * math.sin(moment.phase)
    x, y = moment.mouth[0] + slide, moment.mouth[1]
    half, dip = look.length / 2, 0.03 * moment.side
    ends = (x - half, y - dip), (x + half, y + dip)
    pen.bar(*ends, look.width + 0.03, (40, 40, 46))
    pen.bar(*ends, look.width, look.main)
    pen.line([along(*ends, 0.03, -0.045), along(*ends, 0.97, -0.045)], 0.02, (255, 255, 255))
    pen.bar(*ends, look.width * 0.36, look.accent)
    for k in range(8):
        pen.ellipse(along(*ends, (k + 1) / 9), (0.014, 0.016), (16, 14, 18))


def _phone_look(looks: Looks) -> ToolLook:
    return ToolLook(
        main=looks.color((0.5, 0.9), (0.1, 0.4), (0.08, 0.22)),
        accent=looks.color((0.45, 0.65), (0.1, 0.4), (0.7, 0.95)),
        length=looks.between(0.42, 0.5),
        width=looks.between(0.17, 0.2),
    )


def _draw_phone(pen: Pen, look: ToolLook, moment: Moment, hand: Point) -> None:
    """A dark slab from the ear towards the mouth."""
    side, (x, y) = moment.side, moment.head
    top, foot = (x + side * 0.34, y - 0.24), (x + side * 0.28, y - 0.24 + look.length)
    rim = look.width / 2 + 0.028
    pen.capsule(top, foot, (rim, rim), shade(look.accent, 1.15), edge=0.012)
    pen.capsule(top, foot, (look.width / 2, look.width / 2), look.main, edge=0.015)
    edge = (along(top, foot, -0.1, side * 0.42 * look.width), along(top, foot, 1.1, side * 0.42 * look.width))
    pen.line(edge, 0.025, look.accent)
    pen.ellipse(along(top, foot, 0.02), (0.028, 0.028), shade(look.accent, 0.8))


def _photo_look(looks: Looks) -> ToolLook:
    return ToolLook(
        main=looks.color((0.5, 1.1), (0.05, 0.5), (0.16, 0.4)),
        accent=looks.color((0.5, 0.72), (0.4, 0.8), (0.5, 0.9)),
        length=looks.between(0.5, 0.58),
        width=looks.between(0.3, 0.35),
        kind=("camera", "phone")[int(looks.rng.random() < 0.4)],
    )


def _draw_photo(pen: Pen, look: ToolLook, moment: Moment, hand: Point) -> None:
    """A camera before the eyes, or a phone held across with its lenses to the viewer."""
    x, y = hand[0] - moment.side * 0.19, moment.head[1] - 0.05
    half = look.length / 2
    ends = (x - half, y), (x + half, y)
    height = look.width if look.kind == "camera" else look.width * 0.85
    if look.kind == "camera":
        pen.bar((x - 0.1, y - height * 0.55), (x + 0.1, y - height * 0.55), 0.1, look.main)
    pen.bar((ends[0][0] - 0.014, y), (ends[1][0] + 0.014, y), height + 0.028, shade(look.main, 0.4))
    pen.bar(*ends, height, look.main)
    pen.bar((ends[0][0], y - height * 0.34), (ends[1][0], y - height * 0.34), 0.045, (170, 172, 178))
    lenses = [(x, y + 0.02, 0.112)]
    if look.kind == "phone":
        lenses = [(x - moment.side * (half - 0.07), y + d, 0.045) for d in (-0.05, 0.055)]
    for cx, cy, radius in lenses:
        pen.ellipse((cx, cy), (radius, radius), (214, 216, 222))
        pen.ellipse((cx, cy), (radius * 0.78, radius * 0.78), (16, 16, 24))
        pen.ellipse((cx, cy), (radius * 0.45, radius * 0.45), look.accent)
        pen.ellipse((cx - radius * 0.25, cy - radius * 0.25), (radius * 0.2,) * 2, (250, 250, 255))


TOOLS: dict[str, tuple[Callable[[Looks], ToolLook], Callable[[Pen, ToolLook, Moment, Point], None]]] = {
    "lip": (_lip_look, _draw_lip),
    "brush": (_brush_look, _draw_brush),
    "drink": (_drink_look, _draw_drink),
    "phone": (_phone_look, _draw_phone),
    "harmonica": (_harmonica_look, _draw_harmonica),
    "photo": (_photo_look, _draw_photo),
}
"""Random look of an action's tool, and the function that draws the tool in a hand."""

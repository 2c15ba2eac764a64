"""Arms that hold something at the face: the evidence of the six face classes.

One hand is at the head, its elbow and the other arm drawn from distributions that all six share,
so that only what is inside the enlarged face box tells the classes apart. Units: see `body`.
"""

from __future__ import annotations

import math

from anonlib.data.body import Arm, BodyLook, Pose, idle_arm, shoulder
from anonlib.data.face_tools import DRAWINGS, LOOKS
from anonlib.data.looks import Comb
from anonlib.data.moment import Moment
from anonlib.data.pen import Pen, Point

_SECOND_HAND = 0.2
"""Share of the people who raise the other hand as well."""


class FaceProp:
    """One of the six face-related actions, with a look drawn from a comb."""

    def __init__(self, name: str, comb: Comb) -> None:
        self.name = name
        rng = comb.rng
        self.grip = (float(rng.uniform(0.25, 0.35)), float(rng.uniform(0.06, 0.2)))
        self.elbow = (float(rng.uniform(0.64, 0.9)), float(rng.uniform(1.2, 1.5)))
        self.other_elbow = (float(rng.uniform(0.64, 0.9)), float(rng.uniform(1.2, 1.5)))
        self.idle = int(rng.integers(3))
        self.second_hand = bool(rng.random() < _SECOND_HAND)
        self.look = LOOKS[name](comb)

    def pose(self, moment: Moment, body: BodyLook) -> Pose:
        """Working hand at the face; the other idle or, sometimes, raised as well."""
        side = moment.side
        hand = self._grip(moment)
        work = Arm(
            shoulder=shoulder(body, side), elbow=(side * self.elbow[0], self.elbow[1]), hand=hand
        )
        start = shoulder(body, -side)
        if self.second_hand:
            elbow = (-side * self.other_elbow[0], self.other_elbow[1])
            mouth = moment.mouth
            rest = Arm(shoulder=start, elbow=elbow, hand=(mouth[0] - side * 0.31, mouth[1] + 0.12))
        else:
            rest = idle_arm(body, -side, self.idle)
        return Pose(work=work, rest=rest, work_axis=self._axis(moment, hand), rest_axis=1.2)

    def behind(self, pen: Pen, moment: Moment) -> None:
        """Nothing stands behind the person."""

    def before(self, pen: Pen, moment: Moment) -> None:
        """Nothing stands before the person."""

    def tool(self, pen: Pen, moment: Moment, pose: Pose) -> None:
        """Draw the thing in the hand."""
        DRAWINGS[self.name](pen, self.look, moment, pose.work.hand)

    def _grip(self, moment: Moment) -> Point:
        swing = math.sin(moment.phase)
        a, b = self.grip
        if self.name == "phone":
            x, y = moment.head[0] + moment.side * (a + 0.05), moment.head[1] + b + 0.08
            return x, y + 0.01 * swing
        if self.name == "photo":
            x, y = moment.head[0] + moment.side * a, moment.head[1] + b - 0.08
            return x + 0.015 * swing, y
        return moment.mouth[0] + moment.side * (a + 0.035 * swing), moment.mouth[1] + b

    def _axis(self, moment: Moment, hand: Point) -> float:
        if self.name in ("phone", "photo"):
            return math.pi / 2 + 0.25 * moment.side
        return math.atan2(moment.mouth[1] - hand[1], moment.mouth[0] - hand[0])

"""One person doing one action: a photographic head on a drawn body, with a tool."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from PIL import Image

from anonlib.config import ENLARGE
from anonlib.types import Heads
from anonlib.world.body import (
    BodyLook,
    Pose,
    draw_arm,
    draw_back_of_head,
    draw_fingers,
    draw_legs,
    draw_neck,
    draw_palm,
    draw_torso,
)
from anonlib.world.looks import Moment
from anonlib.world.pen import Color, Pen, Point

Box = tuple[float, float, float, float]
_HIDDEN_MOUTH = (0.0, 0.2)
"""Where the mouth is, relative to the head, of a person who is seen from behind."""
_CHIN = 0.06
"""Distance of the head below the body's origin. It puts the chin on the collar."""


class Prop(Protocol):
    """What a person holds during an action, and what stands around this person."""

    def pose(self, moment: Moment, body: BodyLook) -> Pose:
        """Where the arms are."""
        ...

    def tool(self, pen: Pen, moment: Moment, pose: Pose) -> None:
        """Draw what the hands hold."""
        ...

    def behind(self, pen: Pen, moment: Moment) -> None:
        """Draw what stands behind all people; by default nothing."""
        return None

    def before(self, pen: Pen, moment: Moment) -> None:
        """Draw what stands between body and arms; by default nothing."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Where one person is in one frame; boxes are xyxy pixels, not clipped to the frame."""

    label: int
    identity: int
    box: Box
    """The whole person with the tool."""
    tool: Box
    """What the hands hold or move."""
    face: Box | None
    """The face; None when the person is seen from behind."""
    landmarks: np.ndarray | None
    """`(5, 2)` xy pixels; None when the person is seen from behind."""


@dataclass(slots=True, kw_only=True)
class HeadClip:
    """One person's heads in all frames of a clip, ready to be pasted."""

    sprites: list[Image.Image]
    """RGBA squares."""
    landmarks: np.ndarray
    """`(frames, 5, 2)` in units about the centre of the crop."""
    skin: Color

    @classmethod
    def from_heads(cls, heads: Heads, *, side: int) -> HeadClip:
        """Resize heads to `side` pixels and fade their necks out, so that they join the drawn neck."""
        size = heads.rgb.shape[-1]
        rgba = np.concatenate([heads.rgb.numpy(), heads.alpha.numpy()], axis=1)
        ramp = np.clip((0.97 - np.arange(size) / size) / 0.1, 0, 1)
        rgba[:, 3] *= ramp[:, None]
        pixels = (rgba.clip(0, 1) * 255).round().astype(np.uint8).transpose(0, 2, 3, 1)
        pictures = [Image.fromarray(np.ascontiguousarray(one)) for one in pixels]
        return cls(
            sprites=[one.resize((side, side), Image.Resampling.BICUBIC) for one in pictures],
            landmarks=heads.landmarks.numpy().astype(np.float64) / size - 0.5,
            skin=_cheek_color(heads),
        )


def _cheek_color(heads: Heads) -> Color:
    """Median colour of two spots between eyes and mouth corners, over all frames."""
    points = heads.landmarks.numpy()
    spots = 0.4 * points[:, :2] + 0.6 * points[:, 3:]
    size = heads.rgb.shape[-1]
    found = []
    for picture, pair in zip(heads.rgb.numpy(), spots, strict=True):
        for x, y in np.clip(pair.round().astype(int), 1, size - 2):
            found.append(picture[:, y - 1 : y + 2, x - 1 : x + 2].mean((1, 2)))
    red, green, blue = (int(v) for v in (255 * np.median(found, axis=0)).clip(0, 255).round())
    return red, green, blue


@dataclass(slots=True, kw_only=True)
class Actor:
    """A person of a clip. All pixels are those of the supersampled canvas.

    `shift` is how far the camera has moved the scene in a frame, in pixels.
    """

    label: int
    identity: int
    prop: Prop
    body: BodyLook
    heads: HeadClip | None
    """None when the person is seen from behind."""
    side: int
    """1 when the working hand is on the right of the image, else -1."""
    unit: int
    """Side of the head crop in pixels."""
    place: Point
    """Rest position of the head's centre."""
    phase: float
    rate: float
    """Radians of motion a frame."""
    extents: dict[str, list[float]] = field(default_factory=dict)
    """Extents of person and tool in the frame that was drawn last."""

    def draw_behind(self, canvas: Image.Image, frame: int, shift: Point) -> None:
        """Draw what stands behind all people, such as a window pane."""
        self.prop.behind(self._pen(canvas, shift), self._moment(canvas, frame, shift))

    def draw(self, canvas: Image.Image, frame: int, shift: Point) -> None:
        """Draw the person, from back to front, and keep the extents."""
        moment = self._moment(canvas, frame, shift)
        pen = self._pen(canvas, shift)
        pose = self.prop.pose(moment, self.body)
        pen.part = "person"
        if moment.bottom > 1.7:
            draw_legs(pen, self.body)
        if self.heads is None:
            draw_neck(pen, self.body, moment.head)
            draw_torso(pen, self.body, lean=-0.6 * moment.head[0], back=True)
            draw_back_of_head(pen, self.body, moment.head)
        else:
            draw_torso(pen, self.body, lean=-0.6 * moment.head[0], back=False)
            draw_neck(pen, self.body, moment.head)
            pen.paste(self.heads.sprites[frame], self._head_corner(frame, shift))
        pen.part = ""
        self.prop.before(pen, moment)
        self._draw_arms(pen, moment, pose)
        self.extents = pen.extents

    def sighting(self, frame: int, shift: Point, *, supersample: int) -> Sighting:
        """The boxes of the frame that was drawn last, in pixels of the final frame."""

        def box(x0: float, y0: float, x1: float, y1: float) -> Box:
            return x0 / supersample, y0 / supersample, x1 / supersample, y1 / supersample

        person, tool = self.extents["person"], self.extents["tool"]
        face = landmarks = None
        if self.heads is not None:
            x, y = self._head_corner(frame, shift)
            margin = self.unit * (1 - 1 / ENLARGE) / 2
            face = box(x + margin, y + margin, x + self.unit - margin, y + self.unit - margin)
            landmarks = (self.heads.landmarks[frame] + 0.5) * self.unit + np.array([x, y])
            landmarks = landmarks / supersample
        return Sighting(
            label=self.label,
            identity=self.identity,
            box=box(*map(min, person[:2], tool[:2]), *map(max, person[2:], tool[2:])),
            tool=box(*tool),
            face=face,
            landmarks=landmarks,
        )

    def _draw_arms(self, pen: Pen, moment: Moment, pose: Pose) -> None:
        """Draw both arms; the tool lies between palms and fingers."""
        pen.part = "person"
        hands = ((pose.rest, pose.rest_axis), (pose.work, pose.work_axis))
        for arm, axis in hands:
            draw_arm(pen, self.body, arm)
            draw_palm(pen, self.body, arm.hand, axis)
        pen.part = "tool"
        self.prop.tool(pen, moment, pose)
        pen.part = "person"
        for arm, axis in hands:
            draw_fingers(pen, self.body, arm.hand, axis)

    def _moment(self, canvas: Image.Image, frame: int, shift: Point) -> Moment:
        x, y = self._head_corner(frame, shift)
        origin = self._origin(shift)
        head = ((x + self.unit / 2 - origin[0]) / self.unit, (y + self.unit / 2 - origin[1]) / self.unit)
        mouth = _HIDDEN_MOUTH if self.heads is None else self.heads.landmarks[frame, 3:].mean(0)
        return Moment(
            side=self.side,
            phase=self.phase + self.rate * frame,
            head=head,
            mouth=(head[0] + float(mouth[0]), head[1] + float(mouth[1])),
            bottom=(canvas.height - origin[1]) / self.unit,
        )

    def _head_corner(self, frame: int, shift: Point) -> tuple[int, int]:
        """Upper left corner of the head crop; the head moves a little from frame to frame."""
        turn = self.phase + 0.55 * self.rate * frame
        origin = self._origin(shift)
        x = origin[0] + self.unit * (0.035 * math.sin(turn) - 0.5)
        y = origin[1] + self.unit * (_CHIN + 0.02 * math.cos(1.3 * turn) - 0.5)
        return round(x), round(y)

    def _origin(self, shift: Point) -> Point:
        return self.place[0] + shift[0], self.place[1] + shift[1]

    def _pen(self, canvas: Image.Image, shift: Point) -> Pen:
        return Pen(canvas, scale=self.unit, origin=self._origin(shift))

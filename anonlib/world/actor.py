"""One person doing one action: a photographic head on an illustrated body, with a tool."""

from __future__ import annotations

import math
from collections.abc import Sequence
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

_HIDDEN_MOUTH = (0.0, 0.2)
_CHIN = 0.06
"""How far a head sits below the body's origin, so that its chin meets the collar."""


class Prop(Protocol):
    """What an action holds and what stands around it."""

    def pose(self, moment: Moment, body: BodyLook) -> Pose:
        """Where the arms are."""
        ...

    def behind(self, pen: Pen, moment: Moment) -> None:
        """Draw what stands behind everybody."""
        ...

    def before(self, pen: Pen, moment: Moment) -> None:
        """Draw what stands between body and arms."""
        ...

    def tool(self, pen: Pen, moment: Moment, pose: Pose) -> None:
        """Draw what the hands hold."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Where one person is in one frame; boxes are xyxy pixels, not clipped to the frame."""

    label: int
    identity: int
    box: tuple[float, float, float, float]
    """The whole person with the tool."""
    tool: tuple[float, float, float, float]
    """What the hands hold or move."""
    face: tuple[float, float, float, float] | None
    """The face, None when the head is seen from behind."""
    landmarks: np.ndarray | None
    """`(5, 2)` xy pixels."""


@dataclass(slots=True, kw_only=True)
class HeadClip:
    """The heads of one clip, ready to be pasted."""

    sprites: list[Image.Image]
    """RGBA, as large as the person's unit in pixels of the canvas."""
    landmarks: np.ndarray
    """`(frames, 5, 2)` in units about the centre of the crop."""
    skin: Color

    @classmethod
    def from_heads(cls, heads: Heads, *, side: int) -> HeadClip:
        """Resize heads to `side` pixels and let their necks fade into the drawn one."""
        size = heads.rgb.shape[-1]
        rgba = np.concatenate([heads.rgb.numpy(), heads.alpha.numpy()], axis=1)
        ramp = np.clip((0.97 - np.arange(size) / size) / 0.1, 0, 1)
        rgba[:, 3] *= ramp[:, None]
        stored = (rgba.clip(0, 1) * 255).round().astype(np.uint8).transpose(0, 2, 3, 1)
        sprites = [
            Image.fromarray(np.ascontiguousarray(one)).resize((side, side), Image.Resampling.BICUBIC)
            for one in stored
        ]
        landmarks = heads.landmarks.numpy().astype(np.float64) / size - 0.5
        return cls(sprites=sprites, landmarks=landmarks, skin=_cheek_color(heads))


def _cheek_color(heads: Heads) -> Color:
    """Median colour half-way between eyes and mouth corners, over all frames."""
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
    """A person of a clip. Pixels are those of the supersampled canvas."""

    label: int
    identity: int
    prop: Prop
    body: BodyLook
    heads: HeadClip | None
    """None when the person is seen from behind."""
    side: int
    """Working hand on the right (1) or on the left (-1) of the image."""
    unit: int
    """Side of the head crop."""
    place: Point
    """Rest position of the centre of the head."""
    phase: float
    rate: float
    """Radians of motion a frame."""
    extents: dict[str, list[float]] = field(default_factory=dict)

    def moment(self, frame: int, *, shift: Point, height: int) -> Moment:
        """Where this person stands in a frame of a canvas moved by `shift`."""
        x, y = self._head_corner(frame, shift)
        origin = self._origin(shift)
        head = ((x + self.unit / 2 - origin[0]) / self.unit, (y + self.unit / 2 - origin[1]) / self.unit)
        mouth = _HIDDEN_MOUTH if self.heads is None else self.heads.landmarks[frame, 3:].mean(0)
        return Moment(
            side=self.side,
            phase=self.phase + self.rate * frame,
            head=head,
            mouth=(head[0] + float(mouth[0]), head[1] + float(mouth[1])),
            bottom=(height - origin[1]) / self.unit,
        )

    def draw_behind(self, canvas: Image.Image, frame: int, shift: Point) -> None:
        """What stands behind everybody, such as a window pane."""
        moment = self.moment(frame, shift=shift, height=canvas.height)
        self.prop.behind(self._pen(canvas, shift), moment)

    def draw(self, canvas: Image.Image, frame: int, shift: Point) -> None:
        """The person from back to front; the extents of parts are kept."""
        moment = self.moment(frame, shift=shift, height=canvas.height)
        pen = self._pen(canvas, shift)
        pose = self.prop.pose(moment, self.body)
        from_behind = self.heads is None
        pen.part = "person"
        if moment.bottom > 1.7:
            draw_legs(pen, self.body)
        if from_behind:
            draw_neck(pen, self.body, moment.head)
        draw_torso(pen, self.body, lean=-0.6 * moment.head[0], back=from_behind)
        if not from_behind:
            draw_neck(pen, self.body, moment.head)
        self._draw_head(pen, frame, moment, shift)
        pen.part = ""
        self.prop.before(pen, moment)
        self._draw_arms(pen, moment, pose)
        self.extents = pen.extents

    def sighting(self, frame: int, shift: Point, *, supersample: int) -> Sighting:
        """The boxes of the frame last drawn, in frame pixels."""
        person, tool = self.extents["person"], self.extents["tool"]
        pairs = zip(person, tool, (min, min, max, max), strict=True)
        whole = [pick(a, b) / supersample for a, b, pick in pairs]
        face = landmarks = None
        if self.heads is not None:
            x, y = self._head_corner(frame, shift)
            margin = self.unit * (1 - 1 / ENLARGE) / 2
            square = (x + margin, y + margin, x + self.unit - margin, y + self.unit - margin)
            face = _quad([v / supersample for v in square])
            landmarks = (self.heads.landmarks[frame] + 0.5) * self.unit + np.array([x, y])
            landmarks = landmarks / supersample
        return Sighting(
            label=self.label,
            identity=self.identity,
            box=_quad(whole),
            tool=_quad([v / supersample for v in tool]),
            face=face,
            landmarks=landmarks,
        )

    def _draw_arms(self, pen: Pen, moment: Moment, pose: Pose) -> None:
        """Both arms, the tool between palms and fingers."""
        pen.part = "person"
        holds = ((pose.rest, pose.rest_axis), (pose.work, pose.work_axis))
        for arm, axis in holds:
            draw_arm(pen, self.body, arm)
            draw_palm(pen, self.body, arm.hand, axis)
        pen.part = "tool"
        self.prop.tool(pen, moment, pose)
        pen.part = "person"
        for arm, axis in holds:
            draw_fingers(pen, self.body, arm.hand, axis)

    def _draw_head(self, pen: Pen, frame: int, moment: Moment, shift: Point) -> None:
        if self.heads is None:
            draw_back_of_head(pen, self.body, moment.head)
            return
        sprite = self.heads.sprites[frame]
        x, y = self._head_corner(frame, shift)
        pen.image.paste(sprite, (x, y), sprite)
        extent = sprite.getchannel("A").point(lambda v: 255 * (v > 127)).getbbox()
        old = pen.extents["person"]
        if extent is not None:
            left, top, right, bottom = extent
            pen.extents["person"] = [
                min(old[0], x + left),
                min(old[1], y + top),
                max(old[2], x + right),
                max(old[3], y + bottom),
            ]

    def _head_corner(self, frame: int, shift: Point) -> tuple[int, int]:
        """Upper left corner of the head crop, with the sway of the head."""
        turn = self.phase + 0.55 * self.rate * frame
        origin = self._origin(shift)
        x = origin[0] + self.unit * (0.035 * math.sin(turn) - 0.5)
        y = origin[1] + self.unit * (_CHIN + 0.02 * math.cos(1.3 * turn) - 0.5)
        return round(x), round(y)

    def _origin(self, shift: Point) -> Point:
        return self.place[0] + shift[0], self.place[1] + shift[1]

    def _pen(self, canvas: Image.Image, shift: Point) -> Pen:
        return Pen(canvas, scale=self.unit, origin=self._origin(shift))


def _quad(values: Sequence[float]) -> tuple[float, float, float, float]:
    a, b, c, d = values
    return a, b, c, d

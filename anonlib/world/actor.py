"""One person doing one action: a photographic head on a drawn body, with a tool."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from anonlib.config import ENLARGE
from anonlib.types import ACTIONS, Heads, HeadSource
from anonlib.world.body import Body, Moment, Pose
from anonlib.world.chores import CHORES
from anonlib.world.face_props import FaceProp
from anonlib.world.pen import Color, Looks, Pen, Point

Box = tuple[float, float, float, float]
SUPERSAMPLE = 2
"""Frames are drawn this many times larger and then reduced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A person and the action that this person does."""

    identity: int
    """Person number of the `HeadSource`."""
    label: int
    """Index into `ACTIONS`."""


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


class HeadClip:
    """One person's heads in all frames of a clip, as RGBA squares (`sprites`) of `side` pixels.

    `landmarks` are `(frames, 5, 2)` relative to the centre of the crop, in crop sides; `skin` is the
    colour of the cheeks.
    """

    def __init__(self, heads: Heads, *, side: int) -> None:
        size = heads.rgb.shape[-1]
        rgba = np.concatenate([heads.rgb.numpy(), heads.alpha.numpy()], axis=1)
        ramp = np.clip((0.97 - np.arange(size) / size) / 0.1, 0, 1)
        rgba[:, 3] *= ramp[:, None]  # the neck fades out, so that it joins the drawn one
        pixels = (rgba.clip(0, 1) * 255).round().astype(np.uint8).transpose(0, 2, 3, 1)
        pictures = [Image.fromarray(np.ascontiguousarray(one)) for one in pixels]
        self.sprites = [one.resize((side, side), Image.Resampling.BICUBIC) for one in pictures]
        self.landmarks = heads.landmarks.numpy().astype(np.float64) / size - 0.5
        self.skin = _cheek_color(heads)


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


def sprite_side(unit: int) -> int:
    """Side in pixels at which a head is drawn: about as large as in the final frame."""
    return max(64, 16 * -(-unit // (16 * SUPERSAMPLE)))


class Actor:
    """A person of a clip, drawn on a supersampled canvas of that `width`.

    `unit` is the side of the head crop, `place` the rest position of the head's centre, and `shift`
    how far the camera has moved the scene in a frame, all in pixels of the canvas.
    """

    def __init__(
        self, role: Role, heads: HeadSource, looks: Looks, *, frames: int, unit: int, place: Point, width: int
    ) -> None:
        rng, name = looks.rng, ACTIONS[role.label]
        own = looks.spawn()  # so that another action would leave the rest of the scene as it is
        self.prop = CHORES[name](own) if name in CHORES else FaceProp(name, own)
        beside = name in ("floor", "window")
        self.heads, self.seed = None, 0  # seen from behind
        if not (beside and rng.random() < 0.16):
            self.seed = int(rng.integers(2**31))  # of the head's motion and light
            drawn = heads.heads(role.identity, seed=self.seed, frames=frames, size=sprite_side(unit))
            self.heads = HeadClip(drawn, side=unit)
        self.side = 1 if rng.random() < 0.5 else -1  # of the working hand, 1 is right in the image
        if beside and min(place[0], width - place[0]) < 1.5 * unit:
            self.side = 1 if place[0] < width / 2 else -1
        self.role, self.unit, self.place = role, unit, place
        self.body = Body(looks, skin=None if self.heads is None else self.heads.skin)
        self.phase = float(rng.uniform(0, 2 * np.pi))
        self.rate = float(rng.uniform(0.35, 0.9))  # radians of motion a frame
        self.extents: dict[str, list[float]] = {}  # of person and tool in the last frame drawn

    def draw_behind(self, canvas: Image.Image, frame: int, shift: Point) -> None:
        """Draw what stands behind all people, such as a window pane."""
        pen = Pen(canvas, scale=self.unit, origin=self._origin(shift))
        self.prop.behind(pen, self._moment(canvas, frame, shift))

    def draw(self, canvas: Image.Image, frame: int, shift: Point) -> None:
        """Draw the person, from back to front, and keep the extents."""
        moment = self._moment(canvas, frame, shift)
        pen = Pen(canvas, scale=self.unit, origin=self._origin(shift))
        pose = self.prop.pose(moment, self.body)
        pen.part = "person"
        if moment.bottom > 1.7:
            self.body.draw_legs(pen)
        if self.heads is None:
            self.body.draw_neck(pen, moment.head)
            self.body.draw_torso(pen, lean=-0.6 * moment.head[0], back=True)
            self.body.draw_back_of_head(pen, moment.head)
        else:
            self.body.draw_torso(pen, lean=-0.6 * moment.head[0], back=False)
            self.body.draw_neck(pen, moment.head)
            pen.paste(self.heads.sprites[frame], self._head_corner(frame, shift))
        self._draw_front(pen, moment, pose)
        self.extents = pen.extents

    def draw_front(self, canvas: Image.Image, frame: int, shift: Point) -> None:
        """Draw only what is in front of this person's head: the tool and both arms."""
        moment = self._moment(canvas, frame, shift)
        pen = Pen(canvas, scale=self.unit, origin=self._origin(shift))
        self._draw_front(pen, moment, self.prop.pose(moment, self.body))

    def _draw_front(self, pen: Pen, moment: Moment, pose: Pose) -> None:
        pen.part = ""
        self.prop.before(pen, moment)
        pen.part = "person"
        for arm in (pose.rest, pose.work):
            self.body.draw_arm(pen, arm)
        pen.part = "tool"
        self.prop.tool(pen, moment, pose)  # between palms and fingers
        pen.part = "person"
        for arm in (pose.rest, pose.work):
            self.body.draw_fingers(pen, arm)

    def head_matte(self, frame: int, shift: Point, size: tuple[int, int]) -> Image.Image:
        """Opacity of this person's head on a canvas of that height and width, as if nothing were in front."""
        matte = Image.new("L", size[::-1])
        if self.heads is not None:
            matte.paste(self.heads.sprites[frame].getchannel("A"), self._head_corner(frame, shift))
        return matte

    def sighting(self, frame: int, shift: Point) -> Sighting:
        """The boxes of the frame that was drawn last, in pixels of the final frame."""

        def box(x0: float, y0: float, x1: float, y1: float) -> Box:
            return x0 / SUPERSAMPLE, y0 / SUPERSAMPLE, x1 / SUPERSAMPLE, y1 / SUPERSAMPLE

        person, tool = self.extents["person"], self.extents["tool"]
        face = landmarks = None
        if self.heads is not None:
            x, y = self._head_corner(frame, shift)
            margin = self.unit * (1 - 1 / ENLARGE) / 2
            face = box(x + margin, y + margin, x + self.unit - margin, y + self.unit - margin)
            landmarks = ((self.heads.landmarks[frame] + 0.5) * self.unit + np.array([x, y])) / SUPERSAMPLE
        return Sighting(
            label=self.role.label,
            identity=self.role.identity,
            box=box(*map(min, person[:2], tool[:2]), *map(max, person[2:], tool[2:])),
            tool=box(*tool),
            face=face,
            landmarks=landmarks,
        )

    def _moment(self, canvas: Image.Image, frame: int, shift: Point) -> Moment:
        x, y = self._head_corner(frame, shift)
        origin = self._origin(shift)
        head = ((x + self.unit / 2 - origin[0]) / self.unit, (y + self.unit / 2 - origin[1]) / self.unit)
        mouth = (0.0, 0.2) if self.heads is None else self.heads.landmarks[frame, 3:].mean(0)
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
        y = origin[1] + self.unit * (0.06 + 0.02 * math.cos(1.3 * turn) - 0.5)  # the chin on the collar
        return round(x), round(y)

    def _origin(self, shift: Point) -> Point:
        return self.place[0] + shift[0], self.place[1] + shift[1]

"""Random things pasted in front of faces, with the pixels that they cover.

Hands, tools of the drawn clips, cut-outs of other photographs, rods at the mouth, phones, hair, brims of
hats; and what must not be taken for an occluder: shadows and sunglasses.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from anonlib.world.body import Body, Moment
from anonlib.world.face_props import TOOLS, FaceProp
from anonlib.world.pen import Looks, Pen
from recipes.skin_labels import OVAL, WIDE

Rng = np.random.Generator
Layer = tuple[np.ndarray, np.ndarray]
"""Colours `(WIDE, WIDE, 3)` in [0, 255] and cover `(WIDE, WIDE)` in [0, 1]."""
_UNIT = 1.6 / 2 * WIDE * 0.95
"""Side in pixels of a drawn head crop whose face is as large as the mesh."""
_FINE = 2


def polygon(points: np.ndarray) -> np.ndarray:
    """Cover of a filled polygon with smooth edges."""
    canvas = np.zeros((WIDE * _FINE, WIDE * _FINE), np.uint8)
    cv2.fillPoly(canvas, [np.round(points * _FINE * 8).astype(np.int32)], 255, shift=3)
    return _reduced(canvas)


def _reduced(canvas: np.ndarray) -> np.ndarray:
    return cv2.resize(canvas, (WIDE, WIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def strokes(lines: list[np.ndarray], widths: list[float]) -> np.ndarray:
    """Cover of polylines, `(n, 2)` xy each, of these widths."""
    canvas = np.zeros((WIDE * _FINE, WIDE * _FINE), np.uint8)
    for line, width in zip(lines, widths, strict=True):
        points = np.round(line * _FINE * 8).astype(np.int32)
        cv2.polylines(canvas, [points], False, 255, max(1, round(width * _FINE)), cv2.LINE_AA, shift=3)
    return _reduced(canvas)


def blob(centre: np.ndarray, radii: tuple[float, float], rng: Rng, corners: int = 0) -> np.ndarray:
    """Corners of a random smooth shape, or of a polygon with few `corners`."""
    count = corners or 24
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.uniform(0, 6)
    radius = np.ones(count)
    if not corners:
        for k in (2, 3, 4):
            radius += rng.normal(0, 0.12) * np.cos(k * angle + rng.uniform(0, 6))
    turn = rng.uniform(0, np.pi)
    x, y = radii[0] * radius * np.cos(angle), radii[1] * radius * np.sin(angle)
    return centre + np.column_stack(
        [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)]
    )


def noise(rng: Rng, cells: int) -> np.ndarray:
    """Smooth normal noise `(WIDE, WIDE)`."""
    return cv2.resize(
        rng.normal(0, 1, (cells, cells)).astype(np.float32), (WIDE, WIDE), interpolation=cv2.INTER_CUBIC
    )


def surface(colour: np.ndarray, rng: Rng, strength: float = 1.0) -> np.ndarray:
    """A colour with uneven light and a little grain."""
    x, y = np.meshgrid(np.linspace(-1, 1, WIDE), np.linspace(-1, 1, WIDE))
    light = 1 + strength * (rng.normal(0, 0.15) * x + rng.normal(0, 0.15) * y + 0.08 * noise(rng, 5))
    grain = rng.normal(0, rng.uniform(0, 5), (WIDE, WIDE, 1))
    return np.clip(colour * light[..., None] + grain, 0, 255).astype(np.float32)


def texture(rng: Rng, other: np.ndarray) -> np.ndarray:
    """One colour, stripes, or a part of another photograph."""
    kind = rng.random()
    colour = rng.uniform(0, 255, 3) * rng.uniform(0.2, 1)
    if rng.random() < 0.4:
        colour[:] = colour.mean() + rng.normal(0, 6, 3)
    if kind < 0.5:
        return surface(colour, rng)
    if kind < 0.6:
        x, y = np.meshgrid(np.arange(WIDE), np.arange(WIDE))
        angle, period = rng.uniform(0, np.pi), rng.uniform(3, 20)
        wave = np.sin((x * math.cos(angle) + y * math.sin(angle)) * 2 * np.pi / period) > 0
        return np.where(wave[..., None], surface(colour, rng), surface(rng.uniform(0, 255, 3), rng))
    return _moved(other, rng)


def _moved(other: np.ndarray, rng: Rng) -> np.ndarray:
    """Another picture, turned, enlarged and mirrored at its borders."""
    scale, turn = rng.uniform(0.6, 2.0), rng.uniform(-180, 180) if rng.random() < 0.5 else rng.normal(0, 15)
    matrix = cv2.getRotationMatrix2D((WIDE / 2, WIDE / 2), turn, scale)
    matrix[:, 2] += rng.uniform(-50, 50, 2)
    return cv2.warpAffine(other, matrix, (WIDE, WIDE), borderMode=cv2.BORDER_REFLECT).astype(np.float32)


def skin_colour(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Median colour of the cheeks and the nose."""
    spots = np.clip(points[[50, 205, 280, 425, 195, 5]].astype(int), 1, WIDE - 2)
    return np.median([picture[y - 1 : y + 2, x - 1 : x + 2].mean((0, 1)) for x, y in spots], 0)


def hand(picture: np.ndarray, points: np.ndarray, other: np.ndarray, rng: Rng) -> Layer:
    """A palm and fingers of about the skin's colour, from below or from the side, with darker edges."""
    colour = (
        skin_colour(picture, points)
        if rng.random() < 0.75
        else rng.choice([[230, 190, 165], [190, 140, 110], [120, 80, 60], [80, 55, 42]])
    )
    colour = np.asarray(colour) * rng.normal(1, 0.12) * rng.normal(1, 0.03, 3)
    target = _inside(points, rng)
    heading = rng.uniform(-2.8, -0.35) if rng.random() < 0.8 else rng.uniform(-np.pi, np.pi)
    size = rng.uniform(9, 17)
    along = np.array([math.cos(heading), math.sin(heading)])
    across = np.array([-along[1], along[0]])
    palm = target - along * size * rng.uniform(0.8, 2.2)
    width, count = size * rng.uniform(0.32, 0.42), int(rng.integers(1, 6))
    wrist = palm - along * size * 6
    shapes = [(np.array([wrist, palm]), size * rng.uniform(1.1, 1.7))]
    curl, spread = rng.normal(0, 0.3), rng.uniform(0, 0.12)
    cover, shade = np.zeros((WIDE, WIDE), np.float32), np.ones((WIDE, WIDE), np.float32)
    for k in range(count):
        off = (k - (count - 1) / 2) * width * 1.02
        angle = heading + (k - (count - 1) / 2) * spread
        start = palm + across * off
        bent = angle + curl
        middle = start + np.array([math.cos(angle), math.sin(angle)]) * size * rng.uniform(0.8, 1.3)
        end = middle + np.array([math.cos(bent), math.sin(bent)]) * size * rng.uniform(0.5, 1.0)
        shapes.append((np.array([start, middle, end]), width))
    for line, thick in shapes:
        one = strokes([line], [thick])
        core = strokes([line], [thick * 0.55])
        rim = 1 - rng.uniform(0.15, 0.5) * (one - cv2.GaussianBlur(core, (0, 0), 1.5)).clip(0, 1)
        shade = np.where(one > 0.3, rim, shade)
        cover = np.maximum(cover, one)
    skin = surface(colour, rng)
    if rng.random() < 0.4:  # with pores and folds of a real picture
        fine = picture.astype(np.float32) - cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 3)
        skin = skin + np.roll(fine, int(rng.integers(WIDE)), int(rng.integers(2))) * 0.7
    return np.clip(skin * shade[..., None], 0, 255), cover


def _inside(points: np.ndarray, rng: Rng) -> np.ndarray:
    """A random place on the face, more often near the mouth."""
    if rng.random() < 0.4:
        return points[13] + rng.normal(0, 6, 2)
    return points[int(rng.integers(len(points)))] + rng.normal(0, 3, 2)


def drawn_tool(picture: np.ndarray, points: np.ndarray, other: np.ndarray, rng: Rng) -> Layer:
    """A tool of the drawn clips in a drawn hand; what they change is what they cover."""
    looks = Looks("train", rng)
    red, green, blue = (int(v) for v in skin_colour(picture, points).clip(0, 255))
    body = Body(looks, skin=(red, green, blue) if rng.random() < 0.7 else None)
    prop = FaceProp(str(rng.choice(list(TOOLS))), looks)
    fine = Image.fromarray(picture).resize((WIDE * _FINE,) * 2)
    before = np.asarray(fine).astype(np.int16)
    centre = points[OVAL].mean(0) * _FINE
    pen = Pen(fine, scale=_UNIT * _FINE * rng.uniform(0.85, 1.1), origin=tuple(centre))
    mouth = tuple((points[13] * _FINE - centre) / pen.scale)
    side = 1 if rng.random() < 0.5 else -1
    moment = Moment(side=side, phase=float(rng.uniform(0, 6)), head=(0.0, 0.0), mouth=mouth, bottom=1.0)
    pose = prop.pose(moment, body)
    body.draw_arm(pen, pose.work)
    prop.tool(pen, moment, pose)
    body.draw_fingers(pen, pose.work)
    after = np.asarray(fine)
    cover = _reduced((np.abs(after - before).max(2) > 4).astype(np.uint8) * 255)
    colours = cv2.resize(after, (WIDE, WIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.clip(colours * (1 + 0.06 * noise(rng, 6)[..., None]), 0, 255), cover


def cut_out(picture: np.ndarray, points: np.ndarray, other: np.ndarray, rng: Rng) -> Layer:
    """A blob or a polygon of some texture, or of another person's face."""
    radii = (rng.uniform(5, 26), rng.uniform(5, 26))
    shape = blob(_inside(points, rng), radii, rng, int(rng.choice([0, 0, 3, 4, 4, 5])))
    colours = other.astype(np.float32) if rng.random() < 0.25 else texture(rng, other)
    return colours, polygon(shape)


def rod(picture: np.ndarray, points: np.ndarray, other: np.ndarray, rng: Rng) -> Layer:
    """A cigarette, straw, brush or cable from the mouth or across the face; sometimes with a ball."""
    start = points[13] + rng.normal(0, 4, 2) if rng.random() < 0.7 else _inside(points, rng)
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(12, 90)
    end = start + length * np.array([math.cos(angle), math.sin(angle)])
    width = rng.uniform(1.2, 8)
    cover = strokes([np.array([start, end])], [width])
    colours = (
        surface(np.array([250, 248, 240]) * rng.uniform(0.7, 1), rng)
        if rng.random() < 0.25
        else texture(rng, other)
    )
    if rng.random() < 0.35:  # a microphone
        radius = rng.uniform(4, 11)
        ball = polygon(blob(start, (radius, radius * rng.uniform(0.8, 1.5)), rng))
        dark = surface(np.full(3, rng.uniform(10, 120)), rng) + rng.normal(0, 14, (WIDE, WIDE, 1))
        colours = np.where(ball[..., None] > 0.5, dark, colours)
        cover = np.maximum(cover, ball)
    return np.clip(colours, 0, 255).astype(np.float32), cover


def slab(picture: np.ndarray, points: np.ndarray, other: np.ndarray, rng: Rng) -> Layer:
    """A phone at the cheek, a cup at the mouth, a book or a camera before the face."""
    centre = points[OVAL[int(rng.integers(len(OVAL)))]] if rng.random() < 0.5 else _inside(points, rng)
    w, h, a = rng.uniform(8, 34), rng.uniform(14, 60), rng.uniform(0, np.pi)
    box = np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2
    box[2:, 0] *= rng.uniform(0.6, 1)
    turned = box @ np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]]) + centre
    cover = polygon(turned)
    rim = cv2.erode(cover, np.ones((3, 3)))
    colours = texture(rng, other)
    if rng.random() < 0.5:
        colours = colours * (0.5 + 0.5 * rim[..., None])
    return colours, cover


def locks(picture: np.ndarray, points: np.ndarray, other: np.ndarray, rng: Rng) -> Layer:
    """Hair that falls over the forehead or beside the cheeks, in strands."""
    top, left, right, chin = points[10], points[234], points[454], points[152]
    tall = chin[1] - top[1]
    colour = picture[int(max(top[1] - 0.12 * tall, 0)), int(np.clip(top[0], 0, WIDE - 1))].astype(float)
    if rng.random() < 0.5:
        tone = rng.choice(
            [[18, 15, 14], [50, 34, 25], [88, 60, 40], [150, 115, 75], [205, 170, 120], [160, 155, 150]]
        )
        colour = np.array(tone) * rng.uniform(0.7, 1.3)
    lines, widths = [], []
    side, count = rng.random() < 0.4, int(rng.integers(6, 40))
    reach, lean, sway = rng.uniform(0.05, 0.45), rng.normal(0, 0.3), rng.uniform(0, 0.1)
    low, high = sorted(rng.uniform(0, 1, 2))
    edge, far = (left, right) if rng.random() < 0.5 else (right, left)
    for _ in range(count):
        u = rng.uniform(low, high)
        if side:
            start = top + (edge - top) * rng.uniform(0.3, 1.1) - [0, 0.15 * tall]
            end = (
                edge + (far - edge) * rng.uniform(-0.1, 0.3) * (0.4 + reach) + [0, tall * rng.uniform(0, 0.6)]
            )
        else:
            start = left * (1 - u) + right * u
            start = np.array([start[0], top[1] - rng.uniform(0.05, 0.25) * tall])
            fall = [lean * tall * 0.5 + rng.normal(0, 2), tall * (0.2 + reach + rng.normal(0, 0.03))]
            end = start + fall
        middle = (start + end) / 2 + rng.normal(0, 1, 2) + [sway * tall * (1 if u > 0.5 else -1), 0]
        t = np.linspace(0, 1, 8)[:, None]
        lines.append((1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end)
        widths.append(rng.uniform(0.8, 3.5))
    cover = strokes(lines, widths)
    streaks = strokes(lines[::2], [1.0] * len(lines[::2]))
    shade = rng.uniform(0.7, 0.95) + rng.uniform(0, 0.5) * cv2.GaussianBlur(streaks, (0, 0), 0.7)
    return np.clip(surface(colour, rng, 2.0) * shade[..., None], 0, 255), cover


def brim(picture: np.ndarray, points: np.ndarray, other: np.ndarray, rng: Rng) -> Layer:
    """A cap, helmet, band or veil: all above a curve over the forehead."""
    top, brow = points[10], points[[107, 336]].mean(0)
    middle = top + (brow - top) * rng.uniform(-0.1, 1.0)
    x = np.linspace(-20, WIDE + 20, 60)
    bow = rng.normal(0, 0.006) * (x - middle[0]) ** 2 + rng.normal(0, 0.15) * (x - middle[0])
    low = np.column_stack([x, middle[1] + bow])
    high = rng.uniform(8, 70)
    shape = np.concatenate([low, (low - [0, high])[::-1]])
    wide = abs(points[454, 0] - points[234, 0]) * rng.uniform(0.5, 0.9)
    shape = shape[abs(shape[:, 0] - middle[0]) < wide]
    return texture(rng, other), polygon(shape)


KINDS: dict[str, tuple[Callable[[np.ndarray, np.ndarray, np.ndarray, Rng], Layer], float]] = {
    "hand": (hand, 0.26),
    "tool": (drawn_tool, 0.12),
    "cut-out": (cut_out, 0.14),
    "rod": (rod, 0.14),
    "slab": (slab, 0.12),
    "hair": (locks, 0.14),
    "hat": (brim, 0.08),
}
"""What is pasted and how often."""


def occlude(picture: np.ndarray, points: np.ndarray, other: np.ndarray, rng: Rng, kind: str = "") -> Layer:
    """The picture `(WIDE, WIDE, 3)` uint8 with something in front, and what it covers."""
    names = list(KINDS)
    kind = kind or str(rng.choice(names, p=[KINDS[name][1] for name in names]))
    colours, cover = KINDS[kind][0](picture, points, other, rng)
    if kind != "tool" and rng.random() < 0.6:
        cover = cv2.GaussianBlur(cover, (0, 0), rng.uniform(0.3, 1.3))
    base = picture.astype(np.float32)
    if kind != "tool" and rng.random() < 0.5:
        shift = np.float32([[1, 0, rng.normal(0, 3)], [0, 1, rng.uniform(0, 4)]])
        shadow = cv2.GaussianBlur(cv2.warpAffine(cover, shift, (WIDE, WIDE)), (0, 0), rng.uniform(1, 4))
        base = base * (1 - rng.uniform(0.1, 0.55) * shadow[..., None])
    gain = base[WIDE // 4 : -WIDE // 4].mean() / 130 if rng.random() < 0.5 else 1.0
    colours = np.clip(colours * (gain if kind not in ("tool", "hand") else 1.0), 0, 255)
    mixed = base + (colours - base) * cover[..., None]
    return mixed.clip(0, 255).astype(np.uint8), cover


def shadow(picture: np.ndarray, rng: Rng) -> np.ndarray:
    """Light from the side or a cast shadow, with a hard or a soft edge."""
    shape = polygon(
        blob(
            rng.uniform(20, WIDE - 20, 2),
            (rng.uniform(15, 60), rng.uniform(15, 60)),
            rng,
            int(rng.choice([0, 4])),
        )
    )
    shape = cv2.GaussianBlur(shape, (0, 0), rng.uniform(0.6, 12))
    tint = rng.normal(1, 0.06, 3) * (rng.uniform(0.3, 0.8) if rng.random() < 0.75 else rng.uniform(1.2, 1.7))
    return np.clip(picture * (1 + (tint - 1) * shape[..., None]), 0, 255).astype(np.uint8)


def glasses(picture: np.ndarray, points: np.ndarray, rng: Rng) -> np.ndarray:
    """Spectacles or sunglasses; they are replaced with the face."""
    eyes = [points[[33, 133]].mean(0), points[[362, 263]].mean(0)]
    gap = np.linalg.norm(eyes[1] - eyes[0])
    radii = gap * rng.uniform(0.34, 0.46), gap * rng.uniform(0.22, 0.38)
    t = np.linspace(0, 2 * np.pi, 24)
    power = rng.uniform(0.5, 1)
    ring = np.column_stack(
        [
            radii[0] * np.sign(np.cos(t)) * abs(np.cos(t)) ** power,
            radii[1] * np.sign(np.sin(t)) * abs(np.sin(t)) ** power,
        ]
    )
    turn = np.arctan2(*(eyes[1] - eyes[0])[::-1])
    ring = ring @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    lift = [0, gap * 0.06]
    lenses = [eye + lift + ring for eye in eyes]
    frame = [
        *lenses,
        np.array([lenses[0][0], lenses[1][12]]),
        np.array([lenses[0][12], points[234]]),
        np.array([lenses[1][0], points[454]]),
    ]
    width = rng.uniform(0.6, 2.5)
    edge = strokes(frame, [width] * 5)[..., None]
    glass = np.maximum(polygon(lenses[0]), polygon(lenses[1]))[..., None]
    tint, dark = rng.uniform(5, 60, 3), rng.uniform(0.7, 1.0) if rng.random() < 0.6 else rng.uniform(0, 0.2)
    out = picture * (1 - dark * glass) + tint * dark * glass
    return np.clip(out * (1 - edge) + rng.uniform(0, 120) * edge, 0, 255).astype(np.uint8)


def beard(picture: np.ndarray, points: np.ndarray, rng: Rng) -> np.ndarray:
    """Hair of any colour about the mouth and on the chin; it is replaced with the face."""
    shape = points[[58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 425, 2, 205]]
    shape = shape + (shape[:, 1:] > points[17, 1]) * [0, rng.uniform(0, 10)]
    lips = cv2.convexHull(points[[61, 291, 0, 17, 37, 267, 84, 314]].astype(np.float32))[:, 0]
    cover = (polygon(shape) - polygon(lips)).clip(0, 1)
    cover = cv2.GaussianBlur(cover, (0, 0), rng.uniform(0.8, 3))[..., None] * rng.uniform(0.5, 1)
    grey = rng.uniform(10, 235)
    tone = np.array([grey * rng.uniform(1, 1.4), grey, grey * rng.uniform(0.6, 1)])
    hairs = cv2.GaussianBlur(rng.normal(0, 1, (WIDE, WIDE)).astype(np.float32), (0, 0), 0.5, sigmaY=2.0)
    tones = surface(tone, rng, 2.0) * (1 + rng.uniform(0.1, 0.9) * hairs[..., None])
    return np.clip(picture + (tones - picture) * cover, 0, 255).astype(np.uint8)

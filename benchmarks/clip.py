"""The clip on which speed is measured: two to six people, 1920x1080, with their true faces.

    python benchmarks/clip.py OUT.mp4 [--frames 300] [--seed 0] [--faces LFW_ROOT]

Heads of drawn people (or pictures of LFW's test people) move, come and go before a furnished room
that the camera pans over. Beside the clip, OUT.npz holds `faces`: rows of frame, person, x0, y0,
x1, y1 for every face that is wholly in the picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from detection_frames import CUT, LFW_FACE, lfw_pictures
from PIL import Image

from anonlib.config import ENLARGE
from anonlib.world.actor import HeadClip
from anonlib.world.faces import PEOPLE, SyntheticPeople
from anonlib.world.pen import Looks
from anonlib.world.rooms import draw_room

RATE = 30
SIDES = (130, 400)
"""Pixels of the square around a head, 1.6 times its face."""
DRAWN = 160
NOISE = 1.5
"""Standard deviation of the camera's noise, in grey levels."""


@dataclass(frozen=True, kw_only=True)
class Walker:
    """A head in its own part of the picture."""

    sprites: list[Image.Image]
    """RGBA squares, one for each frame or one for all."""
    place: np.ndarray
    side: float
    phase: np.ndarray
    arrives: int
    leaves: int
    below: bool
    """Whether it comes from below, and goes there, or from above."""

    def square(self, frame: int, height: int) -> tuple[int, int, int]:
        """Left, top and side in pixels."""
        turn = frame / RATE * np.array([1.1, 0.8]) + self.phase
        side = self.side * (1 + 0.12 * np.sin(0.7 * turn[0]))
        centre = self.place + np.array([130, 60]) / 1080 * height * np.sin(turn)
        away = max(self.arrives - frame, frame - self.leaves, 0) / RATE
        centre[1] += away * height * (1 if self.below else -1)
        left, top = centre - side / 2
        return round(left), round(top), round(side)


def walkers(
    frames: int,
    size: tuple[int, int],
    rng: np.random.Generator,
    faces: Path | None,
    seed: int,
    people: tuple[int, int],
) -> list[Walker]:
    """In two rows; the first of them are there from the first frame to the last."""
    height, width = size
    always, most = people
    pictures = lfw_pictures(faces, most, seed=seed) if faces else None
    sides = np.geomspace(*SIDES, most) * height / 1080
    lanes = -(-most // 2)
    made = []
    for number, lane in enumerate(rng.permutation(most)):
        below = lane // lanes == 1
        stays = number < always
        place = [(lane % lanes + 0.5) / lanes * width, (0.73 if below else 0.27) * height]
        made.append(
            Walker(
                sprites=cut_out(pictures[number]) if pictures else drawn(number, frames, seed),
                place=np.array(place),
                side=float(sides[number]),
                phase=rng.uniform(0, 6, 2),
                arrives=-RATE if stays else round(rng.uniform(0, 0.45) * frames),
                leaves=frames + RATE if stays else round(rng.uniform(0.6, 1.0) * frames),
                below=below,
            )
        )
    return made


def drawn(number: int, frames: int, seed: int) -> list[Image.Image]:
    """One of the people of the test split, who do not exist."""
    person = PEOPLE["test"][1000 * seed + number]
    heads = SyntheticPeople().heads(person, seed=seed, frames=frames, size=DRAWN)
    return HeadClip(heads, side=DRAWN).sprites


def cut_out(picture: np.ndarray) -> list[Image.Image]:
    """The head of an LFW picture in a square with soft edges."""
    x0, y0, x1, y1 = LFW_FACE
    half = max(x1 - x0, y1 - y0) / 2 * CUT
    middle = np.array([x0 + x1, y0 + y1]) / 2
    corners = np.concatenate([middle - half, middle + half]).astype(int).tolist()
    head = Image.fromarray(picture).crop(tuple(corners))
    line = np.abs((np.arange(head.width) + 0.5) / head.width * 2 - 1)
    alpha = np.clip((1 - np.maximum(line[:, None], line)) / 0.12, 0, 1) * 255
    head.putalpha(Image.fromarray(alpha.astype(np.uint8)).resize(head.size))
    return [head]


def render(
    frames: int, size: tuple[int, int], seed: int, faces: Path | None, people: tuple[int, int]
) -> Iterator[tuple[np.ndarray, list[tuple[float, ...]]]]:
    """Every frame `(H, W, 3)` uint8 and its rows of person, x0, y0, x1, y1."""
    rng = np.random.default_rng(seed)
    height, width = size
    room = draw_room(Looks("test", rng), size=(height, width * 3 // 2), horizon=0.85)
    noise = rng.normal(0, NOISE, (8, height, width, 1)).astype(np.int8)
    cast = walkers(frames, size, rng, faces, seed, people)
    for frame in range(frames):
        pan = round((0.5 - 0.5 * np.cos(frame / RATE / 3)) * (room.width - width))
        picture = room.crop((pan, 0, pan + width, height))
        rows = []
        for number, walker in enumerate(cast):
            left, top, side = walker.square(frame, height)
            sprite = walker.sprites[frame % len(walker.sprites)].resize((side, side))
            picture.paste(sprite, (left, top), sprite)
            edge = side * (1 - 1 / ENLARGE) / 2
            box = (left + edge, top + edge, left + side - edge, top + side - edge)
            if box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height:
                rows.append((float(number), *box))
        pixels = np.asarray(picture).astype(np.int16) + noise[frame % len(noise)]
        yield pixels.clip(0, 255).astype(np.uint8), rows


def make_clip(
    out: Path,
    *,
    frames: int = 300,
    size: tuple[int, int] = (1080, 1920),
    seed: int = 0,
    faces: Path | None = None,
    people: tuple[int, int] = (2, 6),
) -> None:
    """Writes OUT and, beside it, the true faces; the same seed writes the same bytes.

    Args:
        out: the clip, .mp4.
        frames: its length.
        size: height and width in pixels.
        seed: of all that is drawn.
        faces: LFW, for real faces.
        people: how many are there always and at most.
    """
    rows = []
    with av.open(str(out), "w") as container:
        options = {"preset": "medium", "crf": "20", "threads": "1"}
        stream = container.add_stream("libx264", rate=Fraction(RATE), options=options)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for number, (pixels, boxes) in enumerate(render(frames, size, seed, faces, people)):
            rows += [(float(number), *box) for box in boxes]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    np.savez(out.with_suffix(".npz"), faces=np.array(rows), size=np.array(size), frames=frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faces", type=Path, help="LFW: real faces in the place of drawn ones")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    width, height = (int(side) for side in arguments.size.split("x"))
    make_clip(
        arguments.out,
        frames=arguments.frames,
        size=(height, width),
        seed=arguments.seed,
        faces=arguments.faces,
    )


if __name__ == "__main__":
    main()

"""A head source that needs no face model: a flat ellipse with hair, two eyes and a mouth."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw

from anonlib.data.types import Heads

EYE_Y, MOUTH_Y, GAP = 0.45, 0.69, 0.5 / 4.6


class PlainHeads:
    """Ten people a split, told apart by the colours of skin and hair."""

    def people(self, split: str) -> list[int]:
        start = {"train": 0, "validation": 10, "test": 20}[split]
        return list(range(start, start + 10))

    def heads(self, person: int, *, seed: int, frames: int, size: int) -> Heads:
        rng = np.random.Generator(np.random.Philox([person]))
        skin = tuple(int(v) for v in np.array([235, 190, 160]) * rng.uniform(0.55, 1.0))
        hair = tuple(int(v) for v in rng.integers(20, 110, 3))
        one = Image.new("RGBA", (4 * size, 4 * size), (*skin, 0))
        draw = ImageDraw.Draw(one)

        def ellipse(x: float, y: float, rx: float, ry: float, fill: tuple[int, ...]) -> None:
            s = 4 * size
            draw.ellipse((s * (x - rx), s * (y - ry), s * (x + rx), s * (y + ry)), fill=(*fill, 255))

        ellipse(0.5, 0.4, 0.33, 0.34, hair)
        ellipse(0.5, 0.86, 0.15, 0.3, tuple(int(0.85 * v) for v in skin))
        ellipse(0.5, 0.53, 0.27, 0.34, skin)
        for x in (0.5 - GAP, 0.5 + GAP):
            ellipse(x, EYE_Y, 0.045, 0.03, (250, 250, 250))
            ellipse(x, EYE_Y, 0.022, 0.026, (40, 30, 30))
        ellipse(0.5, MOUTH_Y, 0.09, 0.03, (170, 80, 80))
        pixels = np.asarray(one.resize((size, size), Image.Resampling.BOX), dtype=np.float32) / 255
        stack = torch.from_numpy(pixels).permute(2, 0, 1).expand(frames, -1, -1, -1).clone()
        points = [
            (0.5 - GAP, EYE_Y), (0.5 + GAP, EYE_Y), (0.5, 0.57), (0.42, MOUTH_Y), (0.58, MOUTH_Y),
        ]  # fmt: skip
        landmarks = torch.tensor(points).mul(size).expand(frames, -1, -1).clone()
        return Heads(rgb=stack[:, :3], alpha=stack[:, 3:], landmarks=landmarks)

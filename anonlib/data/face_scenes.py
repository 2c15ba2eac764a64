"""Training scenes for a face detector: real faces of every size, turned, cut out, laid on others.

A scene is a background with up to eight pictures laid on it, whole or cut out around the head, or
a part of one whole frame as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from anonlib.data.scene_canvas import Canvas, Labelled, Placing, Scene
from anonlib.data.scene_looks import texture

__all__ = ["Labelled", "Scene", "Scenes"]


class Scenes:
    """An endless row of training scenes; number n is the same however often it is asked for."""

    def __init__(
        self, portraits: Sequence[Labelled], grounds: Sequence[Labelled], *, size: int, seed: int,
        whole: Sequence[Labelled] = (),
    ) -> None:  # fmt: skip
        """Keeps the pictures.

        Args:
            portraits: pictures with a face, to lay on others.
            grounds: pictures with or without faces, to lay others on.
            size: side of a scene in pixels.
            seed: the same seed gives the same scenes.
            whole: frames that every other scene shows a part of, with nothing laid on it.
        """
        self.whole = whole
        self.portraits, self.grounds = portraits, grounds
        self.size, self.seed = size, seed

    def __getitem__(self, number: int) -> Scene:
        rng = np.random.default_rng([self.seed, number])
        canvas = Canvas(texture(self.size, rng))
        if self.whole and number % 2:
            self._part(canvas, rng)
            return canvas.finish(mirror=rng.random() < 0.5, rng=rng)
        if rng.random() < 0.85:
            self._ground(canvas, rng)
        faces = int(rng.choice(9, p=[0.12, 0.2, 0.18, 0.14, 0.11, 0.08, 0.07, 0.05, 0.05]))
        for _ in range(faces):
            self._face(canvas, rng, faces)
        canvas.occlude(rng)
        return canvas.finish(mirror=rng.random() < 0.5, rng=rng)

    def __iter__(self) -> Iterator[Scene]:
        number = 0
        while True:
            yield self[number]
            number += 1

    def _ground(self, canvas: Canvas, rng: np.random.Generator) -> None:
        one = self.grounds[int(rng.integers(len(self.grounds)))]
        height, width = one.picture.shape[:2]
        least = self.size / min(height, width)
        scale = least * float(np.exp(rng.uniform(0, 0.9)))
        slack = np.array([width, height]) - self.size / scale
        corner = (rng.random(2) * slack).astype(np.float32)
        origin = np.zeros(2, np.float32)
        canvas.lay(one, Placing(source=corner, target=origin, scale=scale), cut=None)

    def _part(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """A part of a whole frame, around one of its faces half of the time, tilted up to 30°."""
        one = self.whole[int(rng.integers(len(self.whole)))]
        scale = float(np.exp(rng.uniform(np.log(0.8), np.log(2.5))))
        size = np.array(one.picture.shape[1::-1])
        reach = np.minimum(self.size / 2 / scale, size / 2)
        source, target = rng.uniform(reach, size - reach), np.full(2, self.size / 2)
        if len(one.boxes) and rng.random() < 0.5:
            box = one.boxes[int(rng.integers(len(one.boxes)))]
            source, target = (box[:2] + box[2:]) / 2, rng.uniform(0.2, 0.8, 2) * self.size
        angle = 0.0 if rng.random() < 0.3 else float(rng.uniform(-1, 1) * np.pi / 6)
        canvas.lay(one, Placing(source=source, target=target, scale=scale, angle=angle), cut=None)

    def _face(self, canvas: Canvas, rng: np.random.Generator, faces: int) -> None:
        one = self.portraits[int(rng.integers(len(self.portraits)))]
        tall = float(one.boxes[0, 3] - one.boxes[0, 1])
        largest = 300 / np.sqrt(faces)
        size = float(np.exp(rng.uniform(np.log(10), np.log(largest))))
        angle = rng.normal(0, 0.17) if rng.random() < 0.85 else rng.uniform(-0.8, 0.8)
        placing = Placing(
            source=(one.boxes[0, :2] + one.boxes[0, 2:]) / 2,
            target=rng.uniform(0, self.size, 2).astype(np.float32),
            scale=size / tall, angle=float(angle),
            squeeze=float(rng.uniform(0.55, 1)) if rng.random() < 0.25 else 1.0,
        )  # fmt: skip
        canvas.lay(one, placing, cut=float(rng.uniform(1.2, 2.2)) if rng.random() < 0.5 else None)

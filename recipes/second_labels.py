"""CenterFace's detections as additional labels for SSH.

CenterFace's boxes are used as they are: where it and MTCNN see the same face of a training picture,
MTCNN's box has 0.98 of its width and 1.00 of its height on LFW, 0.95 and 0.99 on JHMDB (medians).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torchvision.ops import box_iou

from recipes.scenes import Labelled

SURE = 0.5
"""From this score on CenterFace's face is a label; below it counts neither way."""
IOU = 0.3
LEAST = 20
"""Pixels of height from which on a turned face is worth being cut out."""


def add_second(one: Labelled, rows: np.ndarray) -> Labelled:
    """A picture with the faces that CenterFace alone sees, mostly turned ones, the largest first.

    Args:
        one: the picture as MTCNN labels it.
        rows: number, x0, y0, x1, y1, score and ten coordinates of landmarks.
    """
    boxes = torch.from_numpy(rows[:, 1:5]).float()
    known = torch.from_numpy(one.boxes)
    new = (box_iou(boxes, known) < IOU).all(dim=1).numpy()
    sure = new & (rows[:, 5] >= SURE)
    order = np.argsort(-(rows[sure, 4] - rows[sure, 2]))
    found = rows[sure][order].astype(np.float32)
    points = found[:, 6:].reshape(-1, 5, 2)
    unsure = rows[new & ~sure, 1:5].astype(np.float32)
    return Labelled(
        one.picture,
        np.concatenate([one.boxes, found[:, 1:5]]),
        np.concatenate([one.landmarks, points]),
        np.concatenate([one.doubtful, unsure]),
    )


def turned_faces(pack: Sequence[Labelled], second: Sequence[Labelled]) -> list[Labelled]:
    """Pictures with one of CenterFace's own faces first, to be cut out."""
    return [
        Labelled(new.picture, new.boxes[[n]], new.landmarks[[n]], new.doubtful[:0])
        for old, new in zip(pack, second, strict=True)
        for n in range(len(old.boxes), len(new.boxes))
        if new.boxes[n, 3] - new.boxes[n, 1] > LEAST
    ]


def clip_frames(cache: Path, *, held_back: bool) -> Iterator[Labelled]:
    """Whole frames of JHMDB's training clips with CenterFace's faces alone.

    Those of clips.npz are left out where CenterFace has not labelled them.
    """
    end = "-held" if held_back else ""
    points = np.zeros((0, 5, 2), np.float32)
    nobody = np.zeros((0, 4), np.float32)
    for frames, found, name in (("frames", "centerface", "jhmdb"), ("clips", "centerface-clips", "clips")):
        if not (cache / f"{found}.npz").exists():
            continue
        with np.load(cache / f"{frames}.npz") as file:
            pictures = file[name + end]
        with np.load(cache / f"{found}.npz") as file:
            rows = file[name + end]
        for number, picture in enumerate(pictures):
            mine = rows[rows[:, 0] == number]
            yield add_second(Labelled(picture, nobody, points, nobody), mine)

"""The frames on which `benchmarks/detection.py` compares detectors, with the faces in them.

Nobody in them was trained on: LFW people of folds 6-10, JHMDB clips of split 1's test, synthetic
people of the test split. LFW's pictures were centred on a face, so it is where the median face of
training pictures is. Where the faces of JHMDB are was judged by eye in 200 frames of as many clips:
`jhmdb_faces.csv` holds the box of every face of at least 12 pixels in height; a profile shows one
eye at most. Doubtful are backs of heads, covered, smaller and unrecognisable faces.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from anonlib.data.images import read_image
from anonlib.data.lfw import lfw_pairs
from anonlib.experiment.people import LFW_TEST_FOLDS
from anonlib.world.actions import render_clips
from anonlib.world.faces import SyntheticPeople

LFW_FACE = (78.0, 65.0, 171.0, 188.0)
"""Median of MTCNN's boxes in LFW's training pictures."""
CUT = 1.6
"""Heads are cut out as rectangles of so many times the face."""
MOST = 1000
JHMDB_HEIGHTS = ((12, 20), (20, 32), (32, MOST))
"""Heights of faces in pixels that are counted apart."""
JUDGED = Path(__file__).with_name("jhmdb_faces.csv")


@dataclass(frozen=True, kw_only=True)
class Subset:
    """Frames of one size and the faces in them."""

    frames: np.ndarray
    """`(n, H, W, 3)` uint8."""
    faces: list[Tensor]
    """Per frame `(m, 4)` xyxy pixels."""
    doubtful: list[Tensor]
    """Per frame `(k, 4)` where a find is neither right nor wrong."""
    closed: bool = True
    """Whether all faces are known, so that any other find is false."""


def lfw_pictures(root: Path, count: int, *, seed: int) -> list[np.ndarray]:
    """Pictures of folds 6-10, a person each, `(250, 250, 3)` uint8."""
    pairs = lfw_pairs(root, LFW_TEST_FOLDS)
    first = {p[0]: p for pair in reversed(pairs) for p in (pair.first, pair.second)}
    names = sorted(first)
    chosen = np.random.default_rng(seed).permutation(len(names))[:count]
    folder = root / "lfw-deepfunneled"
    paths = [folder / names[i] / f"{names[i]}_{first[names[i]][1]:04d}.jpg" for i in chosen]
    return [read_image(path).permute(1, 2, 0).numpy() for path in paths]


def lfw(pictures: Sequence[np.ndarray]) -> Subset:
    """Whole pictures: the face in the middle is known, who is behind it is not."""
    face = torch.tensor([LFW_FACE])
    return Subset(
        frames=np.stack(pictures),
        faces=[face] * len(pictures),
        doubtful=[torch.zeros(0, 4)] * len(pictures),
        closed=False,
    )


def composites(
    pictures: Sequence[np.ndarray],
    grounds: Sequence[np.ndarray],
    *,
    frames: int,
    faces: int,
    size: tuple[int, int],
    tall: tuple[float, float],
    seed: int,
) -> Subset:
    """Heads of LFW's test people, upright, on frames that show nobody's face.

    Args:
        pictures: whole LFW pictures.
        grounds: frames without faces.
        frames: how many to make.
        faces: heads in each, none over another.
        size: height and width of a frame.
        tall: smallest and largest height of a face, drawn evenly in its logarithm.
        seed: of everything drawn.
    """
    rng = np.random.default_rng(seed)
    made = [_composite(pictures, grounds, faces, size, tall, rng) for _ in range(frames)]
    return Subset(
        frames=np.stack([frame for frame, _ in made]),
        faces=[b for _, b in made],
        doubtful=[torch.zeros(0, 4)] * frames,
    )


def _composite(
    pictures: Sequence[np.ndarray],
    grounds: Sequence[np.ndarray],
    faces: int,
    size: tuple[int, int],
    tall: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[np.ndarray, Tensor]:
    height, width = size
    ground = Image.fromarray(grounds[int(rng.integers(len(grounds)))])
    share = max(width / ground.width, height / ground.height)
    frame = ground.resize((round(ground.width * share), round(ground.height * share)))
    frame = frame.crop((0, 0, width, height))
    x0, y0, x1, y1 = LFW_FACE
    half = np.array([x1 - x0, y1 - y0]) / 2 * CUT
    middle = np.array([x0 + x1, y0 + y1]) / 2
    boxes: list[tuple[float, ...]] = []
    taken = np.zeros((height, width), bool)
    while len(boxes) < faces:
        scale = float(np.exp(rng.uniform(*np.log(tall)))) / (y1 - y0)
        wide, high = (round(float(v)) for v in 2 * half * scale)
        left, top = int(rng.integers(0, width - wide)), int(rng.integers(0, height - high))
        if taken[top : top + high, left : left + wide].any():
            continue
        taken[top : top + high, left : left + wide] = True
        head = Image.fromarray(pictures[int(rng.integers(len(pictures)))])
        head = head.crop((*(int(v) for v in middle - half), *(int(v) for v in middle + half)))
        frame.paste(head.resize((wide, high), Image.Resampling.LANCZOS), (left, top))
        inner = np.array([wide, high]) / CUT / 2
        centre = np.array([left + wide / 2, top + high / 2])
        boxes.append((*(centre - inner), *(centre + inner)))
    return np.asarray(frame), torch.tensor(boxes, dtype=torch.float32)


def synthetic(clips: int, *, seed: int) -> Subset:
    """One frame each of clips of drawn people; their squares are true."""
    made = render_clips(
        clips=clips, frames=1, split="test", seed=seed, size=(240, 320), heads=SyntheticPeople()
    )
    return Subset(
        frames=made.frames.permute(0, 2, 3, 1).numpy(),
        faces=list(made.face_boxes),
        doubtful=[torch.zeros(0, 4)] * clips,
    )


def judged_rows(path: Path) -> dict[str, list[dict[str, str]]]:
    """The lines of `jhmdb_faces.csv` for each clip."""
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    with path.open() as lines:
        for row in csv.DictReader(lines):
            rows[row["clip"]].append(row)
    return rows


def jhmdb(root: Path) -> tuple[dict[str, Subset], list[np.ndarray]]:
    """Frames judged by eye, with all faces and with those of one turn or height alone; frames without any."""
    import av

    rows = judged_rows(JUDGED)
    frames = []
    for clip, found in rows.items():
        with av.open(str(root / "ReCompress_Videos" / f"{clip}.mp4")) as file:
            every = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        frames.append(every[int(found[0]["frame"])])
    faces, fronts, sides, unsure = (
        [_boxes(found, verdicts) for found in rows.values()]
        for verdicts in (("face", "profile"), ("face",), ("profile",), ("doubtful",))
    )
    parts = {"fronts": fronts, "profiles": sides}
    for low, high in JHMDB_HEIGHTS:
        tall = [boxes[:, 3] - boxes[:, 1] for boxes in faces]
        chosen = [boxes[(t >= low) & (t < high)] for boxes, t in zip(faces, tall, strict=True)]
        parts[f"{low}-{high}" if high < MOST else f"from {low}"] = chosen
    every = np.stack(frames)
    subsets = {"jhmdb": Subset(frames=every, faces=faces, doubtful=unsure)} | {
        f"jhmdb {name}": Subset(frames=every, faces=chosen, closed=False, doubtful=unsure)
        for name, chosen in parts.items()
    }
    empty = [f for f, found in zip(frames, rows.values(), strict=True) if found[0]["verdict"] == "nobody"]
    return subsets, empty


def _boxes(rows: Sequence[dict[str, str]], verdicts: Sequence[str]) -> Tensor:
    chosen = [row for row in rows if row["verdict"] in verdicts]
    boxes = [[float(row[k]) for k in ("x0", "y0", "x1", "y1")] for row in chosen]
    return torch.tensor(boxes).reshape(-1, 4)


def subsets(datasets: Path, *, seed: int) -> dict[str, Subset]:
    """Everything the detectors are compared on, by name."""
    pictures = lfw_pictures(datasets / "lfw", 240, seed=seed)
    real, grounds = jhmdb(datasets / "jhmdb")
    usual = {"size": (360, 640), "tall": (48.0, 140.0)}
    made = {
        f"composite {n}": composites(pictures, grounds, frames=40, faces=n, seed=seed + n, **usual)
        for n in (1, 2, 4)
    }
    small = [
        (
            f"small {low}-{high}",
            composites(
                pictures, grounds, frames=30, faces=4, size=(360, 640), tall=(low, high), seed=seed + low
            ),
        )
        for low, high in ((12, 20), (20, 32))
    ]
    large = composites(
        pictures, grounds, frames=16, faces=4, size=(1080, 1920), tall=(48, 320), seed=seed + 9
    )
    return {
        "lfw": lfw(pictures),
        **made,
        **dict(small),
        "1080p": large,
        "synthetic": synthetic(60, seed=seed),
        **real,
    }

"""Labelled faces of JHMDB that stay clear after detection alone, and after tracking.

    python benchmarks/left_clear.py JHMDB [--every 2 4] [--out results/real/left_clear.json]

The labels are those of `benchmarks/detection_frames.py`, one frame a clip. The tracker gets eight frames
before and after it. The detector runs on every n-th of them; in every other clip the labelled frame is
one of these. A face is clear if no box overlaps it by 0.3 or more. Clips come in random order, and the
record grows with each, so that a run that is stopped has measured something.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import torch
from detection_frames import JUDGED, judged_rows
from torch import Tensor
from torchvision.ops import box_iou

from anonlib.detection import Faces, create
from anonlib.detection.likeness import CutFinder, grey_levels
from anonlib.detection.tracking import Observation, Tracker
from anonlib.files import commit, hardware

IOU, AROUND, SEED = 0.3, 8, 0
LUMA = torch.tensor([0.299, 0.587, 0.114])


def clear(true: Tensor, boxes: Tensor) -> int:
    """How many of the true boxes `(n, 4)` no box overlaps."""
    return int((~(box_iou(true, boxes.reshape(-1, 4).float()) >= IOU).any(dim=1)).sum())


def boxes_after_tracking(frames: Sequence[Tensor], faces: dict[int, Faces], at: int, every: int) -> Tensor:
    """What the tracker hides in frame `at`, if the detector ran only on every n-th frame."""
    tracker, cuts, covers = Tracker(every=every), CutFinder(), []
    for number, frame in enumerate(frames):
        levels = grey_levels((LUMA @ frame.flatten(1)).reshape(frame.shape[1:]))
        cut, asked = cuts(levels[2]), number in faces
        covers += tracker.push(Observation(levels=levels, faces=faces.get(number), cut=bool(cut and asked)))
    return torch.from_numpy((covers + tracker.flush())[at].boxes)


def measure(root: Path, every: Sequence[int], out: Path, record: dict[str, object]) -> None:
    """Counts clip by clip and writes the record after each."""
    detect = create("centerface", unsure=True)
    clips = [
        (clip, rows)
        for clip, rows in judged_rows(JUDGED).items()
        if any(row["verdict"] in ("face", "profile") for row in rows)
    ]
    counts = {"clips": 0, "faces": 0, "faces in frames that were not searched": 0, "clear, detector alone": 0}
    for number, index in enumerate(np.random.default_rng(SEED).permutation(len(clips))):
        clip, rows = clips[index]
        labels = [row for row in rows if row["verdict"] in ("face", "profile")]
        true = torch.tensor([[float(row[k]) for k in ("x0", "y0", "x1", "y1")] for row in labels])
        with av.open(str(root / "ReCompress_Videos" / f"{clip}.mp4")) as file:
            video = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        first = max(0, int(rows[0]["frame"]) - AROUND)
        at = int(rows[0]["frame"]) - first
        frames = [torch.from_numpy(f).permute(2, 0, 1) / 255 for f in video[first : first + at + AROUND + 1]]
        phase = (at + number) % 2
        found = {i: detect(frames[i][None])[0] for i in range(len(frames)) if i == at or i % 2 == phase}
        counts["clips"] += 1
        counts["faces"] += len(true)
        counts["faces in frames that were not searched"] += len(true) * (at % 2 != phase)
        counts["clear, detector alone"] += clear(true, found[at].above(0.5).boxes)
        for step in every:
            seen = {i: faces for i, faces in found.items() if (i - phase) % step == 0}
            name = f"clear after tracking, every {step}"
            counts[name] = counts.get(name, 0) + clear(true, boxes_after_tracking(frames, seen, at, step))
        out.write_text(json.dumps(record | counts, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jhmdb", type=Path)
    parser.add_argument("--every", type=int, nargs="+", default=[2, 4], help="even numbers")
    parser.add_argument("--out", type=Path, default=Path("results/real/left_clear.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    record = {
        "command": "python benchmarks/left_clear.py JHMDB",
        "commit": commit(),
        "hardware": hardware(),
        "date": time.strftime("%Y-%m-%d"),
        "seed": SEED,
    }
    measure(options.jhmdb, options.every, options.out, record)


if __name__ == "__main__":
    main()

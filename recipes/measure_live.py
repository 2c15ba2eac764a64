"""Measures live de-identification at its five strengths, on drawn people and clips.

    python -m recipes.measure_live          # results/live/curve.csv, curve.json and people.jpg

- tar: true accept rate at a false accept rate of 0.01 over all pairs of a modified picture and another, clear
  one; its 95% interval is the jackknife over ten folds of people.
- tar_both: the same of two modified pictures.
- recall: share of modified pictures whose nearest of 100 clear pictures is of the same person.
- found: share of pictures in which MTCNN finds the face, by its centre.
- expression: error of the state reader of M-state for mouth and smile, against what was drawn (root mean
  square, in standard deviations of drawn people); mesh: distance of lips and eyes to those of the clear
  picture, in pixels of an aligned face.
- frechet: distance to other clear pictures of the same people, features of D-start.
- flicker: change from frame to frame over that of the clear clip, in the aligned face; one target a clip.
- clip: mean cosine of a modified frame and of its clear frame, features of D-start.

D-start and the recogniser for photographs did not take part in the training; `judge`, the face network
of the loss, did. Faces are aligned by their true landmarks, which an attacker does not have.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anonlib import detection
from anonlib.anonymizers import create
from anonlib.anonymizers.live import LiveAnonymizer, load_live
from anonlib.assets import data_path
from anonlib.attack import recognizers
from anonlib.attack.verification import anonymize_faces, face_features
from anonlib.config import LIVE_STRENGTHS
from anonlib.detection.mesh import MeshLandmarks
from anonlib.experiment import flicker
from anonlib.files import provenance
from anonlib.metrics.frechet import frechet_distance
from anonlib.metrics.identification import identify
from anonlib.metrics.intervals import jackknife_interval
from anonlib.metrics.verification import tar_at_far
from anonlib.networks.face_reader import STATE
from anonlib.networks.live import SIZE
from anonlib.study.usefulness import aligned_faces, aligned_points, drawn_clip, found, hidden_clip, read_state
from anonlib.types import FaceImages
from anonlib.world.faces import SyntheticPeople, drawn_states, synthetic_faces
from recipes.miniatures import save_sheet
from recipes.pretrain import SEED

PEOPLE, IMAGES, FOLDS, FAR = 100, 4, 10, 0.01
CLIPS, FRAMES = 10, 24
OTHER_SEED = SEED + 1
EXPRESSION = [STATE.index("mouth open"), STATE.index("smile")]
LIPS_AND_EYES = [61, 291, 0, 17, 13, 14, 78, 308, 82, 312, 87, 317, 33, 133, 159, 145, 362, 263, 386, 374]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--out", type=Path, default=Path("results/live"))
    arguments = parser.parse_args()
    command = " ".join(["python -m recipes.measure_live", *sys.argv[1:]])
    record = provenance(command=command, seed=SEED)
    methods = {f"live {s:g}": load_live(arguments.weights, strength=s) for s in LIVE_STRENGTHS}
    people = SyntheticPeople().people(arguments.split)[:PEOPLE]
    table = Table(people, methods["live 1"])
    rows = [table.row("clear", table.clear)]
    for name in ("blur8",):
        rows.append(table.row(name, anonymize_faces(table.clear, create(name))))
    for name, method in methods.items():
        rows.append(
            table.row(name, anonymize_faces(table.clear, method)) | table.video(people[:CLIPS], method)
        )
        print(json.dumps(rows[-1]), flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (arguments.out / "curve.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[-1]), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    record |= {"split": arguments.split, "far": FAR, "rows": rows}
    (arguments.out / "curve.json").write_text(json.dumps(record, indent=2) + "\n")
    clear = table.clear.images[:: IMAGES * 8].float() / 255
    rows_of_faces = [clear, *[method(clear) for method in methods.values()]]
    save_sheet(rows_of_faces, arguments.out / "people.jpg", quality=92)


class Table:
    """Clear pictures of test people, and what is asked of each method."""

    def __init__(self, people: range, method: LiveAnonymizer) -> None:
        self.clear = synthetic_faces(people, images=IMAGES, size=SIZE, seed=SEED)
        labels = self.clear.labels.numpy()
        self.first, self.second = np.nonzero(~np.eye(len(labels), dtype=bool))
        self.same = labels[self.first] == labels[self.second]
        self.fold = labels[self.first] * FOLDS // PEOPLE
        d_start = recognizers.recognizing_classifier(data_path("weights", "D-start.safetensors"))
        self.features: dict[str, Callable[[FaceImages], np.ndarray]] = {
            "d_start": partial(face_features, d_start),
            "recognizer": recognizers.create("sphereface"),
            "judge": partial(face_features, method.face),
        }
        self.known = {name: by(self.clear) for name, by in self.features.items()}
        others = synthetic_faces(people, images=IMAGES, size=SIZE, seed=OTHER_SEED)
        self.others, self.detector = self.features["d_start"](others), detection.create("mtcnn")
        self.state = drawn_states(people, images=IMAGES, seed=SEED).numpy()[:, EXPRESSION]
        self.find = MeshLandmarks()
        self.points = aligned_points(self.clear, self.find, LIPS_AND_EYES)

    def row(self, method: str, faces: FaceImages) -> dict[str, Any]:
        """One line of the table."""
        row: dict[str, Any] = {"method": method}
        for name, by in self.features.items():
            modified, known = by(faces), self.known[name]
            row |= self.accepted(f"tar_{name}", modified @ known.T)
            row |= self.accepted(f"tar_both_{name}", modified @ modified.T)
            row[f"recall_{name}"] = identify(known, modified, self.clear.labels.numpy()).rank1
            if name == "d_start":
                row["frechet"] = frechet_distance(modified, self.others)
        row["found_mtcnn"] = found(self.detector, faces)
        errors = read_state(faces.images)[:, EXPRESSION] - self.state
        row["expression"] = float((errors**2).mean() ** 0.5)
        points = aligned_points(faces, self.find, LIPS_AND_EYES)
        row["mesh"] = float((points - self.points).norm(dim=2).mean())
        return rounded(row)

    def accepted(self, name: str, cosines: np.ndarray) -> dict[str, float]:
        """The true accept rate and its interval, from the cosines `(N, N)` of all pictures."""
        scores = cosines[self.first, self.second].round(5)

        def rate(pairs: np.ndarray) -> float:
            return tar_at_far(scores[pairs], self.same[pairs], far=FAR)

        low, high = jackknife_interval(rate, self.fold)
        return {name: rate(np.ones_like(self.same)), f"{name}_lo": low, f"{name}_hi": high}

    def video(self, people: range, method: LiveAnonymizer) -> dict[str, Any]:
        """Flicker and likeness in drawn clips, one of each person."""
        before, after, cosines = [], [], []
        by = self.features["d_start"]
        for person in people:
            clear, landmarks = drawn_clip(person, frames=FRAMES, size=SIZE, seed=SEED)
            modified, described = hidden_clip(method, clear), []
            for frames, aligned in ((clear, before), (modified, after)):
                aligned.append(aligned_faces(frames, landmarks))
                images, labels = (frames * 255).round().to(torch.uint8), torch.zeros(FRAMES, dtype=torch.long)
                described.append(by(FaceImages(images=images, labels=labels, landmarks=landmarks)))
            cosines.append((described[0] * described[1]).sum(1).mean())
        jumps = flicker(torch.stack(before, 1), torch.stack(after, 1))
        return rounded({"flicker": jumps, "clip": float(np.mean(cosines))})


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


if __name__ == "__main__":
    main()

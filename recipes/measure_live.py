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
from torch import Tensor

from anonlib import detection
from anonlib.anonymizers import create
from anonlib.anonymizers.aligned import aligned_window
from anonlib.anonymizers.live import LiveAnonymizer, load_live
from anonlib.assets import data_path, load_weights
from anonlib.attack import recognizers
from anonlib.attack.verification import anonymize_faces, face_features
from anonlib.config import LIVE_STRENGTHS
from anonlib.detection.mesh import MeshLandmarks
from anonlib.detection.windows import view
from anonlib.files import provenance
from anonlib.metrics.frechet import frechet_distance
from anonlib.metrics.identification import identify
from anonlib.metrics.intervals import jackknife_interval
from anonlib.metrics.verification import tar_at_far
from anonlib.networks.face_reader import STATE, FaceReader
from anonlib.networks.live import SIZE
from anonlib.types import FaceImages
from anonlib.world.face_model import FaceModel, normals
from anonlib.world.faces import BACKGROUND, CLOTHES, SyntheticPeople, backgrounds, synthetic_faces
from recipes.measure_ciagan import found
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
        self.reader, self.find = state_reader(), MeshLandmarks()
        width = len(STATE) + FaceModel.load().components + BACKGROUND + CLOTHES
        draws = torch.cat([normals(person, SEED, 0, shape=(IMAGES, width)) for person in people])
        self.state, self.points = draws[:, EXPRESSION], self.lips_and_eyes(self.clear)

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
        with torch.inference_mode():
            read = torch.cat([self.reader(part.float() / 255).state for part in faces.images.split(100)])
        row["expression"] = float((read[:, EXPRESSION] - self.state).square().mean().sqrt())
        row["mesh"] = float((self.lips_and_eyes(faces) - self.points).norm(dim=2).mean())
        return rounded(row)

    def accepted(self, name: str, cosines: np.ndarray) -> dict[str, float]:
        """The true accept rate and its interval, from the cosines `(N, N)` of all pictures."""
        scores = cosines[self.first, self.second].round(5)

        def rate(pairs: np.ndarray) -> float:
            return tar_at_far(scores[pairs], self.same[pairs], far=FAR)

        low, high = jackknife_interval(rate, self.fold)
        return {name: rate(np.ones_like(self.same)), f"{name}_lo": low, f"{name}_hi": high}

    def lips_and_eyes(self, faces: FaceImages) -> Tensor:
        """`(N, 20, 2)` points of the mesh in pixels of the aligned face."""
        mesh = torch.cat([self.find(list(part.float() / 255))[0] for part in faces.images.split(100)])
        points = mesh[:, LIPS_AND_EYES, :2]
        scales = [SIZE / aligned_window(marks).side for marks in faces.landmarks]
        return points * torch.tensor(scales)[:, None, None]

    def video(self, people: range, method: LiveAnonymizer) -> dict[str, Any]:
        """Flicker and likeness in drawn clips, one of each person."""
        changes, cosines, heads = [], [], SyntheticPeople()
        by = self.features["d_start"]
        for person in people:
            head = heads.heads(person, seed=SEED, frames=FRAMES, size=SIZE)
            scene = backgrounds(normals(person, SEED, 4, shape=(1, BACKGROUND)), SIZE)
            clear = list(scene.lerp(head.rgb, head.alpha))
            modified = method.session().replace(clear, [0] * FRAMES, [(0, 0)] * FRAMES)
            windows = [aligned_window(marks) for marks in head.landmarks]
            pair = []
            for frames in (clear, modified):
                crops = torch.stack([view(f, w, SIZE) for f, w in zip(frames, windows, strict=True)])
                changed = float(crops.diff(dim=0).abs().mean())
                images = (torch.stack(frames) * 255).round().to(torch.uint8)
                labels = torch.zeros(FRAMES, dtype=torch.long)
                faces = FaceImages(images=images, labels=labels, landmarks=head.landmarks)
                pair.append((changed, by(faces)))
            changes.append([pair[0][0], pair[1][0]])
            cosines.append((pair[0][1] * pair[1][1]).sum(1).mean())
        before, after = np.array(changes).sum(0)
        return rounded({"flicker": float(after / before), "clip": float(np.mean(cosines))})


def state_reader() -> FaceReader:
    """The reader of the shipped M-state."""
    tensors, _ = load_weights(data_path("weights", "M-state-start.safetensors"))
    part = {n.removeprefix("reader."): t.float() for n, t in tensors.items() if n.startswith("reader.")}
    reader = FaceReader()
    reader.load_state_dict({n: t.long() if n.endswith("num_batches_tracked") else t for n, t in part.items()})
    return reader.eval()


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


if __name__ == "__main__":
    main()

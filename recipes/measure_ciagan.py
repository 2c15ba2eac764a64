"""Measures CIAGAN on drawn people beside hand-crafted methods: the table of its talk.

    python -m recipes.measure_ciagan --weights warm-up=WARM.safetensors ciagan=data/weights/ciagan.safetensors

Rows: `clear`, hand-crafted methods, the weights, and `truth`: the drawn world's own picture of the wanted
person in the same hole, the best that any generator could do.

- found: share of pictures in which a detector finds the face, by its centre.
- recall: share of modified pictures whose nearest of 100 clear pictures is of the hidden person.
- wanted: share whose nearest training person, by mean feature, is the wanted one.
- spread: e to the entropy of who is nearest, over the number of training people; 1 is even.
- frechet: distance to other clear pictures of the same people, features of D-start.

D-start and the shipped recogniser did not guide the generator. Faces are aligned by their true landmarks,
which an attacker does not have. `results/ciagan/talk.csv` and `.json` hold the numbers.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib import detection
from anonlib.anonymizers import create
from anonlib.anonymizers.ciagan import CiaganAnonymizer, load_ciagan
from anonlib.anonymizers.conditions import condition, into_picture
from anonlib.assets import data_path
from anonlib.attack import recognizers
from anonlib.attack.verification import anonymize_faces, face_features
from anonlib.detection.mesh import MeshLandmarks
from anonlib.files import provenance
from anonlib.metrics.frechet import frechet_distance
from anonlib.metrics.identification import identify
from anonlib.networks.ciagan import SIZE
from anonlib.study.usefulness import found
from anonlib.types import FaceImages
from anonlib.world.faces import SyntheticPeople, synthetic_faces
from anonlib.world.pairs import redrawn_faces
from recipes.pretrain import SEED
from recipes.train_ciagan import FIRST

PEOPLE, IMAGES, GALLERY_IMAGES = 100, 4, 8
HANDCRAFTED = ("blur8", "blur16")
DETECTORS = ("mtcnn", "ssh")
OTHER_SEED = SEED + 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", nargs="*", default=[], metavar="NAME=FILE")
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--only-weights", action="store_true", help="without the rows to compare with")
    parser.add_argument("--out", type=Path, default=Path("results/ciagan/talk.csv"))
    arguments = parser.parse_args()
    methods = {name: load_ciagan(Path(path)) for name, path in (w.split("=", 1) for w in arguments.weights)}
    command = " ".join(["python -m recipes.measure_ciagan", *sys.argv[1:]])
    record = provenance(command=command, seed=SEED)
    people = min(method.generator.config.people for method in methods.values())
    table = Table(SyntheticPeople().people(arguments.split)[:PEOPLE], people)
    rows = []
    if not arguments.only_weights:
        rows = [table.row("clear", table.clear)]
        rows += [table.row(name, anonymize_faces(table.clear, create(name))) for name in HANDCRAFTED]
    for name, method in methods.items():
        rows.append(table.row(name, table.hidden(method), drawn=True))
    if not arguments.only_weights:
        rows.append(table.row("truth", table.truth(), drawn=True))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[-1]))
        writer.writeheader()
        writer.writerows(rows)
    record |= {"split": arguments.split, "chance_recall": 1 / PEOPLE, "chance_wanted": 1 / people}
    record |= {"unhidden": table.unhidden, "rows": rows}
    arguments.out.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")


class Table:
    """Clear pictures of test people, and what is asked of each method."""

    def __init__(self, numbers: range, training_people: int) -> None:
        self.numbers, self.people = numbers, training_people
        self.clear = synthetic_faces(numbers, images=IMAGES, size=SIZE, seed=SEED)
        self.wanted = torch.arange(len(self.clear)) % training_people
        self.unhidden = 0
        d_start = recognizers.recognizing_classifier(data_path("weights", "D-start.safetensors"))
        self.features = {
            "d_start": partial(face_features, d_start),
            "recognizer": recognizers.create("sphereface"),
        }
        trained = range(FIRST, FIRST + training_people)
        gallery = synthetic_faces(trained, images=GALLERY_IMAGES, size=SIZE, seed=OTHER_SEED)
        self.means = {name: mean_features(by(gallery), gallery.labels) for name, by in self.features.items()}
        self.known = {name: by(self.clear) for name, by in self.features.items()}
        self.others = self.features["d_start"](
            synthetic_faces(numbers, images=IMAGES, size=SIZE, seed=OTHER_SEED)
        )
        self.detectors = {name: detection.create(name) for name in DETECTORS}

    def hidden(self, method: CiaganAnonymizer) -> FaceImages:
        """The pictures with the wanted people, by a generator."""
        drawn, found = method.redraw(list(self.clear.images.float() / 255), self.wanted.tolist())
        self.unhidden = found.count(False)
        return self.with_images(torch.stack(drawn))

    def truth(self) -> FaceImages:
        """The pictures with the wanted people, as the drawn world draws them into the same holes."""
        others = (FIRST + self.wanted).tolist()
        redrawn = redrawn_faces(self.numbers, others, images=IMAGES, size=SIZE, seed=SEED)
        conditions, windows, rows = condition(self.clear.images, MeshLandmarks())
        images = self.clear.images.float() / 255
        for row, window, mask in zip(rows, windows, conditions.masks, strict=True):
            opacity = into_picture(mask[None], window, (SIZE, SIZE))
            images[row] = images[row].lerp(redrawn[row].float() / 255, opacity)
        return self.with_images(images)

    def with_images(self, images: Tensor) -> FaceImages:
        """The same faces with pictures `(N, 3, SIZE, SIZE)` in [0, 1]."""
        return replace(self.clear, images=(images * 255).round().to(torch.uint8))

    def row(self, method: str, faces: FaceImages, *, drawn: bool = False) -> dict[str, Any]:
        """One line of the table, shares in [0, 1]; the wanted person exists if the method draws one."""
        row: dict[str, Any] = {"method": method}
        for name, detector in self.detectors.items():
            row[f"found_{name}"] = found(detector, faces)
        labels = faces.labels.numpy()
        for name, features in self.features.items():
            modified = features(faces)
            who = identify(self.known[name], modified, labels)
            row |= {f"recall_{name}": who.rank1, f"recall_{name}_lo": who.lo, f"recall_{name}_hi": who.hi}
            nearest = torch.from_numpy(modified @ self.means[name].T).argmax(1)
            row[f"wanted_{name}"] = float((nearest == self.wanted).float().mean()) if drawn else ""
            row[f"spread_{name}"] = spread(nearest, self.people) if drawn else ""
            if name == "d_start":
                row["frechet"] = frechet_distance(modified, self.others)
        row = {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}
        print(json.dumps(row), flush=True)
        return row


def mean_features(features: np.ndarray, labels: Tensor) -> np.ndarray:
    """The mean feature of each person, of length one."""
    sums = torch.zeros(int(labels.max()) + 1, features.shape[1])
    return F.normalize(sums.index_add_(0, labels, torch.from_numpy(features)), dim=1).numpy()


def spread(nearest: Tensor, people: int) -> float:
    share = torch.bincount(nearest, minlength=people) / len(nearest)
    return float(torch.special.entr(share).sum().exp()) / people


if __name__ == "__main__":
    main()

"""Measures the password-conditioned transformer on drawn test people.

    python -m recipes.measure_fit --weights data/weights/fit.safetensors

I is a face, A = T(I, p), R = T(A, -p), W = T(A, a wrong password). Every face has random passwords, unless a
row says that all faces have one. `results/fit/passwords.csv` and `.json` hold the numbers.

- verification: accuracy of "is this one person?" on 1,200 pairs of different pictures of 100 people, in ten
  folds, by D-start and by the shipped recogniser for photographs. T was not trained with them (naive).
  `same_picture`: a pair of one person is one picture before and after.
- restored: PSNR of R against I, after A was stored in several ways.
- passwords: mean |T(A, q) - I| for all 256 passwords q, by the number of bits in which q differs from -p.
- search: an attacker with a clear picture of a suspect tries all passwords, and takes the best match.
- smoothest: an attacker without any clear picture takes the password whose picture has the least total
  variation; the share of faces for which it is the right one. `bit_by_bit` finds 16 directions of their own,
  without the code that makes them from 8 bits.

Faces are aligned by their true landmarks, which an attacker does not have.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from anonlib.anonymizers.fit import load_fit
from anonlib.assets import data_path
from anonlib.attack import recognizers
from anonlib.attack.passwords import bit_by_bit, unlocked
from anonlib.attack.verification import face_features, verify_features
from anonlib.files import provenance
from anonlib.geometry import resize
from anonlib.metrics.image_quality import l1_distance, psnr, total_variation
from anonlib.metrics.intervals import proportion_interval
from anonlib.metrics.verification import verification_pairs
from anonlib.networks.fit import PLANES, SIZE, FaceTransformer, all_passwords
from anonlib.training.fit_data import random_passwords, wrong_passwords
from anonlib.types import FaceImages
from anonlib.world.faces import SyntheticPeople, synthetic_faces
from recipes.miniatures import save_sheet
from recipes.pretrain import SEED

PEOPLE, IMAGES, PAIRS = 100, 4, 1200
SEARCHED = 12
"""Faces on which all passwords are tried."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--out", type=Path, default=Path("results/fit/passwords.csv"))
    parser.add_argument("--sheet", type=Path, help="A picture of I, A, W and R.")
    arguments = parser.parse_args()
    command = " ".join(["python -m recipes.measure_fit", *sys.argv[1:]])
    record = provenance(command=command, seed=SEED)
    torch.manual_seed(SEED)
    numbers = SyntheticPeople().people(arguments.split)[:PEOPLE]
    clear = synthetic_faces(numbers, images=IMAGES, size=SIZE, seed=SEED)
    transformer = load_fit(arguments.weights, password="any").transformer
    sets = changed(transformer, clear)
    if arguments.sheet:
        shown = [sets[name].images[: 12 * IMAGES : IMAGES] / 255 for name in ("I", "A", "A2", "W", "R")]
        save_sheet(shown, arguments.sheet)
    features = {
        "d_start": partial(
            face_features, recognizers.recognizing_classifier(data_path("weights", "D-start.safetensors"))
        ),
        "recognizer": recognizers.create("sphereface"),
    }
    rows = list(verification(sets, features))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[-1]))
        writer.writeheader()
        writer.writerows(rows)
    record |= {"split": arguments.split, "people": PEOPLE, "pictures": len(clear), "verification": rows}
    record["restored_psnr"] = restored(transformer, numbers)
    record |= search(transformer, sets, features["d_start"])
    record["smoothest"] = smoothest(transformer, clear)
    arguments.out.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


@torch.inference_mode()
def run(transformer: FaceTransformer, faces: Tensor, passwords: Tensor) -> Tensor:
    """T on `(N, 3, S, S)` in [0, 1], rounded to 8 bits as in a file."""
    parts = zip(faces.split(50), passwords.split(50), strict=True)
    return (torch.cat([transformer(*part) for part in parts]).clamp(0, 1) * 255).round() / 255


def changed(transformer: FaceTransformer, clear: FaceImages) -> dict[str, FaceImages]:
    """I, A, R and W, as files would hold them, and A under other passwords."""
    faces, bits = clear.images.float() / 255, transformer.config.bits
    p, one = random_passwords(len(faces), bits), random_passwords(1, bits)
    first = run(transformer, faces, p)
    sets = {
        "I": faces,
        "A": first,
        "R": run(transformer, first, -p),
        "W": run(transformer, first, wrong_passwords(-p)),
        "A2": run(transformer, faces, wrong_passwords(p)),
        "A, one password": run(transformer, faces, one.expand(len(faces), -1)),
    }
    return {name: replace(clear, images=(images * 255).to(torch.uint8)) for name, images in sets.items()}


COMPARED = (
    ("I", "I"),
    ("I", "A"),
    ("I", "W"),
    ("I", "R"),
    ("A", "A2"),
    ("A", "W"),
    ("A, one password", "A, one password"),
)


def verification(
    sets: dict[str, FaceImages], features: dict[str, Callable[[FaceImages], np.ndarray]]
) -> Iterator[dict[str, Any]]:
    """A row for each two kinds of face."""
    pairs = verification_pairs(sets["I"].labels, pairs=PAIRS, folds=10, seed=SEED)
    same = replace(pairs, second=np.where(pairs.same, pairs.first, pairs.second))
    known = {name: {kind: by(faces) for kind, faces in sets.items()} for name, by in features.items()}
    for first, second in COMPARED:
        row: dict[str, Any] = {"first": first, "second": second}
        for name, each in known.items():
            found = verify_features(each[first], each[second], pairs)
            row |= {name: found.accuracy, f"{name}_lo": found.lo, f"{name}_hi": found.hi}
            trivial = first == second
            one = verify_features(each[first], each[second], same).accuracy
            row[f"{name}_same_picture"] = "" if trivial else one
        yield {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


def jpeg(faces: Tensor, quality: int) -> Tensor:
    """Faces as they come back from a JPEG file."""
    out = []
    for face in faces:
        file = io.BytesIO()
        image = Image.fromarray((face * 255).round().byte().movedim(0, 2).numpy())
        image.save(file, "JPEG", quality=quality)
        out.append(torch.from_numpy(np.array(Image.open(file))).movedim(2, 0).float() / 255)
    return torch.stack(out)


def restored(transformer: FaceTransformer, numbers: range) -> dict[str, float]:
    """Mean PSNR of R against I, by how A was stored."""
    ways: dict[str, tuple[int, Callable[[Tensor], Tensor]]] = {
        "PNG, 64 pixels": (SIZE, lambda faces: faces),
        "PNG, 80 pixels": (80, lambda faces: faces),
        "PNG, 128 pixels": (128, lambda faces: faces),
        "JPEG 95, 128 pixels": (128, partial(jpeg, quality=95)),
        "JPEG 75, 128 pixels": (128, partial(jpeg, quality=75)),
    }
    found = {}
    for name, (side, store) in ways.items():
        clear = synthetic_faces(numbers[:40], images=1, size=side, seed=SEED).images.float() / 255
        p = random_passwords(len(clear), transformer.config.bits)
        hidden = store(
            (resize(run(transformer, resize(clear, (SIZE, SIZE)), p), (side, side)) * 255).round() / 255
        )
        back = resize(run(transformer, resize(hidden, (SIZE, SIZE)), -p), (side, side))
        found[name] = decibels(back, clear)
        found[f"{name}, A"] = decibels(hidden, clear)
        best = resize(resize(clear, (SIZE, SIZE)), (side, side))
        found[f"{name}, best at 64 pixels"] = decibels(best, clear)
    return found


def decibels(images: Tensor, others: Tensor) -> float:
    return round(float(psnr(images, others).clamp(max=99).mean()), 2)


def search(
    transformer: FaceTransformer, sets: dict[str, FaceImages], features: Callable[[FaceImages], np.ndarray]
) -> dict[str, Any]:
    """All passwords on the first faces: distance by Hamming distance, and what an attacker gains."""
    every = all_passwords(transformer.config.bits)
    rows = torch.arange(SEARCHED) * (len(sets["I"]) // SEARCHED)
    p = random_passwords(SEARCHED, transformer.config.bits)
    known = sets["I"]
    clear = FaceImages(images=known.images[rows], labels=known.labels[rows], landmarks=known.landmarks[rows])
    faces = clear.images.float() / 255
    hidden = run(transformer, faces, p)
    suspects = features(sets["I"])  # all pictures, of which those of the same file are not compared
    wrong_bits = ((every[None] != -p[:, None]).sum(2)).numpy()  # (n, all)
    distance, best = np.zeros(wrong_bits.shape), np.zeros((SEARCHED, len(suspects)))
    right = np.zeros((SEARCHED, len(suspects)))
    for row in range(SEARCHED):
        tried = (unlocked(transformer, hidden[row]) * 255).round() / 255
        distance[row] = l1_distance(tried, faces[row : row + 1].expand_as(tried)).numpy()
        images = (tried * 255).to(torch.uint8)
        points = clear.landmarks[row].expand(len(every), -1, -1)
        seen = FaceImages(images=images, labels=torch.zeros(len(every)).long(), landmarks=points)
        similar = features(seen) @ suspects.T  # (all, pictures)
        best[row], right[row] = similar.max(0), similar[wrong_bits[row] == 0][0]
    by_bits = {
        int(k): round(float(distance[wrong_bits == k].mean()), 4) for k in range(transformer.config.bits + 1)
    }
    nearest = float((wrong_bits[np.arange(SEARCHED), distance.argmin(1)] == 0).mean())
    return {
        "distance_by_wrong_bits": by_bits,
        "distance_of_A": round(float(l1_distance(hidden, faces).mean()), 4),
        "right_password_is_nearest": round(nearest, 4),
        "search": {
            "right_password": match(right, clear, sets["I"], rows),
            "best_of_all": match(best, clear, sets["I"], rows),
        },
    }


@torch.inference_mode()
def smoothest(transformer: FaceTransformer, clear: FaceImages) -> dict[str, Any]:
    """How often the smoothest of all pictures is the original, by how A was stored; one picture a person."""
    faces = clear.images[::IMAGES].float() / 255
    p = random_passwords(len(faces), transformer.config.bits)
    hidden = run(transformer, faces, p)
    small = resize(jpeg(resize(hidden, (128, 128)), 75), (SIZE, SIZE))
    every, found = all_passwords(transformer.config.bits), {}
    for name, given in {"PNG, 64 pixels": hidden, "JPEG 75, 128 pixels": small}.items():
        guess = torch.stack([every[total_variation(unlocked(transformer, one)).argmin()] for one in given])
        found[name] = share((guess == -p).all(1))
    signs = torch.randint(2, (len(faces), PLANES)) * 2.0 - 1
    hidden = (transformer.turn(faces, signs) * 255).round() / 255
    found["bit_by_bit"] = share((bit_by_bit(transformer, hidden) == -signs).all(1))
    return found


def share(right: Tensor) -> dict[str, float]:
    """A share of faces with Wilson's 95% interval."""
    low, high = proportion_interval(int(right.sum()), len(right))
    return {"share": float(right.float().mean()), "lo": round(low, 4), "hi": round(high, 4), "n": len(right)}


def match(scores: np.ndarray, faces: FaceImages, suspects: FaceImages, rows: Tensor) -> float:
    """Accuracy of "is this the suspect?" at the best threshold, as many right suspects as wrong ones."""
    same = faces.labels[:, None] == suspects.labels[None]
    other = torch.arange(len(suspects))[None] != rows[:, None]
    right, wrong = scores[(same & other).numpy()], scores[(~same).numpy()]
    return round(
        max(float(((right >= t).mean() + (wrong < t).mean()) / 2) for t in np.linspace(-1, 1, 401)), 4
    )


if __name__ == "__main__":
    main()

"""Runs profile `paper` without a GPU: every stage to the tables, at the full sizes of all networks.

    python -m recipes.gpu.smoke_paper run --lfw LFW --faces CELEBA --jhmdb JHMDB --work FOLDER
    python -m recipes.gpu.smoke_paper memory --work FOLDER

run      Only counts are smaller: people, pairs, clips, frames, steps, and faces and frames in a batch. The
         numbers in the tables mean nothing.
memory   Loads 20,000 crops of noise at full size (4 GB), draws batches of clear and modified ones together,
         and measures the most memory that this takes.

Both write their part of results/paper/smoke.json. LFW is the official folder with its pairs.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anonlib import types
from anonlib.anonymizers import create
from anonlib.attack.subjects import join
from anonlib.attack.verification import anonymize_faces
from anonlib.config import Profile, profile
from anonlib.data import face_crops
from anonlib.data.face_folders import FaceFolder
from anonlib.data.lfw import lfw_pairs
from anonlib.experiment.people import real_faces
from anonlib.experiment.reproduce import reproduce
from anonlib.experiment.run import Run
from anonlib.files import peak_memory_gb, provenance
from anonlib.geometry import CANONICAL_LANDMARKS
from anonlib.training.batches import face_batch

RECORD = Path("results", "paper", "smoke.json")
PEOPLE = 16
"""Training people, half of them from LFW; every eighth is a validation person."""
IN_MEMORY = 2_500_000
"""Bytes of face images that stay in memory: those of the test do, those of training do not."""
FACES = 20_000
"""Faces that are loaded to measure the memory, 46 of a person."""
BATCHES = 20
"""Batches that are drawn to measure the memory."""


def shrunk(paper: Profile) -> Profile:
    """The profile with its networks' sizes, and the smallest counts with which every stage does something."""
    data = replace(paper.data, people=PEOPLE, images=2, train_clips=2, test_clips=2, frames=1)
    training = replace(
        paper.training,
        faces=1,
        frames=1,
        adversarial_steps=1,
        detector_steps=1,
        classifier_steps=1,
        judge_every=1,
        judge_faces=2,
        judge_steps=1,
    )
    return replace(paper, data=data, training=training)


def small_lfw(root: Path, out: Path) -> Path:
    """A folder with links to few of LFW's people, and a pairs.txt with the same two pairs in every fold."""
    pairs, folder = lfw_pairs(root), FaceFolder(root)
    one, *rest = [pair for pair in pairs if pair.same and pair.fold == 6]
    two = next(pair for pair in rest if pair.first[0] != one.first[0])
    (name, first), (_, second), (other, third) = one.first, one.second, two.first
    lines = ["10\t1"] + 10 * [f"{name}\t{first}\t{second}", f"{name}\t{first}\t{other}\t{third}"]
    tested = {name for pair in pairs for name, _ in (pair.first, pair.second)}
    known = [name for name in folder.people_with(2) if name not in tested][: PEOPLE // 2]
    for person in (*known, name, other):
        link = out / "lfw" / person
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(folder.pictures(person)[0].parent.resolve())
    (out / "lfw" / "pairs.txt").write_text("\n".join(lines) + "\n")
    return out / "lfw"


def drop_checkpoints() -> None:
    """Deletes checkpoints after each stage; those of all methods together take 20 GB."""
    stage = Run.stage

    def tidy(run: Run, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        found = stage(run, name, compute)
        shutil.rmtree(run.out / "checkpoints", ignore_errors=True)
        return found

    Run.stage = tidy  # type: ignore[assignment, method-assign]


def run_every_stage(arguments: argparse.Namespace) -> dict[str, Any]:
    """`reproduce` on few people and clips; what was smaller, and what the run's own record says."""
    types.IN_MEMORY = IN_MEMORY
    drop_checkpoints()
    small = shrunk(profile("paper"))
    faces = (small_lfw(arguments.lfw, arguments.work), arguments.faces)
    tables = reproduce(profile=small, out=arguments.work / "out", faces=faces, actions=arguments.jhmdb)
    record = json.loads((tables.out / "run.json").read_text())
    kept = ("detector_start", "minutes_this_command", "minutes_of_stages", "peak_memory_gb", "stage_seconds")
    sizes = {name: getattr(small, name) for name in ("modifier", "classifier", "detector")}
    return {
        "counts": {name: repr(getattr(small, name)) for name in ("data", "training")},
        "sizes": {name: repr(size) for name, size in sizes.items()},
        "tables": sorted(path.name for path in tables.out.glob("*.csv")),
        **{key: record[key] for key in kept},
    }


def noise(paths: Sequence[Path], *, size: int, **_: Any) -> dict[str, np.ndarray]:
    """Stands for the crops of these pictures."""
    images = np.random.default_rng(0).integers(256, size=(len(paths), 3, size, size), dtype=np.uint8)
    landmarks = np.tile(size * CANONICAL_LANDMARKS.numpy(), (len(paths), 1, 1)).astype(np.float32)
    return {"images": images, "landmarks": landmarks, "found": np.ones(len(paths), bool)}


def measure_memory(arguments: argparse.Namespace) -> dict[str, Any]:
    """Loads faces as profile `paper` does, and draws batches of them as the attackers' training does."""
    for person, picture in product(range(FACES // 46), range(46)):
        path = arguments.work / "noise" / f"{person:04}" / f"{picture:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.environ["ANONLIB_CACHE"] = str(arguments.work / "cache")
    face_crops._crop_chunk = noise
    paper, before, begun = profile("paper"), peak_memory_gb(), time.time()
    train, validation, test, _ = real_faces(paper, [arguments.work / "noise"])
    loaded, count = time.time(), len(train) + len(validation) + len(test)
    both = join(train, anonymize_faces(train, create("mask")))
    for step in range(BATCHES):
        face_batch(both, paper.training.faces, seed=0, step=step)
    return {
        "faces": count,
        "gb_of_these_faces": round(count * 3 * paper.modifier.size**2 / 1e9, 2),
        "peak_memory_gb_before": before,
        "peak_memory_gb": peak_memory_gb(),
        "seconds_to_load": round(loaded - begun, 1),
        "seconds_a_batch": round((time.time() - loaded) / BATCHES, 3),
    }


def main() -> None:
    """Runs one part and writes its record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("part", choices=("run", "memory"))
    for name in ("--lfw", "--faces", "--jhmdb"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for 4 GB, outside the repository")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    found = (run_every_stage if arguments.part == "run" else measure_memory)(arguments)
    words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
    command = shlex.join(["python", "-m", "recipes.gpu.smoke_paper", *words])
    record = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    record[arguments.part] = {**provenance(command=command, seed=0), **found}
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()

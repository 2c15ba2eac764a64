"""Do the retrained and the restoring attacker find what they should, and nothing else?

    python benchmarks/attackers.py OUT.json permutation inversion redraw perfect [--seed 7]

Positive controls keep the person and hide her from D as it is, so an attacker who adapts must break them:

permutation  a fixed permutation of 8x8 blocks of pixels
inversion    every colour value v becomes 1 - v
redraw       the paper's M from weights that draw everybody as one other person, M-redraw-start

Negative control: nothing of the person is left, so no attacker may be better than guessing:

perfect      the renderer draws another person in the same pose, light and scene

The people and the steps are those of `anonlib audit`, the rate is its lower one. Faces are aligned by the
landmarks of the original, those of `perfect` by the landmarks of the new face. Each control is added to OUT.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anonlib.anonymizers import create
from anonlib.anonymizers.learned import load_modifier
from anonlib.assets import data_path
from anonlib.attack.attackers import Attacker, naive_and_linking, restoring, retrained
from anonlib.attack.budget import BUDGET
from anonlib.attack.retrained import retrain, settings
from anonlib.attack.subjects import Part, some_pairs
from anonlib.attack.verification import anonymize_faces
from anonlib.config import profile
from anonlib.files import provenance, write_atomically
from anonlib.training.start import starting_classifier
from anonlib.types import FaceImages
from anonlib.world.codes import PersonCodes
from anonlib.world.faces import SyntheticPeople, synthetic_faces
from anonlib.world.pairs import join, portrait_pairs

SIZE, BLOCKS = 64, 8
BUDGET_OF_CONTROLS = replace(BUDGET, test_images=4, pairs=2000)
SHOWN = ("accuracy", "accuracy_lo", "accuracy_hi", "auc", "rank1", "rank1_lo", "rank1_hi")


def permuted(faces: Tensor) -> Tensor:
    """Faces `(B, 3, 64, 64)` whose 8x8 blocks are in another order, always the same."""
    rows = faces.unflatten(3, (BLOCKS, -1)).unflatten(2, (BLOCKS, -1))  # (B, 3, 8, 8, 8, 8)
    blocks = rows.transpose(3, 4).flatten(2, 3)  # (B, 3, 64, 8, 8)
    order = torch.randperm(BLOCKS**2, generator=torch.Generator().manual_seed(0))
    return blocks[:, :, order].unflatten(2, (BLOCKS, BLOCKS)).transpose(3, 4).flatten(4, 5).flatten(2, 3)


def redraw() -> Callable[[Tensor], Tensor]:
    return create("modifier", load_modifier(data_path("weights", "M-redraw-start.safetensors")))


def modified_part(make: Callable[[Tensor], Tensor]) -> Callable[[Sequence[int], int, int], Part]:
    def part(people: Sequence[int], images: int, seed: int) -> Part:
        clear = synthetic_faces(people, images=images, size=SIZE, seed=seed)
        return Part(clear=clear, modified=anonymize_faces(clear, make))

    return part


def redrawn_part(people: Sequence[int], images: int, seed: int) -> Part:
    """Each picture of a person redrawn by the renderer as a person of a random code."""
    codes, parts = PersonCodes(), []
    for image in range(images):
        generator = torch.Generator().manual_seed(seed + image)
        others = codes.of((torch.randint(10**8, (len(people),), generator=generator) + 10**8).tolist())
        parts.append(portrait_pairs(codes, list(people), others, size=SIZE, seed=seed + image))
    order = torch.arange(len(people) * images).reshape(images, -1).T.flatten()
    pairs, labels = join(parts).rows(order), torch.arange(len(people)).repeat_interleave(images)
    return Part(
        clear=FaceImages(images=pairs.images, labels=labels, landmarks=pairs.landmarks),
        modified=FaceImages(images=pairs.redrawn, labels=labels, landmarks=pairs.redrawn_landmarks),
    )


CONTROLS = {
    "permutation": modified_part(permuted),
    "inversion": modified_part(lambda faces: 1 - faces),
    "redraw": lambda *who: modified_part(redraw())(*who),
    "perfect": redrawn_part,
}


def measure(name: str, *, seed: int) -> list[dict[str, Any]]:
    """The naive, the linking, the retrained and the restoring attacker on one control."""
    budget, people = BUDGET_OF_CONTROLS, SyntheticPeople()
    train = CONTROLS[name](people.people("train")[: budget.people], budget.images, seed)
    test = CONTROLS[name](people.people("test")[: budget.test_people], budget.test_images, seed)
    pairs = some_pairs(test.clear.labels, budget.pairs, seed=seed)
    classifier = starting_classifier(
        profile("laptop"), train.clear, seed=seed, synthetic=True, checkpoint=None, progress=False
    )
    config = settings(budget, rate=budget.rates[0])
    alone, together = (
        retrain(classifier, faces, config, seed=seed, progress=False)[0]
        for faces in (train.modified, train.joined())
    )

    def rows(one: Attacker) -> list[dict[str, Any]]:
        found = [asdict(score) for score in one.scores(test, pairs, "original")]
        names = ("attacker", "trained_on", "pairs")
        return [{k: f[k] for k in names} | {k: round(f[k], 4) for k in SHOWN} for f in found]

    attackers = (
        naive_and_linking(classifier),
        retrained(alone, "modified"),
        retrained(together, "clear and modified"),
        restoring(classifier, train, budget, seed=seed, progress=False),
    )
    return [row for attacker in attackers for row in rows(attacker)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("controls", nargs="+", choices=list(CONTROLS))
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    controls = " ".join(arguments.controls)
    command = f"python benchmarks/attackers.py {arguments.out} {controls} --seed {arguments.seed}"
    source = provenance(command=command, seed=arguments.seed)  # before OUT, which git may track, changes
    for name in arguments.controls:
        start, used = time.time(), time.process_time()
        rows = measure(name, seed=arguments.seed)
        found = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
        found[name] = {
            **source,
            "budget": asdict(BUDGET_OF_CONTROLS),
            "seconds": round(time.time() - start, 1),
            "processor_seconds": round(time.process_time() - used, 1),
            "rows": rows,
        }
        write_atomically(arguments.out, (json.dumps(found, indent=1) + "\n").encode())
        print(name, *rows, sep="\n")


if __name__ == "__main__":
    main()

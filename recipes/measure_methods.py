"""Measures what the methods of the leaderboard keep, on the people whom its attackers meet.

    python -m recipes.measure_methods               # results/leaderboard/usefulness.csv and .json
    python -m recipes.measure_methods blur8 --out FILE.csv

`anonlib.study.Bench` says what the columns are; `recipes.methods_table` prints them. Nothing was tuned on
these people. The methods run on one thread; each is measured alone, without the detector.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import torch

from anonlib.files import provenance
from anonlib.study import COURSE, UNSEEN, Bench
from recipes.leaderboard import BOARD, SEED, SHIPPED, shipped

OUT = BOARD.with_name("usefulness.csv")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("methods", nargs="*", default=SHIPPED, help="names of methods")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    command = f"python -m recipes.measure_methods --seed {arguments.seed}"
    record = provenance(command=command, seed=arguments.seed) | {"profile": "laptop", "first": UNSEEN}
    record |= {"people": COURSE.test_people, "images": COURSE.test_images}
    people = range(UNSEEN, UNSEEN + COURSE.test_people)
    bench, rows = Bench(people, images=COURSE.test_images, seed=arguments.seed), []
    for name in arguments.methods:
        rows.append({"method": name} | {k: round(v, 4) for k, v in bench.row(shipped(name)).items()})
        print(rows[-1], flush=True)
    write(arguments.out, rows, record)


def write(out: Path, rows: list[dict[str, object]], record: dict[str, object]) -> None:
    """The table, and beside it how it was made."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

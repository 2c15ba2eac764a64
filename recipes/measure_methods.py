"""Measures what the methods of the leaderboard keep, on the people whom its attackers meet.

    python -m recipes.measure_methods               # results/leaderboard/usefulness.csv and .json
    python -m recipes.measure_methods blur8         # this one; other rows of the file stay

`anonlib.study.Bench` says what the columns are; `recipes.methods_table` prints them. Nothing was tuned on
these people. The methods run on one thread; each is measured alone, without the detector.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from anonlib.files import provenance
from anonlib.study import COURSE, UNSEEN, Bench
from recipes.leaderboard import BOARD, SEED, SHIPPED, shipped, write

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
    people = range(UNSEEN, UNSEEN + COURSE.test_people)
    bench = Bench(people, images=COURSE.test_images, seed=arguments.seed)
    for name in arguments.methods:
        command = f"python -m recipes.measure_methods {name} --seed {arguments.seed}"
        record = provenance(command=command, seed=arguments.seed) | {"profile": "laptop", "first": UNSEEN}
        record |= {"people": COURSE.test_people, "images": COURSE.test_images}
        row = {"method": name} | {key: round(value, 4) for key, value in bench.row(shipped(name)).items()}
        write(arguments.out, row, record, by="pose")
        print(row, flush=True)


if __name__ == "__main__":
    main()

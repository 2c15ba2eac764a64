"""Attacks methods, shipped or submitted, and writes the leaderboard of chapter 16.

    python -m recipes.leaderboard                           # all shipped methods
    python -m recipes.leaderboard blur8 mask                # these; other rows of the file stay
    python -m recipes.leaderboard --first 2123456789 --out class.csv submissions/*.py

A submission is a Python file with a function `hide(faces)`; it is named after its file. The file is run, so
read it first. The people who are attacked have the numbers from `--first` on, between 2 and 3 billion: a
teacher chooses it after the deadline. A JSON record beside the CSV file says how each row was made.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from anonlib.anonymizers import CIAGAN, FIT, LIVE, SWAP, Anonymizer, create, names
from anonlib.config import profile
from anonlib.files import provenance
from anonlib.study import COURSE, UNSEEN, load_method, standing
from anonlib.training.start import starting_modifier, trained_modifier

BOARD = Path(__file__).resolve().parents[1] / "results" / "leaderboard" / "methods.csv"
SEED = 0
REDRAW = "M-redraw-start"
"""The paper's M before Algorithm 1: weights that draw everybody as one other person."""
FIT_ONE = "fit-one-password"
"""FIT with one password for all faces, as the command line uses it; `fit` has a random one for each face."""
PASSWORD = "open sesame"
SHIPPED = (*names(), REDRAW, CIAGAN, LIVE, FIT, FIT_ONE, SWAP)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("methods", nargs="*", default=SHIPPED, help="names of methods, or files")
    parser.add_argument("--first", type=int, default=UNSEEN)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=BOARD)
    arguments = parser.parse_args()
    for given in arguments.methods:
        path, start = Path(given), time.time()
        own = path.suffix == ".py"
        hide = load_method(path) if own else shipped(given)
        found = standing(path.stem if own else given, hide, first=arguments.first, seed=arguments.seed)
        command = f"python -m recipes.leaderboard {given} --first {arguments.first} --seed {arguments.seed}"
        record = provenance(command=command, seed=arguments.seed) | {"seconds": round(time.time() - start)}
        write(arguments.out, found.row(), record | {"first": arguments.first, "budget": asdict(COURSE)})
        print(found.row(), flush=True)


def shipped(name: str) -> Anonymizer:
    """A method of the package with its shipped weights, for drawn faces."""
    laptop = profile("laptop")
    if name == REDRAW:
        reads_face = replace(laptop, modifier=laptop.modifier.of_picture())
        return create("modifier", starting_modifier(reads_face, seed=SEED, start="redraw"))
    if name == FIT_ONE:
        return create(FIT, password=PASSWORD)
    if name == "modifier":
        return create(name, trained_modifier(laptop), seed=SEED)
    return create(name, seed=SEED)


def write(
    board: Path, found: Mapping[str, object], record: Mapping[str, object], *, by: str = "accuracy"
) -> None:
    """Adds or replaces one row, and the record of it; the rows are in the order of a column, least first."""
    board.parent.mkdir(parents=True, exist_ok=True)
    rows = list(csv.DictReader(board.read_text().splitlines())) if board.exists() else []
    rows = [row for row in rows if row["method"] != found["method"]]
    rows.append({key: str(value) for key, value in found.items()})
    with board.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(found), lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: float(row[by])))
    beside = board.with_suffix(".json")
    records = json.loads(beside.read_text()) if beside.exists() else {}
    beside.write_text(json.dumps(records | {found["method"]: record}, indent=1) + "\n")


if __name__ == "__main__":
    main()

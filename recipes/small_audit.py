"""`anonlib audit` of a method on drawn people with the budget of the leaderboard, a fraction of its own.

    python -m recipes.small_audit ciagan --out results/ciagan/audit-small.json

The attackers are weaker than those of `anonlib audit`, so a low number says little.
The record holds the budget.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from anonlib.anonymizers import create
from anonlib.attack.audit.measure import audit, drawn_case
from anonlib.attack.audit.record import record, write_record
from anonlib.attack.audit.report import text_table
from anonlib.study import COURSE

SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    start = time.time()
    case = drawn_case(create(arguments.method, seed=SEED), COURSE, seed=SEED)
    found = audit(arguments.method, case, COURSE, seed=SEED, progress=False)
    command = f"python -m recipes.small_audit {arguments.method} --out {arguments.out}"
    write_record(arguments.out, record(found, command=command, device="cpu", seconds=time.time() - start))
    print(text_table(found))


if __name__ == "__main__":
    main()

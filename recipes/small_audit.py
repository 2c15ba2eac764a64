"""`anonlib audit` of a method on drawn people with a fraction of its budget, for slow machines.

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
from anonlib.attack.budget import Budget

SMALL = Budget(
    people=120,
    images=6,
    validation_people=20,
    test_people=100,
    test_images=4,
    pairs=1500,
    steps=80,
    rates=(2.7e-3,),
    restoring_steps=80,
)
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    start = time.time()
    case = drawn_case(create(arguments.method, seed=SEED), SMALL, seed=SEED)
    found = audit(arguments.method, case, SMALL, seed=SEED, progress=False)
    command = f"python -m recipes.small_audit {arguments.method} --out {arguments.out}"
    write_record(arguments.out, record(found, command=command, device="cpu", seconds=time.time() - start))
    print(text_table(found))


if __name__ == "__main__":
    main()

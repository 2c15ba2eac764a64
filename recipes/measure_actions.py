"""Measures which actions A finds behind each method of the leaderboard, on drawn clips.

    python -m recipes.measure_actions               # results/leaderboard/actions.csv and .json
    python -m recipes.measure_actions blur8         # this one; other rows of the file stay

Profile `laptop`. As for each method of Fig. 4, a copy of A is trained for T1 + T2 steps on anonymized clips
and tested on anonymized test clips (mAP at IoU 0.5). All methods have their shipped weights.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from anonlib.config import profile
from anonlib.experiment import place
from anonlib.experiment.reproduce import prepare
from anonlib.experiment.run import Run
from anonlib.files import provenance
from recipes.leaderboard import BOARD, SHIPPED, shipped, write

OUT = BOARD.with_name("actions.csv")
SEED = 8
"""Nothing was chosen on the clips of this seed."""
COLUMNS = ("action_map", "action_map_lo", "action_map_hi")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("methods", nargs="*", default=SHIPPED, help="names of methods")
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        experiment = prepare(Run(Path(folder), profile(arguments.profile), seed=arguments.seed))
        for name in arguments.methods:
            start = time.time()
            options = f"--profile {arguments.profile} --seed {arguments.seed}"
            record = provenance(
                command=f"python -m recipes.measure_actions {name} {options}", seed=arguments.seed
            )
            found = place(shipped(name), name=name, experiment=experiment)
            row = {"method": name} | {column: round(float(found[column]), 4) for column in COLUMNS}
            record |= {"profile": arguments.profile, "seconds": round(time.time() - start)}
            write(arguments.out, row, record, by="action_map")
            print(row, flush=True)


if __name__ == "__main__":
    main()

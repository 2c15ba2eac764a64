"""Table 1, Fig. 4 and the ablations as CSV, with the paper's published values beside ours."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from anonlib.data.paths import data_path
from anonlib.data.synthetic_actions import ACTIONS
from anonlib.training.checkpoints import write_atomically

Row = dict[str, Any]


def published(name: str) -> dict[str, dict[str, str]]:
    """A table of the paper from `data/paper`, by the value of its first column."""
    with data_path("paper", f"{name}.csv").open(newline="") as file:
        return {next(iter(row.values())): row for row in csv.DictReader(file)}


def write_csv(path: Path, rows: Iterable[Row]) -> Path:
    """Writes rows with the columns of the first; fractions with four digits."""
    rows = list(rows)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})
    write_atomically(path, buffer.getvalue().encode())
    return path


def table1(results: Mapping[str, Row]) -> list[Row]:
    """Average precision of each class, a row a method, and the paper's on DALY.

    Implements Ren et al., Table 1.
    """
    paper = published("table1")
    return [
        {"method": method}
        | dict(zip(ACTIONS, row["per_class"], strict=True))
        | {"map": row["map"]}
        | {f"paper_{k}": paper.get(method, {}).get(k, "") for k in (*ACTIONS, "map")}
        for method, row in results.items()
    ]


def figure4(results: Mapping[str, Row]) -> list[Row]:
    """Verification error and action mAP with 95% intervals, a row a method.

    Implements Ren et al., Fig. 4.
    """
    paper = published("figure4")
    return [
        {
            "method": method,
            "verification_error": 1 - row["verification"]["accuracy"],
            "verification_error_lo": 1 - row["verification"]["hi"],
            "verification_error_hi": 1 - row["verification"]["lo"],
            "action_map": row["map"],
            "action_map_lo": row["map_lo"],
            "action_map_hi": row["map_hi"],
            "paper_action_map": paper.get(method, {}).get("action_map", ""),
        }
        for method, row in results.items()
    ]


def ablation_classifier(faces: Mapping[str, Row]) -> list[Row]:
    """Verification accuracy of D on original and modified faces, and of a D retrained on them.

    Implements Ren et al., section 5.6, Does the face classifier remain accurate?
    Differs from the paper: `modified_retrained` and `modified_original` are ours.
    """
    paper = published("ablation_classifier")
    return [
        {
            "faces": name,
            "verification_accuracy": row["accuracy"],
            "verification_accuracy_lo": row["lo"],
            "verification_accuracy_hi": row["hi"],
            "equal_error_rate": row["eer"],
            "tar_at_far_0.001": row["tar"],
            "paper": paper.get(name, {}).get("verification_accuracy", ""),
        }
        for name, row in faces.items()
    ]

"""Finished runs: their description, a check of their tables, and the paper's findings beside theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

from anonlib.anonymizers import names
from anonlib.errors import ResultsError
from anonlib.experiment.methods import OURS
from anonlib.experiment.run import read_json
from anonlib.experiment.tables import Row, as_csv, read_csv, tables_of
from anonlib.files import commit

CLEAR = "unanonymized"
RATIO, ORIGINAL, MODIFIED = 0.92, 0.9475, 0.6695
"""The paper's mAP of ours divided by that of clear frames (Table 1), and its verification accuracy of D on
clear and on modified faces (section 5.6)."""


def recorded_runs(root: str | Path) -> list[Path]:
    """Folders of finished runs below a folder; those that keep their predictions come first."""
    runs = sorted(path.parent for path in Path(root).rglob("run.json"))
    runs = [run for run in runs if (run / "figure4.csv").is_file()]
    return sorted(runs, key=lambda run: not (run / "predictions").is_dir())


def describe(run: Path) -> Row:
    """A run in one row, from its run.json and request.json: its data, its size, where and when it ran."""
    record, request = read_json(run / "run.json"), read_json(run / "request.json")
    shown = ("profile", "seed", "commit", "date", "hardware")
    return {
        "faces": ", ".join(request.get("faces") or ["drawn"]),
        "clips": request.get("actions") or "drawn",
        **{key: record.get(key) for key in shown},
        "minutes": record.get("minutes_of_stages", record.get("minutes_this_command")),
        "predictions": (run / "predictions").is_dir(),
    }


def describe_run(out: Path) -> str:
    """How a run was made, in one line of JSON from its run.json."""
    record = read_json(out / "run.json")
    return json.dumps({key: record.get(key) for key in ("commit", "profile", "seed", "hardware", "date")})


def check_results(out: Path) -> list[str]:
    """Computes every table of a run again from its predictions and compares it with the file.

    Returns the names of the tables if all are as they were.

    Raises:
        ResultsError: the folder holds no finished run, or a table differs.
        CheckpointError: predictions or stages are missing or damaged.
    """
    if not (out / "run.json").is_file():
        raise ResultsError(
            f"'{out}' holds no run.json, so no finished run: check the path, or run the command "
            "that began it to the end"
        )
    if not (out / "predictions").is_dir():
        raise ResultsError(
            f"'{out}' holds no predictions/, so an older version made it: run `anonlib reproduce` "
            "again with another --out"
        )
    tables, different = tables_of(out), []
    for name, rows in tables.items():
        path = out / f"{name}.csv"
        if not path.is_file() or path.read_text() != as_csv(rows):
            different.append(path.name)
    if different:
        recorded = read_json(out / "run.json").get("commit", "unknown")
        raise ResultsError(
            f"'{out}': {', '.join(different)} differ from what the predictions give at commit "
            f"{commit()}; the run was recorded at {recorded}: check that commit out and verify "
            "again, or restore the folder"
        )
    return list(tables)


def bars(run: Path) -> list[Row]:
    """The paper's findings as aims, beside what a run measured.

    Implements the comparisons of Ren et al., sections 5.3 and 5.6. Differs from the paper: the second aim is
    ours; the paper names only `blur8` and `mask` as methods that hide better.

    Returns rows of `aim`, `wanted`, `measured` and `met`, from figure4.csv and ablation_classifier.csv.
    """
    points, faces = read_csv(run / "figure4.csv"), read_csv(run / "ablation_classifier.csv")
    ratio = float(points[OURS]["action_map"]) / float(points[CLEAR]["action_map"])
    clear, hidden = (float(faces[k]["verification_accuracy"]) for k in ("original", "modified"))
    better = better_rivals(points)
    found = ", ".join(better) or "none"
    rows = [
        ("mAP of ours over that of un-anonymized", f"{RATIO} or more", f"{ratio:.3f}", ratio >= RATIO),
        ("hand-crafted methods that hide as well and find more", "none", found, not better),
        ("D after training, clear faces", f"{ORIGINAL:.2%} or more", f"{clear:.2%}", clear >= ORIGINAL),
        ("D after training, modified faces", f"{MODIFIED:.2%} or less", f"{hidden:.2%}", hidden <= MODIFIED),
    ]
    return [dict(zip(("aim", "wanted", "measured", "met"), row, strict=True)) for row in rows]


def better_rivals(points: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Hand-crafted methods with at least our verification error and at least our mAP.

    >>> row = {"verification_error": "0.3", "action_map": "0.5"}
    >>> better_rivals({"modifier": row, "blur8": row, "mask": row | {"action_map": "0.4"}})
    ['blur8']
    """
    return [
        name
        for name in names()
        if name in points
        and name not in (OURS, CLEAR)
        and all(
            float(points[name][column]) >= float(points[OURS][column])
            for column in ("verification_error", "action_map")
        )
    ]


def agreement(first: Mapping[str, float], second: Mapping[str, float]) -> tuple[int, int]:
    """Number of pairs of methods that two tables put in the same order, and of all pairs that both order.

    >>> agreement({"a": 1, "b": 2, "c": 3}, {"a": 5, "b": 9, "c": 7, "d": 0})
    (2, 3)
    """
    shared = [name for name in first if name in second]
    signs = [(first[a] - first[b]) * (second[a] - second[b]) for a, b in combinations(shared, 2)]
    return sum(sign > 0 for sign in signs), sum(sign != 0 for sign in signs)

"""Are the tables of a results folder those that its stored predictions give?"""

from __future__ import annotations

import json
from pathlib import Path

from anonlib.errors import ResultsError
from anonlib.evaluation.run import commit, read_json
from anonlib.evaluation.tables import as_csv, tables_of


def check_results(out: Path) -> list[str]:
    """Computes every table of a run again from its predictions and compares it with the file.

    Args:
        out: folder that `reproduce` wrote.

    Returns:
        Names of the tables, all of which are as they were.

    Raises:
        ResultsError: the folder is none of a finished run, or a table differs.
        CheckpointError: predictions or stages are missing or damaged.
    """
    if not (out / "run.json").is_file():
        raise ResultsError(
            f"'{out}' holds no run.json, so no finished run: check the path, or finish it by the "
            "command that began it"
        )
    if not (out / "predictions").is_dir():
        raise ResultsError(
            f"'{out}' holds no predictions/, an older version made it: run `anonlib reproduce` "
            "again into another folder"
        )
    tables = tables_of(out)
    different = [
        f"{name}.csv" for name, rows in tables.items() if _stored(out, name) != as_csv(rows)
    ]
    if different:
        recorded = read_json(out / "run.json").get("commit", "unknown")
        raise ResultsError(
            f"'{out}': {', '.join(different)} differ from what the predictions give at commit "
            f"{commit()}; the run was recorded at {recorded}: check that commit out and verify "
            "again, or restore the folder"
        )
    return list(tables)


def _stored(out: Path, name: str) -> str | None:
    try:
        return (out / f"{name}.csv").read_text()
    except OSError:
        return None


def describe_run(out: Path) -> str:
    """Who made the folder, in one line.

    Raises:
        CheckpointError: its run.json is missing or damaged.
    """
    record = read_json(out / "run.json")
    return json.dumps(
        {key: record.get(key) for key in ("commit", "profile", "seed", "hardware", "date")}
    )

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anonlib.errors import CheckpointError
from anonlib.experiment.records import agreement, bars, better_rivals, describe, recorded_runs

POINTS = """method,verification_error,action_map
unanonymized,0.05,0.5
blur8,0.40,0.46
noise0.5,0.45,0.3
mask,0.50,0.2
modifier,0.35,{ours}
"""
FACES = "faces,verification_accuracy\noriginal,{clear}\nmodified,{hidden}\n"


def write_run(folder: Path, *, ours: float = 0.47, clear: float = 0.95, hidden: float = 0.6) -> Path:
    folder.mkdir(parents=True)
    (folder / "figure4.csv").write_text(POINTS.format(ours=ours))
    (folder / "ablation_classifier.csv").write_text(FACES.format(clear=clear, hidden=hidden))
    record = {
        "profile": "laptop",
        "seed": 1,
        "commit": "abc",
        "date": "2026-01-01",
        "hardware": "a CPU",
        "minutes_of_stages": 7.5,
    }
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "request.json").write_text(json.dumps({"faces": ["lfw"], "actions": "jhmdb, boxed"}))
    return folder


def test_runs_with_predictions_come_first_and_unfinished_ones_not_at_all(tmp_path: Path) -> None:
    for name in ("a", "deep/b", "c"):
        write_run(tmp_path / name)
    (tmp_path / "c" / "predictions").mkdir()
    write_run(tmp_path / "unfinished")
    (tmp_path / "unfinished" / "run.json").unlink()
    (tmp_path / "speed").mkdir()
    (tmp_path / "speed" / "run.json").write_text("{}")  # no run of the experiment
    assert recorded_runs(tmp_path) == [tmp_path / name for name in ("c", "a", "deep/b")]


def test_a_run_is_described_from_its_record_and_request(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    row = describe(run)
    assert (row["faces"], row["clips"]) == ("lfw", "jhmdb, boxed")
    assert (row["seed"], row["commit"], row["minutes"]) == (1, "abc", 7.5)
    assert row["predictions"] is False
    (run / "request.json").write_text('{"faces": []}')
    assert (describe(run)["faces"], describe(run)["clips"]) == ("drawn", "drawn")
    (run / "request.json").unlink()
    with pytest.raises(CheckpointError, match=r"request.json is missing"):
        describe(run)


def test_aims_are_computed_from_the_tables(tmp_path: Path) -> None:
    rows = bars(write_run(tmp_path / "good"))
    assert [row["met"] for row in rows] == [True, True, True, True]
    assert [row["measured"] for row in rows] == ["0.940", "none", "95.00%", "60.00%"]
    rows = bars(write_run(tmp_path / "bad", ours=0.45, clear=0.94, hidden=0.67))
    assert [row["met"] for row in rows] == [False, False, False, False]
    assert [row["measured"] for row in rows] == ["0.900", "blur8", "94.00%", "67.00%"]


def test_only_who_hides_as_well_can_be_better() -> None:
    def point(error: str, precision: str) -> dict[str, str]:
        return {"verification_error": error, "action_map": precision}

    points = {
        "modifier": point("0.3", "0.4"),
        "blur24": point("0.2", "0.5"),
        "edge": point("0.3", "0.4"),
        "mask": point("0.5", "0.39"),
        "unanonymized": point("0.6", "0.9"),
    }
    assert better_rivals(points) == ["edge"]


def test_ties_are_in_no_order() -> None:
    assert agreement({"a": 1, "b": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}) == (2, 2)
    assert agreement({"a": 1, "b": 2}, {"a": 2, "b": 1}) == (0, 1)

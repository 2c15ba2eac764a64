from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from anonlib.anonymizers import names
from anonlib.errors import ResultsError
from anonlib.experiment.attack_stages import COLUMNS
from anonlib.experiment.full_tables import paired_differences
from anonlib.experiment.tables import ablation_classifier, attackers, figure4, published, table1, write_csv
from anonlib.types import ACTIONS


def result(accuracy: float) -> dict[str, Any]:
    return {
        "verification": {"accuracy": accuracy, "lo": accuracy - 0.02, "hi": accuracy + 0.01},
        "per_class": [k / 10 for k in range(10)],
        "map": 0.45,
        "map_lo": 0.4,
        "map_hi": 0.5,
    }


def test_the_paper_has_a_row_for_every_anonymizer_and_a_column_for_every_class():
    for table in ("table1", "figure4"):
        assert list(published(table)) == list(names())
    for row in published("table1").values():
        assert list(row) == ["method", *ACTIONS, "map"]
        mean = sum(float(row[action]) for action in ACTIONS) / 10
        assert mean == pytest.approx(float(row["map"]), abs=2e-4)


def test_figure_4_by_hand():
    (row,) = figure4({"modifier": result(0.7)})
    assert list(row) == [
        "method",
        "verification_error",
        "verification_error_lo",
        "verification_error_hi",
        "action_map",
        "action_map_lo",
        "action_map_hi",
        "paper_action_map",
    ]
    error = [row[f"verification_error{end}"] for end in ("_lo", "", "_hi")]
    assert error == pytest.approx([0.29, 0.30, 0.32])
    assert [row[f"action_map{end}"] for end in ("_lo", "", "_hi")] == [0.4, 0.45, 0.5]
    assert float(row["paper_action_map"]) == 0.5232


def test_table_1_by_hand():
    unseen, ours = table1({"ours_v2": result(0.7), "mask": result(0.6)}, ACTIONS)
    assert ours["method"] == "mask"
    assert [ours[action] for action in ACTIONS] == [k / 10 for k in range(10)]
    assert ours["map"] == 0.45
    assert (ours["paper_lip"], ours["paper_map"]) == ("0.6706", "0.3886")
    assert {unseen[f"paper_{k}"] for k in (*ACTIONS, "map")} == {""}  # not in the paper
    assert list(ours)[:12] == ["method", *ACTIONS, "map"]


def test_classifier_ablation_by_hand():
    numbers = {"accuracy": 0.96, "lo": 0.95, "hi": 0.97, "eer": 0.04, "tar": 0.6}
    rows = ablation_classifier({name: numbers for name in ("original", "modified", "modified_retrained")})
    assert [row["faces"] for row in rows] == ["original", "modified", "modified_retrained"]
    assert [row["paper"] for row in rows] == ["0.9475", "0.6695", ""]
    assert list(rows[0])[:2] == ["faces", "verification_accuracy"]
    assert rows[0]["verification_accuracy"] == 0.96
    assert (rows[0]["verification_accuracy_lo"], rows[0]["verification_accuracy_hi"]) == (0.95, 0.97)
    assert rows[0]["paper"] == "0.9475"


def numbers(accuracy: float) -> dict[str, float]:
    return {"accuracy": accuracy, "lo": accuracy - 0.02, "hi": accuracy + 0.01, "eer": 0.2, "tar": 0.6}


def test_attackers_by_hand_the_worst_first():
    said = {
        "original": 0.98,
        "modified": 0.6,
        "modified_original_retrained": 0.7,
        "modified_together_found": 0.8,
    }
    ours = {name: numbers(accuracy) for name, accuracy in said.items()}
    rows = attackers({"modifier": ours, "modifier_picture": {"modified_retrained": numbers(0.9)}})
    assert [row["faces"] for row in rows] == [
        "modifier_picture:modified_retrained",
        "modified_together_found",
        "modified_original_retrained",
        "modified",
        "original",
    ]
    assert [row["method"] for row in rows] == ["modifier_picture"] + ["modifier"] * 4
    assert [tuple(rows[1][column] for column in COLUMNS), tuple(rows[2][column] for column in COLUMNS)] == [
        ("D retrained", "found", "clear and modified", "two modified"),
        ("D retrained", "original", "modified", "modified and clear"),
    ]
    assert (rows[1]["verification_accuracy"], rows[1]["verification_accuracy_lo"]) == (0.8, 0.78)
    assert [row["paper"] for row in rows] == ["", "", "", "0.6695", "0.9475"]


def test_attackers_of_earlier_runs_have_the_columns_of_then():
    said = {name: numbers(0.9) for name in ("original", "modified", "modified_retrained")}
    assert attackers({"modifier": said}) == ablation_classifier(said)


def test_the_paper_s_m_is_beside_the_paper_s_numbers():
    (row,) = figure4({"modifier_picture": result(0.7)})
    assert float(row["paper_action_map"]) == 0.5232
    (row,) = table1({"modifier_picture": result(0.7)}, ACTIONS)
    assert float(row["paper_map"]) == 0.5232


def test_csv_holds_four_digits_and_reads_back(tmp_path: Path):
    rows = [{"a": "mask", "b": 0.123456, "c": 3}, {"a": "x, y", "b": float("nan"), "c": ""}]
    path = write_csv(tmp_path / "new" / "t.csv", rows)
    assert path.read_text() == 'a,b,c\nmask,0.1235,3\n"x, y",nan,\n'
    with path.open(newline="") as file:
        assert [row["a"] for row in csv.DictReader(file)] == ["mask", "x, y"]


def test_csv_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(ResultsError, match=r"could not write .*t\.csv: Is a directory"):
        write_csv(tmp_path / "t.csv", [{"a": 1}])
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_a_difference_to_the_same_method_is_zero_and_changes_its_sign_with_the_order() -> None:
    folder = Path(__file__).parents[2] / "results" / "laptop" / "seed8" / "predictions"
    assert set(paired_differences(folder, "mask", "mask").values()) == {0.0}
    there = paired_differences(folder, "modifier_random_label", "modifier_picture")
    back = paired_differences(folder, "modifier_picture", "modifier_random_label")
    for name in ("verification_error", "action_map"):
        assert there[name] == pytest.approx(-back[name])
        assert there[f"{name}_lo"] == pytest.approx(-back[f"{name}_hi"])
    assert there["action_map_lo"] < 0 < there["action_map_hi"]

"""The capstone: which submissions are taken, what is measured, and where the leaderboard stands."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from anonlib.anonymizers import create
from anonlib.attack.attackers import KNOWS
from anonlib.errors import ConfigError
from anonlib.study import TRIAL, check_method, load_method, read_state, standing, state_kept
from anonlib.world import synthetic_faces
from recipes import leaderboard


def inverted(faces: Tensor) -> Tensor:
    return 1 - faces


def test_kept_by_hand() -> None:
    before = np.array([[-1.0, 0], [0, 2], [1, 1]])
    assert state_kept(before, before * 3 + 1) == pytest.approx(1)
    assert state_kept(before, before * [-1, 0]) == 0
    other = np.array([[-1.0, 1], [1, 2], [0, 0]])  # correlations 1/2 and 1/2
    assert state_kept(before, other) == pytest.approx(0.5)


def test_a_method_is_checked() -> None:
    assert check_method(inverted).startswith("it hides faces of 4 sizes")
    with pytest.raises(AssertionError, match="not hidden"):
        check_method(lambda faces: faces.clone())
    with pytest.raises(ConfigError, match="in a batch"):
        check_method(lambda faces: faces.mean(0, keepdim=True).expand_as(faces).clone())


def test_a_submission_is_a_function_in_a_file(tmp_path: Path) -> None:
    good, empty, broken = (tmp_path / f"{name}.py" for name in ("good", "empty", "broken"))
    good.write_text("def hide(faces):\n    return 1 - faces\n")
    empty.write_text("")
    broken.write_text("1 / 0\n")
    assert load_method(good)(torch.zeros(1)).item() == 1
    with pytest.raises(ConfigError, match=r"has no function hide\(faces\)"):
        load_method(empty)
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        load_method(broken)


def test_the_state_follows_the_head_and_a_mask_loses_it() -> None:
    faces = synthetic_faces(range(30), images=2, size=64, seed=0).images
    before, mirrored = read_state(faces), read_state(faces.flip(3))
    assert np.corrcoef(before[:, 0], mirrored[:, 0])[0, 1] < -0.8  # yaw
    assert np.corrcoef(before[:, 3], mirrored[:, 3])[0, 1] > 0.8  # mouth
    assert state_kept(before, read_state(torch.zeros_like(faces))) == 0


def test_all_attackers_give_one_row_and_the_strongest_counts() -> None:
    found = standing("inverted", inverted, TRIAL)
    row = found.row()
    kinds = {score.attacker for score in found.scores}
    assert kinds == {"naive", "linking", "restoring", "retrained", "unseen: sphereface"}
    assert {score.aligned_by for score in found.scores} == {"found"}
    assert row["accuracy"] == max(round(score.accuracy, 4) for score in found.scores)
    assert row["accuracy"] == max(row[kind] for kind in KNOWS)
    assert row["kept_lo"] <= row["kept"] <= row["kept_hi"]


def test_rows_of_a_file_are_kept_and_replaced(tmp_path: Path) -> None:
    out, first = tmp_path / "board.csv", standing("first", inverted, TRIAL)
    second = standing("second", create("mask"), TRIAL)
    for found in (first, second, first):
        leaderboard.write(out, found.row(), {"command": found.method})
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert sorted(row["method"] for row in rows) == ["first", "second"]
    assert float(rows[0]["accuracy"]) <= float(rows[1]["accuracy"])
    assert '"second"' in out.with_suffix(".json").read_text()


def test_the_shipped_leaderboard_holds_the_shipped_methods() -> None:
    rows = {row["method"]: row for row in csv.DictReader(leaderboard.BOARD.read_text().splitlines())}
    assert {"mask", "blur8", "modifier", "ciagan"} <= set(rows) <= set(leaderboard.SHIPPED)
    assert all(0.4 < float(row["accuracy"]) <= 1 for row in rows.values())
    assert float(rows["unanonymized"]["kept"]) == 1

"""The action mAP of a shipped method is measured as in Fig. 4, and recorded."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from recipes import measure_actions


@pytest.mark.slow
def test_a_method_is_measured_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "actions.csv"
    words = ["measure_actions", "live", "unanonymized", "--profile", "smoke", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    measure_actions.main()
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert {row["method"] for row in rows} == {"live", "unanonymized"}
    for row in rows:
        low, middle, high = (float(row[f"action_map{end}"]) for end in ("_lo", "", "_hi"))
        assert 0 < low <= middle <= high <= 1
    record = json.loads(out.with_suffix(".json").read_text())["live"]
    assert record["command"] == "python -m recipes.measure_actions live --profile smoke --seed 8"

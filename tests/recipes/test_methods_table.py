"""The tables of all methods: their order, their numbers, and that the documents show them."""

from __future__ import annotations

import json
import math
from pathlib import Path

from anonlib.anonymizers.handcrafted import SUPERPIXELS
from anonlib.attack.attackers import KNOWS
from recipes import leaderboard, methods_table
from recipes.methods_table import FACTS, privacy, usefulness

KINDS = ("accuracy", "accuracy_lo", "accuracy_hi", *KNOWS, "rank1", "kept")


def board(**accuracy: float) -> dict[str, dict[str, str]]:
    return {name: {key: str(value) for key in KINDS} for name, value in accuracy.items()}


def test_the_least_hidden_comes_first_with_mean_and_range_over_the_seeds() -> None:
    lines = privacy([board(mask=0.5, blur8=0.9), board(mask=0.52, blur8=0.8)])
    assert len(lines) == 4
    assert lines[2].startswith("| `blur8` | **85.0%** (80.0 to 90.0) | 85.0% |")
    assert lines[3].startswith("| `mask` (a black face) | **51.0%** (50.0 to 52.0) |")


def test_every_shipped_method_has_its_facts() -> None:
    assert set(FACTS) == set(leaderboard.SHIPPED)
    assert FACTS["ciagan"].carried == 2 * 39
    assert FACTS["superpixel"].carried == SUPERPIXELS * 3 + 64 * 64 * math.log2(SUPERPIXELS) / 8


def test_a_row_of_usefulness(tmp_path: Path) -> None:
    measures = ("found_mtcnn", "found_centerface", "pose", "mouth", "smile", "eyes", "frechet", "flicker")
    row = {"method": "ciagan"} | dict.fromkeys((*measures, "milliseconds"), 0.25)
    out = tmp_path / "new" / "usefulness.csv"
    leaderboard.write(out, row, {"seed": 0}, by="pose")
    lines = usefulness(methods_table.table(out), board(ciagan=0.5), {})
    assert lines[2] == (
        "| CIAGAN | 25.0% / 25.0% | 0.50 | 0.25 / 0.25 / 0.25 | 0.25 | 0.25 | 0.25 | 0.2 | "
        "78, hair, ears | no |  |"
    )
    assert lines[0].count("|") == lines[2].count("|")
    assert json.loads(out.with_suffix(".json").read_text()) == {"ciagan": {"seed": 0}}


def test_the_documents_show_the_tables() -> None:
    names = ("docs/related_methods.md", "docs/related_methods.md", "README.md")
    for name, table in zip(names, methods_table.tables(), strict=True):
        text = (leaderboard.BOARD.parents[2] / name).read_text()
        assert table in text, f"put the output of python -m recipes.methods_table into {name}"

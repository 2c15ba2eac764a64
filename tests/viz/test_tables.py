from __future__ import annotations

import pandas as pd

from anonlib.viz.tables import format_table, format_table1


def test_intervals_join_their_value_and_gaps_are_dashes() -> None:
    table = pd.DataFrame(
        {
            "method": ["edge", "modifier"],
            "error": [0.25, 1.0],
            "error_lo": [0.2, None],
            "error_hi": [0.305, None],
            "paper": [None, 0.5],
        }
    )
    assert format_table(table).splitlines() == [
        "method                error  paper",
        "------  -------------------  -----",
        "Edge    25.0 [ 20.0,  30.5]      -",
        "Ours                  100.0   50.0",
    ]


def test_table1_keeps_only_the_mean_of_the_paper() -> None:
    table = pd.DataFrame(
        [{"method": "mask", "lip": 0.1, "map": 0.1, "paper_lip": 0.6706, "paper_map": 0.3886}]
    )
    head, _, row = format_table1(table).splitlines()
    assert head.split() == ["method", "lip", "map", "paper", "map"]
    assert row.split() == ["Masked", "10.0", "10.0", "38.9"]


def test_other_names_are_words() -> None:
    table = format_table(pd.DataFrame({"faces": ["modified_retrained"], "accuracy": [0.5]}))
    assert table.splitlines()[-1] == "modified retrained      50.0"

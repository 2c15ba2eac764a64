"""The numbers typed from the paper agree with each other."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

PAPER = Path(__file__).parents[1] / "data" / "paper"


@pytest.fixture
def table1() -> pd.DataFrame:
    return pd.read_csv(PAPER / "table1.csv", index_col="method")


def test_table1_means_are_the_means_of_its_rows(table1: pd.DataFrame) -> None:
    means = table1.drop(columns="map").mean(axis=1)
    assert len(table1.columns) == 11
    assert (means - table1["map"]).abs().max() <= 0.5e-4 + 1e-9  # the paper prints two decimals


def test_figure4_takes_its_maps_from_table1(table1: pd.DataFrame) -> None:
    figure4 = pd.read_csv(PAPER / "figure4.csv", index_col="method")
    assert figure4["action_map"].to_dict() == table1["map"].to_dict()


def test_figure4_errors_are_what_section_5_6_implies() -> None:
    errors = pd.read_csv(PAPER / "figure4.csv", index_col="method")["verification_error"].dropna()
    accuracy = pd.read_csv(PAPER / "ablation_classifier.csv", index_col="faces")
    original, modified = accuracy["verification_accuracy"]
    assert errors.to_dict() == pytest.approx({"unanonymized": 1 - original, "modifier": 1 - modified})


def test_methods_are_named_as_the_anonymizers(table1: pd.DataFrame) -> None:
    from anonlib.anonymizers import names

    assert tuple(table1.index) == names()

"""The reader's function is used where it agrees with the library's, and only there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from anonlib.study import beside, choose, same_as
from anonlib.study.exercises import GRADING


def double(x: Tensor) -> Tensor:
    return 2 * x


def unfinished(x: Tensor) -> Tensor:
    raise NotImplementedError


def crashes(x: Tensor) -> Tensor:
    return x[7]


def other_shape(x: Tensor) -> Tensor:
    return 2 * x[None]


def no_number(x: Tensor) -> Tensor:
    return 2 * x * torch.tensor(float("nan"))


def in_place(x: Tensor) -> Tensor:
    return x.mul_(2)


def second_wrong(x: Tensor) -> Tensor:
    return 2 * x if len(x) == 2 else 2 * x + 0.5


WRONG = {
    unfinished: "your version is not finished yet: the library's is used",
    crashes: "not right yet (IndexError",
    other_shape: "shape (1, 2) instead of (2,)",
    no_number: "case 1 differs by up to nan",
    in_place: "changed in place",
    second_wrong: "case 2 differs by up to 0.5",
}
CASES = ((torch.ones(2),), (torch.ones(3),))


@pytest.mark.parametrize("mine", WRONG, ids=lambda f: f.__name__)
def test_a_wrong_function_is_named_and_replaced(mine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert choose(mine, double, same_as(double, *CASES)) is double
    printed = capsys.readouterr().out
    assert printed.startswith(f"{mine.__name__}: ") and WRONG[mine] in printed


def test_a_right_function_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    def mine(x: Tensor) -> Any:
        return [2 * float(v) + 1e-6 for v in x]

    assert choose(mine, double, same_as(double, *CASES)) is mine
    assert capsys.readouterr().out == "mine: 2 cases agree with the library: your version is used.\n"


def test_an_argument_with_nan_is_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    assert choose(np.nanmean, np.nanmean, same_as(np.nanmean, (np.array([1.0, np.nan]),))) is np.nanmean
    assert "your version is used" in capsys.readouterr().out


def test_a_wrong_function_is_an_error_when_it_is_graded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GRADING, "1")
    with pytest.raises(AssertionError, match="second_wrong: your version is not right yet"):
        choose(second_wrong, double, same_as(double, *CASES))


def test_a_prediction_stands_beside_the_measurement() -> None:
    table = beside({"mask": 50.5}, {"mask": 0.5, "blur, 8 cells": np.float64(0.868)}).splitlines()
    assert [line.split()[-2:] for line in table[1:]] == [["50.5%", "50.0%"], ["-", "86.8%"]]
    assert len({len(line) for line in table}) == 1

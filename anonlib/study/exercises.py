"""Exercises of the course: the reader's function beside the library's, a prediction beside a measurement."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import numpy as np

Function = Callable[..., Any]
GRADING = "ANONLIB_GRADING"
"""Environment variable: where it is set, an unfinished or wrong function is an error."""


def choose(mine: Function, library: Function, check: Callable[[Function], str]) -> Function:
    """The reader's function where it passes the check, else the library's; prints which, and why.

    The check returns what it found, and raises for a function that is wrong.

    Raises:
        AssertionError: the function did not pass, and `ANONLIB_GRADING` is set.
    """
    try:
        print(f"{mine.__name__}: {check(mine)}: your version is used.")
        return mine
    except NotImplementedError:
        reason = "your version is not finished yet"
    except Exception as problem:  # whatever a reader's function raises
        reason = f"your version is not right yet ({type(problem).__name__}: {problem})"
    if os.environ.get(GRADING):
        raise AssertionError(f"{mine.__name__}: {reason}")
    print(f"{mine.__name__}: {reason}: the library's is used.")
    return library


def same_as(library: Function, *cases: tuple[Any, ...], tolerance: float = 1e-4) -> Callable[[Function], str]:
    """A check for `choose`: for every case, the arguments of one call, the result is the library's."""

    def check(mine: Function) -> str:
        gaps = [_gap(mine, library, case, f"case {n} of {len(cases)}") for n, case in enumerate(cases, 1)]
        worst = int(np.nan_to_num(gaps, nan=np.inf).argmax())
        assert gaps[worst] <= tolerance, f"case {worst + 1} differs by up to {gaps[worst]:.2g}"
        return f"{len(cases)} cases agree with the library"

    return check


def _gap(mine: Function, library: Function, case: tuple[Any, ...], name: str) -> float:
    given = deepcopy(case)
    got, wanted = np.asarray(mine(*given), dtype=float), np.asarray(library(*deepcopy(case)), dtype=float)
    assert got.shape == wanted.shape, f"{name}: shape {got.shape} instead of {wanted.shape}"
    unchanged = all(map(_equal, given, case))
    assert unchanged, f"{name}: an argument was changed in place; work on a copy"
    both_nan = np.isnan(got) & np.isnan(wanted)
    return float(np.abs(np.where(both_nan, 0, got - wanted)).max(initial=0))


def _equal(first: Any, second: Any) -> bool:
    return np.array_equal(first, second, equal_nan=np.asarray(first).dtype.kind == "f")


def beside(expected: Mapping[str, float | None], measured: Mapping[str, float]) -> str:
    """A table of predictions in percent, None where none was made, beside measured shares in [0, 1].

    >>> print(beside({"mask": 50, "blur": None}, {"mask": 0.504, "blur": 0.868}))
          you expected  measured
    mask           50%     50.4%
    blur             -     86.8%
    """
    width = max(map(len, measured))
    lines = [f"{'':{width}}  you expected  measured"]
    for name, value in measured.items():
        guess = expected.get(name)
        lines.append(f"{name:{width}}  {'-' if guess is None else f'{guess:g}%':>12}  {value:8.1%}")
    return "\n".join(lines)

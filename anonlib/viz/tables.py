"""Result tables as plain text for the terminal."""

from __future__ import annotations

from math import isnan, nan
from typing import TYPE_CHECKING, Any

from anonlib.viz.styles import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

GAP = "  "
MISSING = "-"


def format_table1(table: DataFrame) -> str:
    """Table 1: average precision in percent of each class, their mean, and the paper's mean.

    Args:
        table: columns `method`, one a class, `map` and, if it is known, `paper_map`; fractions.

    >>> import pandas as pd
    >>> row = {"method": "mask", "lip": 0.5, "map": 0.5, "paper_lip": 0.67, "paper_map": 0.39}
    >>> print(format_table1(pd.DataFrame([row])))
    method   lip   map  paper map
    ------  ----  ----  ---------
    Masked  50.0  50.0       39.0
    """
    hidden = {c for c in table.columns if c.startswith("paper_")} - {"paper_map"}
    return format_table(table.drop(columns=list(hidden)))


def format_table(table: DataFrame) -> str:
    """Any result table: fractions as percent; `x`, `x_lo`, `x_hi` as one column with its interval.

    Args:
        table: text columns and numeric columns in [0, 1]; a missing number prints as a dash.

    >>> import pandas as pd
    >>> row = {"method": "blur8", "error": 0.5, "error_lo": 0.45, "error_hi": 0.55}
    >>> print(format_table(pd.DataFrame([row])))
    method                    error
    ----------  -------------------
    Blur (8×8)  50.0 [ 45.0,  55.0]
    """
    names = [c for c in table.columns if not _is_bound(c, table.columns)]
    cells = [[c.replace("_", " ") for c in names]]
    cells += [[_cell(row, name) for name in names] for row in table.to_dict("records")]
    texts = {i for i, name in enumerate(names) if table[name].dtype.kind not in "if"}
    return _align(cells, left=texts)


def _is_bound(name: str, columns: Sequence[str]) -> bool:
    return name[-3:] in ("_lo", "_hi") and name[:-3] in columns


def _cell(row: dict[str, Any], name: str) -> str:
    value = row[name]
    if isinstance(value, str):
        return style(value).label.replace("_", " ")
    if isnan(value):
        return MISSING
    low, high = (row.get(f"{name}_{end}", nan) for end in ("lo", "hi"))
    return f"{100 * value:.1f}" + ("" if isnan(low) or isnan(high) else _interval(low, high))


def _interval(low: float, high: float) -> str:
    return f" [{100 * low:5.1f}, {100 * high:5.1f}]"


def _align(rows: list[list[str]], *, left: set[int]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows = [rows[0], ["-" * w for w in widths], *rows[1:]]
    just = [str.ljust if i in left else str.rjust for i in range(len(widths))]
    return "\n".join(
        GAP.join(f(c, w) for f, c, w in zip(just, r, widths, strict=True)).rstrip() for r in rows
    )

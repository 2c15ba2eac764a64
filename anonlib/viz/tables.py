"""Result tables as plain text for the terminal."""

from __future__ import annotations

from math import isnan, nan
from typing import TYPE_CHECKING, Any

from anonlib.viz.styles import style

if TYPE_CHECKING:
    from pandas import DataFrame


def format_table1(table: DataFrame) -> str:
    """Table 1 in percent: the average precision of each class, their mean, and the paper's if known.

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
    """Any result table in percent; `x`, `x_lo` and `x_hi` become one column with its interval.

    Numbers are in [0, 1]; a missing one prints as a dash.

    >>> import pandas as pd
    >>> row = {"method": "blur8", "error": 0.5, "error_lo": 0.45, "error_hi": 0.55}
    >>> print(format_table(pd.DataFrame([row])))
    method                    error
    ----------  -------------------
    Blur (8×8)  50.0 [ 45.0,  55.0]
    """
    bounds = {f"{name}_{end}" for name in table.columns for end in ("lo", "hi")}
    names = [name for name in table.columns if name not in bounds]
    rows = [[name.replace("_", " ") for name in names]]
    rows += [[_cell(row, name) for name in names] for row in table.to_dict("records")]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    justify = [str.rjust if table[name].dtype.kind in "if" else str.ljust for name in names]
    lines = ([f(text, n) for f, text, n in zip(justify, row, widths, strict=True)] for row in rows)
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _cell(row: dict[str, Any], name: str) -> str:
    value = row[name]
    if isinstance(value, str):
        return style(value).label.replace("_", " ")
    if isnan(value):
        return "-"
    low, high = (row.get(f"{name}_{end}", nan) for end in ("lo", "hi"))
    interval = "" if isnan(low) or isnan(high) else f" [{100 * low:5.1f}, {100 * high:5.1f}]"
    return f"{100 * value:.1f}{interval}"

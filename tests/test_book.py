"""What the book does with docstrings, signatures and titles; `make book` itself is not run."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def book() -> ModuleType:
    """The settings of Sphinx, which hold what is tested here."""
    spec = importlib.util.spec_from_file_location("book_conf", ROOT / "book" / "conf.py")
    assert spec is not None and spec.loader is not None
    before = list(sys.path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


@dataclass
class Record:
    name: str
    rows: list[int] = field(default_factory=list)
    made: str = field(default_factory=lambda: "")


class Shape(Protocol):
    def area(self) -> float: ...


@pytest.mark.parametrize(
    ("markdown", "rst"),
    [
        ("A face `(3, h, w)`.", "A face ``(3, h, w)``."),
        ("See `RunOptions` and `a.b`.", "See :py:obj:`.RunOptions` and :py:obj:`.a.b`."),
        ("The loss $L_D$.", "The loss :math:`L_D`."),
        (">>> f()  # as `g`", ">>> f()  # as `g`"),
        ("Files:\n\n    a  with `b`\n\nAs `c`.", "Files::\n\n    a  with `b`\n\nAs ``c``."),
        ("| a | b |\n|---|---|\n| `1` | 2 |", ".. list-table::\n   :header-rows: 1\n"),
        ("Alias for field number 1", ""),
    ],
)
def test_docstrings_become_restructured_text(book: ModuleType, markdown: str, rst: str) -> None:
    lines = markdown.splitlines()
    book.to_rst(None, "function", "f", None, None, lines)
    assert "\n".join(lines).startswith(rst) and (rst or not lines)


@pytest.mark.parametrize(
    ("thing", "signature", "mended"),
    [
        (
            Record,
            "(name: str, rows: ~list[int] = <factory>, made: str = <factory>)",
            "(name: str, rows: ~list[int] = list(), made: str = ...)",
        ),
        (Shape, "(*args, **kwargs)", None),
        (print, "(loss: ~x.Y = <function f>, clock=<built-in function g>)", "(loss: ~x.Y = f, clock=g)"),
        (
            print,
            "(a: ~numpy.ndarray[tuple[~typing.Any, ...], ~numpy.dtype[~numpy.bool]])",
            "(a: NDArray[bool])",
        ),
        (print, None, None),
    ],
)
def test_signatures_are_python(
    book: ModuleType, thing: Callable[..., Any], signature: str | None, mended: str | None
) -> None:
    returned = "~sphinx.util.inspect.TypeAliasForwardRef('ndarray') | None"
    shown, returns = book.to_python(None, "class", "X", thing, None, signature, returned)
    assert (shown, returns) == (mended, "ndarray | None")


def test_long_names_may_break_after_dots_and_in_the_contents_after_underscores(book: ModuleType) -> None:
    shown = '<span class="pre">a_b()</span>'
    same = f"<a href='anonlib.a.b.html'>{shown}<pre><span class='n'>anonlib.a</span></pre>"
    context: dict[str, Any] = {"body": f"<h2>anonlib.a.b module</h2>{same}"}
    context |= {"prev": {"title": "anonlib.a package"}, "next": None, "toc": shown}
    book.breakable(None, "", "", context, None)
    assert context["body"] == f"<h2>anonlib.<wbr>a.<wbr>b module</h2>{same}"
    assert context["prev"] == {"title": "anonlib.<wbr>a package"}
    assert context["toc"] == '<span class="pre">a_<wbr>b()</span>'

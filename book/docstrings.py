"""The docstrings of anonlib are Markdown; autodoc reads reStructuredText. This turns one into the other."""

from __future__ import annotations

import re
from textwrap import indent
from typing import Any

# In this order: what is written, and what Sphinx reads.
RULES = (
    (re.compile(r"(?<![`:])`([^`\n]+)`(?!`)"), r"``\1``"),
    (re.compile(r"\$\$(.+?)\$\$", re.DOTALL), lambda found: f"\n.. math::\n\n{indent(found[1], '   ')}\n"),
    (re.compile(r"\$([^$\n]+)\$"), r":math:`\1`"),
    (re.compile(r"(?:^\|.*\n)+", re.MULTILINE), lambda found: table(found[0])),
    (re.compile(r":\n\n(?=    \S)"), "::\n\n"),
)


def table(text: str) -> str:
    """A table of Markdown as one of reStructuredText; its second line is the rule below the head."""
    head, _, *rows = (line.strip()[1:-1].split("|") for line in text.splitlines())
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (head, *rows):
        lines += [f"   {' ' if n else '*'} - {cell.strip()}" for n, cell in enumerate(row)]
    return "\n".join([*lines, "", ""])


def to_rst(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """What autodoc calls with the lines of each docstring, before napoleon reads its sections."""
    text = "\n".join([*lines, ""])
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    lines[:] = text.splitlines()
    if what in ("attribute", "data", "property"):
        # An empty comment: in the first line napoleon takes the words before a colon for a type.
        lines[:0] = ["..", ""]

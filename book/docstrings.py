"""The docstrings of anonlib are Markdown; autodoc reads reStructuredText. This turns one into the other.

It also mends signatures, because Sphinx reads none with a default such as `<factory>`, and links to names
that a package takes from its modules.
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from textwrap import indent
from typing import Any

# In this order: what is written, and what Sphinx reads.
RULES = (
    (
        # Doctests and blocks of code stay as they are.
        re.compile(r"(?m)^ *(?:>>>|\.\.\. ).*$|:\n\n(?: {4}.*\n|\n)+|(?<![`:])`([^`\n]+)`(?!`)"),
        lambda found: quoted(found[1]) if found[1] else found[0],
    ),
    (re.compile(r"\$\$(.+?)\$\$", re.DOTALL), lambda found: f"\n.. math::\n\n{indent(found[1], '   ')}\n"),
    (re.compile(r"\$([^$\n]+)\$"), r":math:`\1`"),
    (re.compile(r"(?:^\|.*\n)+", re.MULTILINE), lambda found: table(found[0])),
    (re.compile(r":\n\n(?=    \S)"), "::\n\n"),
)
# A class, or a dotted name: it becomes a link where the book has such a page.
NAME = re.compile(r"[A-Z]\w*[a-z]\w*|[A-Za-z_]\w*(?:\.\w+)+")
# Defaults that are no Python, as `<function angular_softmax_loss>`.
OBJECT = re.compile(r"<(?:(?:built-in )?function|class) '?(?:\w+\.)*(\w+)'?>")

# How Sphinx writes `NDArray[bool_]`, and a name of `autodoc_type_aliases` in a union.
ARRAY = re.compile(r"~?(?:\w+\.)*ndarray\[[^\[]*\[[^\]]*\], ~?(?:\w+\.)*dtype\[~?(?:\w+\.)*(\w+)\]\]")
ALIAS = re.compile(r"~?(?:\w+\.)*TypeAliasForwardRef\('(\w+)'\)")


def quoted(text: str) -> str:
    """What stands in backticks."""
    return f":py:obj:`.{text}`" if NAME.fullmatch(text) else f"``{text}``"


def table(text: str) -> str:
    """A table of Markdown as one of reStructuredText; its second line is the rule below the head."""
    head, _, *rows = (line.strip()[1:-1].split("|") for line in text.splitlines())
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (head, *rows):
        lines += [f"   {' ' if n else '*'} - {cell.strip()}" for n, cell in enumerate(row)]
    return "\n".join([*lines, "", ""])


def to_rst(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """What autodoc calls with the lines of each docstring, before napoleon reads its sections."""
    if lines and lines[0].startswith("Alias for field number"):  # of a NamedTuple, written by Python
        lines.clear()
    text = "\n".join([*lines, ""])
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    lines[:] = text.splitlines()
    if what in ("attribute", "data", "property"):
        # An empty comment: in the first line napoleon takes the words before a colon for a type.
        lines[:0] = ["..", ""]


def to_python(
    app: Any, what: str, name: str, thing: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """What autodoc calls with each signature; returns one that Python could read, and what is returned."""
    if signature is None or getattr(thing, "_is_protocol", False):
        return None, returns and short(returns)
    factories = [part.default_factory for part in fields(thing) if part.init] if is_dataclass(thing) else []
    names = iter([getattr(make, "__name__", "") for make in factories if callable(make)])
    signature = re.sub(r"<factory>", lambda _: made(next(names, "")), signature)
    return short(OBJECT.sub(r"\1", signature)), returns and short(returns)


def short(types: str) -> str:
    """Types as the source names them."""
    return ALIAS.sub(r"\1", ARRAY.sub(r"NDArray[\1]", types))


def made(factory: str) -> str:
    """The default of a field that a function of this name makes."""
    return f"{factory}()" if factory.isidentifier() else "..."


def find(app: Any, env: Any, node: Any, content: Any) -> Any:
    """What Sphinx calls with an unknown name: `anonlib.study.Share` is in some module of `study`."""
    if node.get("reftype") != "obj" or content.tagname != "literal":
        return None
    domain, wanted = env.get_domain("py"), node["reftarget"].lstrip(".")
    found = re.fullmatch(r"((?:[a-z_]\w*\.)+)([A-Z]\w*(?:\.\w+)*|\w+)", wanted)
    place = re.compile(rf"(?:.+\.)?{found[1]}\w+\.{found[2]}" if found else "(?!)")
    names = [name for name in domain.objects if place.fullmatch(name)]
    if len(names) == 1:
        return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", names[0], node, content)
    content["classes"] = []
    return content

"""The course as a book: `make book` turns notebooks/ into book/_build. Nothing is executed.

The map in notebooks/README.md is the first page, the chapters follow in the order of their names.
"""

from __future__ import annotations

import re
import sys
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "recipes"), str(ROOT / "book")]

from docstrings import find, to_python, to_rst  # noqa: E402
from link_notebooks import Course, read_course  # noqa: E402

COURSE = read_course(ROOT)

project = "anonlib"
author = ""
html_title = "anonlib, the course"
extensions = [
    "myst_nb",
    "sphinx-mathjax-offline",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
root_doc = "README"
exclude_patterns = ["**.ipynb_checkpoints", "api/modules.rst"]

# The reference of the package, from its docstrings: one page a package, in notebooks/api (not in git).
apidoc_modules = [
    {
        "path": "../anonlib",
        "destination": "api",
        "exclude_patterns": ["*/anonlib/cli*"],
        "module_first": True,
        "max_depth": 1,
    }
]
autodoc_member_order = "bysource"
autodoc_type_aliases = {name: "ndarray" for name in ("Array", "Bools", "Floats", "Ints")} | {
    "ArrayLike": "ArrayLike"
}
add_module_names = False  # the heading of the section names the module
toc_object_entries_show_parents = "hide"
suppress_warnings = ["ref.python"]  # some short names exist in two packages

nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_static_path = ["static"]
html_css_files = ["book.css"]
html_show_copyright = False
html_show_sourcelink = False  # every page has a button that downloads its source
html_context = {"default_mode": "auto"}
html_theme_options = {
    "repository_url": COURSE.repository,
    "use_repository_button": True,
    "show_toc_level": 2,
    "home_page_in_toc": True,
}

# Links from a page to what is not in the book, as in ../results/README.md.
OUTSIDE = re.compile(r"\]\(\.\./([^)]+)\)")
# A module in a title of the reference, or a name in a line of text; blocks of code must not break.
MODULE = re.compile(r'anonlib(?:\.\w+)+(?= module| package)|(?<=<span class="pre">)anonlib(?:\.\w+)+')
SHOWN = re.compile(r'(?<=<span class="pre">)\w+')
"""A name in code."""
LONGEST_VALUE = 80
"""Characters of the value of a constant; longer ones, and those that are no Python, are left out."""


def contents(course: Course) -> str:
    """The table of contents, every chapter with the short form of its title."""
    entries = [f"{chapter.title} <{chapter.name}>" for chapter in course.chapters]
    entries.append("Reference of anonlib <api/anonlib>")
    return "\n".join(["```{toctree}", ":hidden:", "", *entries, "```"])


def prepare(app: Any, name: str, source: list[str]) -> None:
    """Before a page is read: its links out of the book lead to the repository."""
    source[0] = OUTSIDE.sub(rf"]({COURSE.repository}/blob/main/\1)", source[0])
    if name == root_doc:
        source[0] += f"\n\n{contents(COURSE)}\n"


def describe(app: Any, document: Any) -> None:
    """After a page is read: pictures in outputs get a description and a box; noise in the reference goes."""
    from docutils.nodes import container

    for image in list(document.findall(lambda node: node.tagname == "image")):
        bundle, section = image.parent.parent, image
        if bundle.get("nb_element") != "mime_bundle":
            continue
        if "alt" not in image:
            while section.tagname != "section":
                section = section.parent
            plain = [part.astext() for part in bundle if part["mime_type"] == "text/plain"]
            words = [text.strip() for text in plain if not text.strip().startswith("<")]
            image["alt"] = words[0] if words else f"figure of section: {section[0].astext()}"
        image.replace_self(container("", image.copy(), classes=["picture"]))
    for node in list(document.findall(lambda node: node.tagname in ("paragraph", "desc_annotation"))):
        text = node.astext()
        value = text.startswith(" = ") and (len(text) > LONGEST_VALUE or "<" in text)
        if value or text == "Bases: object":
            node.parent.remove(node)


def breakable(app: Any, name: str, template: str, context: dict[str, Any], document: Any) -> None:
    """Before a page is written: modules may break at dots, names in the contents also at underscores."""
    pages = [context, context.get("prev") or {}, context.get("next") or {}]
    for page, part in product(pages, ("body", "toc", "title")):
        if part in page:
            page[part] = MODULE.sub(lambda found: found[0].replace(".", ".<wbr>"), page[part])
    if "toc" in context:
        context["toc"] = SHOWN.sub(lambda found: found[0].replace("_", "_<wbr>"), context["toc"])


def setup(app: Any) -> None:
    """Sphinx calls this once."""
    app.connect("source-read", prepare)
    app.connect("doctree-read", describe)
    app.connect("html-page-context", breakable)
    app.connect("autodoc-process-docstring", to_rst, priority=400)
    app.connect("autodoc-process-signature", to_python)
    app.connect("missing-reference", find)

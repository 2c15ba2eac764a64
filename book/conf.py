"""The course as a book: `make book` turns notebooks/ into book/_build. Nothing is executed.

The map in notebooks/README.md is the first page, the chapters follow in the order of their names.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "recipes"))

from link_notebooks import Course, read_course  # noqa: E402

COURSE = read_course(ROOT)

project = "anonlib"
html_title = "anonlib, the course"
extensions = ["myst_nb", "sphinx-mathjax-offline"]
root_doc = "README"
exclude_patterns = ["**.ipynb_checkpoints"]

nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_static_path = ["static"]
html_css_files = ["book.css"]
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "repository_url": COURSE.repository,
    "use_repository_button": True,
    "show_toc_level": 2,
    "home_page_in_toc": True,
}

# Links from a page to what is not in the book, as in ../results/README.md.
OUTSIDE = re.compile(r"\]\(\.\./([^)]+)\)")


def contents(course: Course) -> str:
    """The table of contents, every chapter with the short form of its title."""
    entries = [f"{chapter.title} <{chapter.name}>" for chapter in course.chapters]
    return "\n".join(["```{toctree}", ":hidden:", "", *entries, "```"])


def prepare(app: Any, name: str, source: list[str]) -> None:
    """Before a page is read: its links out of the book lead to the repository."""
    source[0] = OUTSIDE.sub(rf"]({COURSE.repository}/blob/main/\1)", source[0])
    if name == root_doc:
        source[0] += f"\n\n{contents(COURSE)}\n"


def setup(app: Any) -> None:
    """Sphinx calls this once."""
    app.connect("source-read", prepare)

"""Links, badges, times and the map of the course are what recipes/link_notebooks.py writes."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[1]
PROJECT = '[project]\nname = "x"\n[project.urls]\nRepository = "https://github.com/me/fork/"\n'
NAMES = ("00_first", "01_second", "02_third")


def load(path: Path) -> ModuleType:
    """A file outside the package as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


links = load(ROOT / "recipes" / "link_notebooks.py")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Three chapters, one of them measured, none of them linked."""
    for folder in ("notebooks", "book", "results/notebooks"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    rows = [f"{name},section {i},00" for i, name in enumerate(NAMES)]
    (tmp_path / "book" / "chapters.csv").write_text("\n".join(["chapter,paper,needs", *rows]))
    (tmp_path / "results" / "notebooks" / "times.csv").write_text(
        "notebook,profile,seconds,threads,hardware,commit,date\n"
        "01_second,smoke,21.4,2,Slow CPU,abc,today\n01_second,laptop,125,2,Slow CPU,abc,today\n"
        "01_second.ipynb,laptop,9.6,1,,abc,today\n"
    )
    (tmp_path / "notebooks" / "README.md").write_text(f"# Top\n\n{links.OPEN}\nold\n{links.CLOSE}\n\nEnd.\n")
    for name in NAMES:
        run = new_code_cell("1", execution_count=1, id="run")
        run.outputs = [new_output("execute_result", {"text/plain": "1"}, execution_count=1)]
        title = f"# {name[:2]} · {name[3:].capitalize()}: why so?"
        notebook = new_notebook(cells=[new_markdown_cell(title, id="title"), run])
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
    return tmp_path


def cells(clone: Path, name: str) -> list[Any]:
    return nbformat.read(clone / "notebooks" / f"{name}.ipynb", as_version=4).cells


def test_the_course_is_linked() -> None:
    """Where this fails: python recipes/link_notebooks.py."""
    assert not links.stale(ROOT)


def test_every_chapter_has_a_row_in_the_map() -> None:
    with (ROOT / "book" / "chapters.csv").open(newline="") as file:
        rows = [row["chapter"] for row in csv.DictReader(file)]
    assert rows == sorted(p.stem for p in (ROOT / "notebooks").glob("*.ipynb"))


def test_every_chapter_is_in_the_table_of_contents() -> None:
    book = load(ROOT / "book" / "conf.py")
    entries = book.contents(links.read_course(ROOT)).splitlines()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert [entry for entry in entries if entry.endswith(f"<{path.stem}>")], path


def test_links_out_of_the_book_lead_to_the_repository() -> None:
    book = load(ROOT / "book" / "conf.py")
    source = ["[a](../results/README.md) [b](01_x.ipynb)"]
    book.prepare(None, "01_x", source)
    assert source == [f"[a]({book.COURSE.repository}/blob/main/results/README.md) [b](01_x.ipynb)"]


def test_linking_adds_two_cells_and_touches_no_other(clone: Path) -> None:
    before = cells(clone, "01_second")
    links.main(clone, check=False)
    top, bottom = (c for c in cells(clone, "01_second") if links.TAG in c.metadata.get("tags", []))
    assert cells(clone, "01_second") == [before[0], top, before[1], bottom]
    assert (top.id, bottom.id) == ("navigation-01-top", "navigation-01-bottom")


def test_neighbours_are_linked_and_the_ends_have_one(clone: Path) -> None:
    links.main(clone, check=False)
    everything = "[all chapters](README.md)"
    assert [cells(clone, name)[-1].source for name in NAMES] == [
        f"{everything} | [01 · Second](01_second.ipynb) →",
        f"← [00 · First](00_first.ipynb) | {everything} | [02 · Third](02_third.ipynb) →",
        f"← [01 · Second](01_second.ipynb) | {everything}",
    ]


def test_badges_open_the_repository_that_pyproject_names(clone: Path) -> None:
    links.main(clone, check=False)
    top = cells(clone, "00_first")[1].source
    file = "notebooks/00_first.ipynb"
    assert f"(https://colab.research.google.com/github/me/fork/blob/main/{file})" in top
    assert f"(https://mybinder.org/v2/gh/me/fork/main?urlpath=lab/tree/{file})" in top
    assert "git clone --depth 1 https://github.com/me/fork /content" in top


def test_measured_times_are_shown_by_machine(clone: Path) -> None:
    links.main(clone, check=False)
    times = [[line for line in cells(clone, name)[1].source.splitlines() if "time" in line] for name in NAMES]
    line = "**Measured time:** `smoke` 21 s, `laptop` 2 min 05 s (2 threads of Slow CPU); "
    assert times == [[], [line + "`laptop` 10 s (1 thread)"], []]


def test_the_map_stands_between_its_marks(clone: Path) -> None:
    links.main(clone, check=False)
    readme = (clone / "notebooks" / "README.md").read_text()
    assert readme.startswith(f"# Top\n\n{links.OPEN}\n\n| chapter |")
    assert "| [01 · Second](01_second.ipynb) | Why so? | section 1 | 00 | 21 s | 2 min 05 s |" in readme
    assert readme.endswith(f"|\n\n{links.CLOSE}\n\nEnd.\n")


def test_check_writes_nothing_and_names_what_is_stale(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = cells(clone, "00_first")
    assert links.main(clone, check=True) == 1
    assert "stale: notebooks/00_first.ipynb" in capsys.readouterr().out
    assert cells(clone, "00_first") == before


def test_linking_twice_changes_nothing(clone: Path) -> None:
    links.main(clone, check=False)
    assert links.main(clone, check=True) == 0


def test_a_new_chapter_makes_its_neighbour_stale(clone: Path) -> None:
    links.main(clone, check=False)
    last = clone / "notebooks" / "02_third.ipynb"
    last.with_name("03_fourth.ipynb").write_text(last.read_text().replace("02 ·", "03 ·"))
    assert last in links.stale(clone)


@pytest.mark.parametrize(
    ("value", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (605, "10 min 05 s")]
)
def test_times_read_as_minutes_and_seconds(value: float, text: str) -> None:
    assert links.seconds(value) == text

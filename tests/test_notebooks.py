"""Stored notebooks are whole: nbval compares nothing in a notebook whose outputs were stripped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CHECKED = "nbval-check-output"
SECTIONS = ("question", "what you need", "what you should see", "exercises", "references")

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def code_cells(path: Path) -> list[Any]:
    cells = nbformat.read(path, as_version=4).cells
    return [c for c in cells if c.cell_type == "code" and c.source.strip()]


def checked_cells(path: Path) -> list[Any]:
    return [c for c in code_cells(path) if CHECKED in c.metadata.get("tags", [])]


def test_there_are_notebooks() -> None:
    assert FOLDER / "00_welcome.ipynb" in NOTEBOOKS


@each
def test_cells_were_run_once_in_order(path: Path) -> None:
    cells = code_cells(path)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))


@each
def test_no_stored_output_is_an_error(path: Path) -> None:
    assert not [o for c in code_cells(path) for o in c.outputs if o.output_type == "error"]


@each
def test_checked_cells_have_an_output_and_an_assert(path: Path) -> None:
    assert checked_cells(path)
    for cell in checked_cells(path):
        assert cell.execution_count, cell.source
        assert cell.outputs, cell.source
        assert "assert " in cell.source, cell.source


@each
def test_sections_come_in_the_agreed_order(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    heads = [line[3:].lower() for line in text.splitlines() if line.startswith("## ")]
    found = [next(i for i, head in enumerate(heads) if section in head) for section in SECTIONS]
    assert found == sorted(found)


@each
def test_code_lives_in_the_package(path: Path) -> None:
    for cell in code_cells(path):
        lines = cell.source.splitlines()
        assert len(lines) <= 25, cell.source
        assert not [line for line in lines if line.startswith("class ")], cell.source


@each
def test_parameters_come_first_and_the_file_is_small(path: Path) -> None:
    assert "parameters" in code_cells(path)[0].metadata.get("tags", [])
    assert path.stat().st_size <= 1_000_000

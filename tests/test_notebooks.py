"""Stored notebooks are complete: nbval compares nothing in a notebook whose outputs were removed."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CHECKED = "nbval-check-output"
WIDGET = "application/vnd.jupyter.widget-view+json"
SECTIONS = (
    "question",
    "what you will learn",
    "what you need",
    "what you should see",
    "exercises",
    "references",
)

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
def test_three_facts_are_checked(path: Path) -> None:
    printed = [o.text for c in checked_cells(path) for o in c.outputs if o.get("name") == "stdout"]
    assert len("".join(printed).splitlines()) >= 3


@each
def test_three_exercises_with_solutions(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    exercises, _, solutions = text.split("## Exercises")[1].partition("<details>")
    apart = FOLDER / "solutions" / f"{path.stem}.py"
    if apart.exists():
        assert not solutions and f"(../notebooks/solutions/{apart.name})" in exercises
        assert all(step in exercises for step in ("**Check.**", "**Vary.**", "**Build.**"))
        solutions = ast.get_docstring(ast.parse(apart.read_text())) or ""
    for part in (exercises, solutions.split("</details>")[0]):
        numbers = [line[:2] for line in part.splitlines() if line[:2] in ("1.", "2.", "3.")]
        assert numbers == ["1.", "2.", "3."]


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
        plain = "\n".join(line for line in lines if not line.startswith(("%", "!")))
        for node in ast.walk(ast.parse(plain)):
            assert not isinstance(node, ast.ClassDef), cell.source
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 10, cell.source


@each
def test_imports_are_at_most_two_levels_deep(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        deeper = re.findall(r"\banonlib\.\w+\.\w+ import|import anonlib\.\w+\.\w+", cell.source)
        assert not deeper, cell.source


@each
def test_parameters_come_first_and_the_file_is_small(path: Path) -> None:
    assert "parameters" in code_cells(path)[0].metadata.get("tags", [])
    assert path.stat().st_size <= 1_000_000


@each
def test_only_outputs_are_stored(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags", "nbgrader"}, cell.source
    for cell in code_cells(path):
        assert not [o for o in cell.outputs if o.get("name") == "stderr"], cell.source
        assert not [o for o in cell.outputs if WIDGET in o.get("data", {})], cell.source


@pytest.mark.slow
@pytest.mark.parametrize("chapter", ["04_action_detection", "06_privacy_against_utility"])
def test_chapters_run_on_real_faces_and_clips(
    chapter: str, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("lfw", "jhmdb"):
        (tmp_path / name).symlink_to(shared / "datasets" / name)
    given = {"ANONLIB_DATA": tmp_path, "ANONLIB_PROFILE": "smoke", "PYTHONPATH": FOLDER.parent}
    env = os.environ | {key: str(value) for key, value in given.items()}
    notebook = nbformat.read(FOLDER / f"{chapter}.ipynb", as_version=4)
    here = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(notebook, timeout=None, resources=here).execute(env=env)
    printed = "".join(
        o.text for c in notebook.cells for o in c.get("outputs", []) if o.get("name") == "stdout"
    )
    wanted = {"04": "brush_hair   *", "06": "5 folds; the interval by hand"}[chapter[:2]]
    assert wanted in printed

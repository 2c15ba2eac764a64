"""A round of grading with nbgrader: a solved chapter gets all points, an empty one none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from anonlib.study.exercises import GRADING

nbgraderformat = pytest.importorskip("nbgrader.nbgraderformat")
from nbgrader.api import Gradebook  # noqa: E402

FOLDER = Path(__file__).parents[1] / "notebooks"
CHAPTERS = sorted(path.stem for path in (FOLDER / "solutions").glob("*.py"))
GRADED = "03_face_identification"
CONFIG = "c.ClearSolutions.enabled = False\n"
"""What docs/teaching.md tells a teacher to set."""


@pytest.fixture(autouse=True)
def nbgrader_finds_its_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(Path(sys.executable).parent)  # it calls alembic by name
    monkeypatch.setenv("PATH", os.pathsep.join((folder, os.environ["PATH"])))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_cells_have_valid_metadata(chapter: str) -> None:
    notebook = nbgraderformat.read(FOLDER / f"{chapter}.ipynb", as_version=4)  # raises if it is not valid
    grades = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells]
    names = [name for name in grades if name]
    assert names and len(names) == len(set(names))


def nbgrader(course: Path, *words: str, grading: bool = True) -> subprocess.CompletedProcess[str]:
    settings = {"ANONLIB_PROFILE": "smoke", "JUPYTER_PLATFORM_DIRS": "1"} | (
        {GRADING: "1"} if grading else {}
    )
    return subprocess.run(
        [sys.executable, "-m", "nbgrader", *words],
        cwd=course,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def solved(source: Path, chapter: str) -> nbformat.NotebookNode:
    """The notebook with the functions of its solutions in the cells that a student fills."""
    notebook = nbformat.read(source, as_version=4)
    text = (FOLDER / "solutions" / f"{chapter}.py").read_text(encoding="utf-8")
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = text
    return notebook


@pytest.mark.slow
def test_a_round_of_grading(tmp_path: Path) -> None:
    (tmp_path / "nbgrader_config.py").write_text(CONFIG)
    source = tmp_path / "source" / "03" / f"{GRADED}.ipynb"
    source.parent.mkdir(parents=True)
    source.write_bytes((FOLDER / f"{GRADED}.ipynb").read_bytes())
    made = nbgrader(tmp_path, "generate_assignment", "03", grading=False)
    assert made.returncode == 0, made.stderr

    released = tmp_path / "release" / "03" / source.name
    for student in ("solved", "empty"):
        handed_in = tmp_path / "submitted" / student / "03" / source.name
        handed_in.parent.mkdir(parents=True)
        handed_in.write_bytes(released.read_bytes())
        if student == "solved":
            nbformat.write(solved(released, GRADED), handed_in)
    nbgrader(tmp_path, "autograde", "03")
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as book:
        score = {name: book.find_submission("03", name).score for name in ("solved", "empty")}
        most = book.find_assignment("03").max_score
    assert score == {"solved": most, "empty": 0} and most > 0


@pytest.mark.slow
def test_a_student_validates_before_handing_in(tmp_path: Path) -> None:
    chapter = tmp_path / f"{GRADED}.ipynb"
    chapter.write_bytes((FOLDER / chapter.name).read_bytes())
    empty = nbgrader(tmp_path, "validate", chapter.name)
    assert "not finished yet" in empty.stdout + empty.stderr
    nbformat.write(solved(chapter, GRADED), chapter)
    done = nbgrader(tmp_path, "validate", chapter.name)
    assert "Success! Your notebook passes all the tests." in done.stdout

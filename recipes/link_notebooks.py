"""Write what all chapters share: links to the next chapter, badges, measured times, the table of chapters.

python -m recipes.link_notebooks            # refresh notebooks/*.ipynb and notebooks/README.md
python -m recipes.link_notebooks --check    # write nothing; exit 1 and name what is stale

Each notebook gets two cells tagged `navigation`, the second and the last. Nothing else changes, so outputs
and execution counts stay. Titles come from the notebooks, the repository's address from pyproject.toml, times
from results/notebooks/times.csv, the rest of the table from book/chapters.csv.
"""

from __future__ import annotations

import csv
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_markdown_cell

TAG = "navigation"
OPEN, CLOSE = "<!-- chapters: written by recipes/link_notebooks.py -->", "<!-- /chapters -->"
COLAB = """<details><summary>On Colab: run these lines in a new cell first</summary>

```
!git clone --depth 1 {repository} /content/anonlib
!pip install -q -c /content/anonlib/constraints.txt /content/anonlib
%cd /content/anonlib/notebooks
import sys; sys.path.insert(0, "/content/anonlib")
```

Where Colab then asks for a restart, restart and run the last two lines again.

</details>"""

Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One notebook and the first line of its title."""

    path: Path
    heading: str
    """As in `01 · Face detection: where is the face, ...?`."""

    @property
    def name(self) -> str:
        """File name without its ending."""
        return self.path.stem

    @property
    def number(self) -> str:
        """Two digits, by which chapters are ordered."""
        return self.name[:2]

    @property
    def title(self) -> str:
        """What the heading says before its colon."""
        return self.heading.partition(":")[0].strip()

    @property
    def question(self) -> str:
        """What the heading says after its colon, as a sentence."""
        question = self.heading.partition(":")[2].strip() or self.title
        return question[0].upper() + question[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What the generated text is made of."""

    repository: str
    chapters: tuple[Chapter, ...]
    times: tuple[Row, ...]
    """Rows of results/notebooks/times.csv."""
    about: dict[str, Row]
    """Rows of book/chapters.csv by chapter."""


def read_course(root: Path) -> Course:
    """The course that lies in a clone of the repository."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    notebooks = sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    return Course(
        repository=project["urls"]["Repository"].rstrip("/"),
        chapters=tuple(Chapter(path=path, heading=_heading(path)) for path in notebooks),
        times=tuple(_rows(root / "results" / "notebooks" / "times.csv")),
        about={row["chapter"]: row for row in _rows(root / "book" / "chapters.csv")},
    )


def _heading(path: Path) -> str:
    return nbformat.read(path, as_version=4).cells[0].source.splitlines()[0].lstrip("# ")


def _rows(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def seconds(value: float) -> str:
    """A time as a reader wants it: 42 s, 1 min 40 s."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def measured(course: Course, chapter: Chapter) -> list[Row]:
    """The recorded times of one chapter, in the order of the file."""
    return [row for row in course.times if Path(row["notebook"]).stem == chapter.name]


def times_line(course: Course, chapter: Chapter) -> str:
    """Recorded times by machine; empty where nothing was recorded."""
    machines: dict[str, list[str]] = {}
    for row in measured(course, chapter):
        machine = f"{row['threads']} thread{'' if row['threads'] == '1' else 's'}"
        machine += f" of {row['hardware']}" if row["hardware"] else ""
        took = f"`{row['profile']}` {seconds(float(row['seconds']))}"
        machines.setdefault(machine, []).append(took)
    parts = [f"{', '.join(took)} ({machine})" for machine, took in machines.items()]
    return f"**Measured time:** {'; '.join(parts)}" if parts else ""


def steps(course: Course, chapter: Chapter) -> str:
    """Links to the chapter before, the map, and the chapter after."""
    here = course.chapters.index(chapter)
    links = ["[all chapters](README.md)"]
    if here > 0:
        before = course.chapters[here - 1]
        links.insert(0, f"← [{before.title}]({before.path.name})")
    if here + 1 < len(course.chapters):
        after = course.chapters[here + 1]
        links.append(f"[{after.title}]({after.path.name}) →")
    return " | ".join(links)


def badges(course: Course, chapter: Chapter) -> str:
    """Colab opens the notebook alone, Binder the whole repository in JupyterLab."""
    owner = course.repository.removeprefix("https://github.com/")
    file = f"notebooks/{chapter.path.name}"
    colab = f"https://colab.research.google.com/github/{owner}/blob/main/{file}"
    binder = f"https://mybinder.org/v2/gh/{owner}/main?urlpath=lab/tree/{file}"
    image = "https://colab.research.google.com/assets/colab-badge.svg"
    return (
        f"[![Open in Colab]({image})]({colab}) "
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder})"
    )


def link(notebook: Any, course: Course, chapter: Chapter) -> None:
    """Put the two generated cells where they belong, in place of older ones."""
    colab = COLAB.format(repository=course.repository)
    parts = [steps(course, chapter), badges(course, chapter), times_line(course, chapter), colab]
    top = _cell(chapter, "top", "\n\n".join(part for part in parts if part))
    # The book has links of its own under every page.
    bottom = _cell(chapter, "bottom", steps(course, chapter), "remove-cell")
    own = [cell for cell in notebook.cells if TAG not in cell.metadata.get("tags", [])]
    notebook.cells = [own[0], top, *own[1:], bottom]


def _cell(chapter: Chapter, place: str, source: str, *tags: str) -> Any:
    name = f"{TAG}-{chapter.number}-{place}"
    return new_markdown_cell(source, id=name, metadata={"tags": [TAG, *tags]})


def chapter_map(course: Course) -> str:
    """The table of the README."""
    lines = [
        "| chapter | question | in the paper | after | `smoke` | `laptop` |",
        "|---|---|---|---|---|---|",
    ]
    for chapter in course.chapters:
        about = course.about.get(chapter.name, {"paper": "", "needs": ""})
        took: Row = {}
        for row in measured(course, chapter):
            took.setdefault(row["profile"], seconds(float(row["seconds"])))
        cells = [
            f"[{chapter.title}]({chapter.path.name})",
            chapter.question,
            about["paper"],
            about["needs"],
            took.get("smoke", ""),
            took.get("laptop", ""),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def refreshed(root: Path) -> dict[Path, str]:
    """Every generated file with the text that it should have."""
    course = read_course(root)
    texts = {}
    for chapter in course.chapters:
        notebook = nbformat.read(chapter.path, as_version=4)
        link(notebook, course, chapter)
        texts[chapter.path] = nbformat.writes(notebook) + "\n"
    readme = root / "notebooks" / "README.md"
    before, _, rest = readme.read_text().partition(OPEN)
    texts[readme] = f"{before}{OPEN}\n\n{chapter_map(course)}\n\n{CLOSE}{rest.partition(CLOSE)[2]}"
    return texts


def stale(root: Path) -> list[Path]:
    """Files whose generated text is not what it should be."""
    return [path for path, text in refreshed(root).items() if path.read_text() != text]


def main(root: Path, *, check: bool) -> int:
    old = stale(root)
    for path in old:
        print(f"{'stale' if check else 'wrote'}: {path.relative_to(root)}")
        if not check:
            path.write_text(refreshed(root)[path])
    if old and check:
        print("refresh them: python -m recipes.link_notebooks")
    return int(check and bool(old))


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parents[1], check="--check" in sys.argv[1:]))

"""What attackers find in the output of the package deface, by `anonlib audit` of two folders.

    python benchmarks/audit_deface.py results/audit --deface PYTHON [--work FOLDER] [--people 660]

Draws people who do not exist, four pictures each, into FOLDER/drawn, lets deface blur the faces (its
defaults) into FOLDER/deface, and runs `anonlib audit --originals FOLDER/drawn --anonymized FOLDER/deface`.
PYTHON is one that has deface, which needs nothing of anonlib. Pictures that exist are kept. The page and the
record are deface.html and deface.json in the first folder.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from torchvision.io import write_png
from tqdm import tqdm

from anonlib.world.faces import synthetic_faces

FIRST = 1_900_000_000
"""First person. No network was trained on these people."""
PICTURES, SIDE, SEED = 4, 192, 0
TOGETHER = 200
"""Files in one call of deface."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--deface", type=Path, required=True, metavar="PYTHON")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--people", type=int, default=660)
    arguments = parser.parse_args()
    work = arguments.work or Path(tempfile.mkdtemp())
    drawn, after = work / "drawn", work / "deface"
    draw(drawn, arguments.people)
    hide(drawn, after, arguments.deface)
    folders = ["--originals", drawn, "--anonymized", after]
    subprocess.run(["anonlib", "audit", *folders, "--out", arguments.out / "deface.html"], check=True)


def draw(folder: Path, people: int) -> None:
    """Writes the pictures of each person to a folder of its own."""
    for number in tqdm(range(people), desc="people"):
        person = folder / f"person{number:04}"
        if person.exists():
            continue
        pictures = synthetic_faces([FIRST + number], images=PICTURES, size=SIDE, seed=SEED).images
        person.mkdir(parents=True)
        for index, picture in enumerate(pictures):
            write_png(picture, str(person / f"{index}.png"))


def hide(drawn: Path, after: Path, python: Path) -> None:
    """Runs deface on all pictures that are not in `after` yet."""
    files = [file for file in sorted(drawn.rglob("*.png")) if not (after / file.relative_to(drawn)).exists()]
    for first in tqdm(range(0, len(files), TOGETHER), desc="deface"):
        some = files[first : first + TOGETHER]
        result = subprocess.run([python, "-m", "deface.deface", *some], capture_output=True, text=True)
        for file in some:
            new, target = file.with_name(f"{file.stem}_anonymized.png"), after / file.relative_to(drawn)
            if not new.exists():
                raise SystemExit(f"deface wrote nothing for {file}:\n{result.stderr[-500:]}")
            target.parent.mkdir(parents=True, exist_ok=True)
            new.rename(target)


if __name__ == "__main__":
    main()

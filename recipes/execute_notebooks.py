"""Run notebooks in order and store their outputs, as the repository keeps them.

    ANONLIB_PROFILE=laptop python -m recipes.execute_notebooks notebooks/*.ipynb
    ANONLIB_PROFILE=smoke python -m recipes.execute_notebooks --time-only notebooks/*.ipynb

The profile comes from ANONLIB_PROFILE, as in the notebooks. Progress bars, timings and the state of widgets
are not stored (a picture of each widget is), so a second run changes only lines whose content changed.
A warning stops the run like an error.

`--record` adds the time of each notebook to results/notebooks/times.csv.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import torch
from nbclient import NotebookClient
from PIL import Image

from anonlib.files import commit, hardware

TIMES = Path(__file__).resolve().parents[1] / "results" / "notebooks" / "times.csv"
COLUMNS = ("notebook", "profile", "seconds", "threads", "hardware", "commit", "date")
WIDEST = 1400
VISIBLE = 11
"""Error of a colour, of 255, from which 96 are too few; anywhere in a picture of a quarter of the size."""
WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(path: Path) -> Any:
    """Run one notebook in its own folder; returns it with clean outputs."""
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(path.parent)}}
    NotebookClient(
        notebook, timeout=None, record_timing=False, store_widget_state=False, resources=folder
    ).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [kept for output in cell.outputs if (kept := clean(output, path))]
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata.pop("widgets", None)
    return notebook


def clean(output: Any, path: Path) -> Any:
    """An output as it is stored, or None for what is not: progress bars and live widgets.

    Raises:
        RuntimeError: it holds a warning.
    """
    if output.get("name") == "stderr":
        if "warning" in output.text.lower():
            raise RuntimeError(f"{path} warns: {output.text}")
        return None
    if "data" in output and output.data.pop(WIDGET, None) and set(output.data) <= {"text/plain"}:
        return None
    if "image/png" in output.get("data", {}):
        kind, encoded = small(output.data.pop("image/png"))
        output.data[kind] = encoded
        if "image/png" in output.metadata:
            output.metadata[kind] = output.metadata.pop("image/png")
    return output


def small(encoded: str) -> tuple[str, str]:
    """A picture in base64 with its type: PNG with few colours, or JPEG where that is clearly smaller.

    A notebook may have 1 MB. Diagrams stay PNG; rows of faces become JPEG, up to `WIDEST` pixels wide.
    """
    picture = Image.open(BytesIO(b64decode(encoded))).convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    png, jpeg = BytesIO(), BytesIO()
    few = flat.quantize(96, method=Image.Quantize.MAXCOVERAGE, kmeans=2)
    error = np.subtract(few.convert("RGB").reduce(4), flat.reduce(4), dtype=np.int16)
    colours = few if np.abs(error).max() < VISIBLE else flat.quantize(256)
    colours.save(png, format="png", optimize=True)
    flat.thumbnail((WIDEST, WIDEST))
    flat.save(jpeg, format="jpeg", quality=75, optimize=True, progressive=True)
    smaller = len(jpeg.getvalue()) < 0.8 * len(png.getvalue())
    kind, buffer = ("image/jpeg", jpeg) if smaller else ("image/png", png)
    return kind, b64encode(buffer.getvalue()).decode()


def record(path: Path, *, profile: str, seconds: float) -> None:
    """Replaces the row of this notebook and profile in the table of times."""
    rows = list(csv.DictReader(TIMES.open(newline=""))) if TIMES.exists() else []
    rows = [row for row in rows if (row["notebook"], row["profile"]) != (path.stem, profile)]
    values = (
        path.stem,
        profile,
        round(seconds),
        torch.get_num_threads(),
        hardware().split(",")[0],
        commit(),
        time.strftime("%Y-%m-%d"),
    )
    rows.append(dict(zip(COLUMNS, map(str, values), strict=True)))
    TIMES.parent.mkdir(parents=True, exist_ok=True)
    with TIMES.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: (row["notebook"], row["profile"])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--time-only", action="store_true", help="leave the stored outputs alone")
    parser.add_argument("--record", action="store_true", help=f"write times to {TIMES.name}")
    arguments = parser.parse_args()
    for path in arguments.notebooks:
        start = time.time()
        notebook = execute(path)
        seconds = time.time() - start
        print(f"{path.stem}: {seconds:.0f} s", file=sys.stderr, flush=True)
        if not arguments.time_only:
            nbformat.write(notebook, path)
        if arguments.record:
            record(path, profile=os.environ.get("ANONLIB_PROFILE", "laptop"), seconds=seconds)


if __name__ == "__main__":
    main()

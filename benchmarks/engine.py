"""`anonlib anonymize --engine ray` against the local engine on one folder, as ratios of one run.

    python benchmarks/engine.py [--pictures 200] [--clips 2] [--workers 1 2]

The folder holds frames of `benchmarks/clip.py` at 640x360 as JPEG, and short clips. Each engine is
a whole process, timed from its start; `steady` leaves the start out: files a second from the first
finished output to the last. Results go to results/engine.csv and .json; that of other folders and
machines differs, the ratios less.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import torch
from clip import make_clip
from speed import ANONLIB, timed

from anonlib.files import commit, hardware

RESULTS = Path(__file__).resolve().parent.parent / "results"
SIZE = (360, 640)


def make_folder(folder: Path, *, pictures: int, clips: int, frames: int) -> None:
    """Drawn people: frames of one clip as pictures, and as many clips."""
    folder.mkdir()
    for number in range(clips):
        make_clip(folder / f"{number}.mp4", frames=frames, size=SIZE, seed=number)
        (folder / f"{number}.npz").unlink()
    with tempfile.TemporaryDirectory() as other:
        make_clip(Path(other) / "a.mp4", frames=pictures, size=SIZE, seed=clips)
        with av.open(f"{other}/a.mp4") as container:
            for number, frame in enumerate(container.decode(video=0)):
                frame.to_image().save(folder / f"{number:04d}.jpg", quality=95)


def steady(out: Path) -> float:
    """Files a second from the first finished output to the last."""
    times = sorted(path.stat().st_mtime for path in out.iterdir())
    return (len(times) - 1) / (times[-1] - times[0])


def compare(folder: Path, engines: dict[str, list[str]]) -> list[dict[str, Any]]:
    """A row for each engine, the local one first; all write the same files."""
    rows: list[dict[str, Any]] = []
    for name, options in engines.items():
        out = folder.with_name(f"out-{len(rows)}")
        command = [sys.executable, "-c", ANONLIB, "anonymize", str(folder), "-o", str(out)]
        run = timed([*command, "--device", "cpu", *options])
        row: dict[str, Any] = {"engine": name, "files": len(list(out.iterdir()))}
        row |= {"seconds": round(run["seconds"], 1), "steady": round(steady(out), 2)}
        first = rows[0] if rows else row
        row["whole_ratio"] = round(first["seconds"] / row["seconds"], 2)
        row["steady_ratio"] = round(row["steady"] / first["steady"], 2)
        rows.append(row)
        print(row, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--frames", type=int, default=60, help="of each clip")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    engines: dict[str, list[str]] = {"local": []}
    for count in arguments.workers:
        engines[f"ray, {count}"] = ["--engine", "ray", "--workers", str(count)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "in"
        make_folder(folder, pictures=arguments.pictures, clips=arguments.clips, frames=arguments.frames)
        rows = compare(folder, engines)
    record = {
        "command": " ".join(["python benchmarks/engine.py", *sys.argv[1:]]),
        "commit": commit(),
        "seed": 0,
        "date": time.strftime("%Y-%m-%d"),
        "hardware": hardware(),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (arguments.out / "engine.csv").open("w") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    (arguments.out / "engine.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()

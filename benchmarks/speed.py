"""`anonlib anonymize` against the package deface: frames a second of whole processes, five inputs.

    python benchmarks/speed.py --deface PYTHON_WITH_DEFACE [--clip CLIP.mp4]

The clip comes from `benchmarks/clip.py`; without one it is made. From it `benchmarks/speed_clips.py`
makes shorter inputs: nobody in the picture, four times as many faces, 4K, photographs of 12
megapixels. The programs take turns, each process is timed from its start to its end. Each was
started once before, so that Python's compiled files and anonlib's compiled networks are there. A
face counts as changed if little of its detail is left: at 48x48, the correlation of its luma less
the mean of 3x3 with the original's is under 0.7 (faces that were only encoded anew have 0.97 and
more). Results go to results/real/speed.csv and .json; all of it takes about ten minutes on two
idle cores.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import torch.nn.functional as F
from clip import make_clip
from speed_clips import crowded, larger, nobody, photographs

from anonlib.config import DETECTOR, METHOD
from anonlib.files import commit, hardware
from anonlib.metrics.intervals import proportion_interval

RESULTS = Path(__file__).resolve().parent.parent / "results" / "real"
ANONLIB = "from anonlib.cli import main; main()"
GRID, ALIKE = 48, 0.7
LEVELS = 4
"""Of 255: more than what encoding changes."""
SHORT, PICTURES = 72, 24
"""Frames of the shorter clips, and how many photographs."""
MAIN, WARM = "the clip", "nobody"


def programs(deface: str, options: list[str]) -> dict[str, list[str]]:
    """Commands without their input and output, by name."""
    ours = [sys.executable, "-c", ANONLIB, "anonymize", "--overwrite", "--device", "cpu"]
    return {"anonlib": [*ours, *options], "deface 640x360": [deface, "-m", "deface.deface", "-s", "640x360"]}


def inputs(clip: Path, folder: Path) -> dict[str, list[Path]]:
    """The files of each input; the clip itself comes last."""
    made = {name: folder / f"{name.replace(' ', '-')}.mp4" for name in (WARM, "many faces", "4K")}
    nobody(made[WARM], frames=2 * SHORT)
    crowded(clip, made["many faces"], frames=SHORT)
    larger(clip, made["4K"], frames=SHORT)
    photographs(clip, folder / "photographs", count=PICTURES)
    found = {name: [path] for name, path in made.items()}
    return {**found, "photographs": sorted((folder / "photographs").iterdir()), MAIN: [clip]}


def as_installed(folder: Path) -> dict[str, str]:
    """The environment of a program that is used often: what it compiles is kept, here in a folder."""
    kept = {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "XDG_CACHE_HOME": str(folder / "cache")}
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | kept


def timed(command: list[str], environment: Mapping[str, str] = os.environ) -> dict[str, float]:
    """Seconds, and seconds of all cores, of a process and those it waits for.

    Raises:
        SystemExit: it failed.
    """
    start = time.perf_counter()
    process = os.posix_spawnp(command[0], command, environment)
    _, status, used = os.wait4(process, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return {"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime}


def lumas(path: Path) -> Iterator[torch.Tensor]:
    """Luma of every frame, `(H, W)` float in [0, 255]."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield torch.from_numpy(frame.to_ndarray(format="gray")).float()


def likeness(a: torch.Tensor, b: torch.Tensor, box: np.ndarray) -> float:
    """Correlation of the detail of two pictures in a box."""
    x0, y0, x1, y1 = box.round().astype(int)
    details = []
    for picture in (a, b):
        face = F.interpolate(picture[None, None, y0:y1, x0:x1], (GRID, GRID), mode="bilinear", antialias=True)
        details.append((face - F.avg_pool2d(face, 3, 1, 1, count_include_pad=False)).flatten())
    return float(torch.corrcoef(torch.stack(details))[0, 1].nan_to_num())


def differs(a: torch.Tensor, b: torch.Tensor, box: np.ndarray) -> bool:
    """Whether most of the middle of a box has other brightness: `swap` keeps the outlines that are alike."""
    x0, y0, x1, y1 = ((3 * box + box[[2, 3, 0, 1]]) / 4).round().astype(int)
    away = (a[y0:y1, x0:x1] - b[y0:y1, x0:x1]).abs()
    return float((away > LEVELS).float().mean()) > 0.5


def changed(clip: Path, out: Path, truth: np.ndarray, *, step: int) -> tuple[int, int]:
    """Faces in every `step`-th frame, and how many of them were changed."""
    faces = hidden = frames = 0
    for number, (before, after) in enumerate(zip(lumas(clip), lumas(out), strict=True)):
        frames += 1
        if number % step:
            continue
        for row in truth[truth[:, 0] == number]:
            faces += 1
            box = row[2:]
            hidden += likeness(before, after, box) < ALIKE or differs(before, after, box)
    return faces, hidden


def compare(
    clip: Path, commands: dict[str, list[str]], *, only: set[str], repeats: int, step: int
) -> list[dict[str, Any]]:
    """A row for every run of every program on every input; the clip is repeated."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files, environment = inputs(clip, folder), as_installed(folder)
        for command in commands.values():
            timed([*command, *map(str, files[WARM]), "-o", str(folder / "warm.mp4")], environment)
        for name in [name for name in files if name in only]:
            for repeat in range(repeats if name == MAIN else 1):
                for program, command in commands.items():
                    row = {"input": name, "program": program, "run": repeat + 1}
                    row |= one_run(files[name], command, environment, folder, step=0 if repeat else step)
                    rows.append(row)
                    print(row, flush=True)
    return rows


def one_run(
    files: list[Path], command: list[str], environment: dict[str, str], folder: Path, *, step: int
) -> dict[str, Any]:
    """Times a program on a clip or on photographs; counts the changed faces of a clip, unless `step` is 0."""
    single = len(files) == 1
    out = Path(tempfile.mkdtemp(dir=folder))
    # both write photographs beside the originals, under other names
    target = ["-o", str(out / "out.mp4")] if single else []
    run = timed([*command, *map(str, files), *target], environment)
    faces = hidden = 0
    frames = len(files)
    if single:
        with np.load(files[0].with_suffix(".npz")) as stored:
            truth, frames = stored["faces"].reshape(-1, 6), int(stored["frames"])
        if step:
            faces, hidden = changed(files[0], out / "out.mp4", truth, step=step)
    return {
        "frames": frames,
        **{key: round(value, 2) for key, value in run.items()},
        "fps": round(frames / run["seconds"], 2),
        "cpu_ms_a_frame": round(1000 * run["cpu_seconds"] / frames, 1),
        **(recall(faces, hidden) if faces else dict.fromkeys(recall(1, 1), "")),
    }


def recall(faces: int, hidden: int) -> dict[str, Any]:
    low, high = proportion_interval(hidden, faces)
    return {
        "faces": faces,
        "changed": hidden,
        "recall": round(hidden / faces, 4),
        "recall_low": round(low, 4),
        "recall_high": round(high, 4),
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians, and how many times as fast anonlib is, by the clock and in time of the cores."""
    names = list(dict.fromkeys(row["program"] for row in rows))

    def median(name: str, key: str) -> float:
        return statistics.median(row[key] for row in rows if row["program"] == name)

    return {
        "fps": {name: median(name, "fps") for name in names},
        "cpu_ms_a_frame": {name: median(name, "cpu_ms_a_frame") for name in names},
        "times_as_fast": {n: round(median("anonlib", "fps") / median(n, "fps"), 2) for n in names},
        "cpu_ratio": {
            n: round(median(n, "cpu_seconds") / median("anonlib", "cpu_seconds"), 2) for n in names
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deface", required=True, help="a Python that has the package deface")
    parser.add_argument("--clip", type=Path, help="made by benchmarks/clip.py")
    parser.add_argument("--frames", type=int, default=300, help="of a clip that is made")
    parser.add_argument("--seed", type=int, default=0, help="of a clip that is made")
    parser.add_argument("--people", type=int, nargs=2, default=(2, 6), help="always and at most in it")
    parser.add_argument("--repeats", type=int, default=1, help="of the clip itself")
    parser.add_argument("--step", type=int, default=3, help="changed faces are counted each so many frames")
    parser.add_argument("--only", nargs="+", help="names of inputs, as 'the clip'")
    parser.add_argument("--options", default="", help="of anonlib anonymize, as '--every 3'")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    names = (WARM, "many faces", "4K", "photographs", MAIN)
    with tempfile.TemporaryDirectory() as folder:
        clip = arguments.clip or Path(folder) / "clip.mp4"
        if arguments.clip is None:
            make_clip(clip, frames=arguments.frames, seed=arguments.seed, people=tuple(arguments.people))
        commands = programs(arguments.deface, arguments.options.split())
        only = set(arguments.only or names)
        rows = compare(clip, commands, only=only, repeats=arguments.repeats, step=arguments.step)
    record = {
        "command": "python " + " ".join(["benchmarks/speed.py", "--deface", "PYTHON", *_told(sys.argv[1:])]),
        "commit": commit(),
        "seed": arguments.seed,
        "date": time.strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "cores": os.cpu_count(),
        "method": METHOD,
        "detector": DETECTOR,
        "load_before": load,
        **{n: summary([row for row in rows if row["input"] == n]) for n in names if n in only},
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (arguments.out / "speed.csv").open("w") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    (arguments.out / "speed.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


def _told(words: list[str]) -> list[str]:
    """The arguments without the places of this machine."""
    private = {"--deface", "--out", "--clip"}
    return [
        w
        for before, w in zip(["", *words], words, strict=False)
        if w not in private and before not in private
    ]


if __name__ == "__main__":
    main()

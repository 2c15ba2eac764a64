"""The laptop profile against its first version, and where the time goes.

    git worktree add --detach FIRST 779092162b
    python benchmarks/laptop.py FIRST [--part 20] [--repeats 1]

Each run is a process with one thread. It calls `reproduce` with a part of the profile's people, clips and
steps, all reduced by the same factor. The two versions take turns. Processor time is compared, because other
programs affect it little; the time on the clock is recorded, too. Results go to results/speed/laptop.json and
.csv, one row for each activity and network.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from stopwatch import Stopwatch, hooked

RESULTS = Path(__file__).resolve().parent.parent / "results" / "speed"
ACTIVITIES = {
    "load_data": "rendering",
    "make_world": "rendering",
    "train_adversarially": "game",
    "train_detector": "A alone",
    "train_classifier": "D alone",
    "anonymize_faces": "anonymizing",
    "anonymize_clips": "anonymizing",
    "face_features": "evaluation",
    "recognisability": "evaluation",
    "detect_actions": "evaluation",
    "compare_clear_and_modified": "evaluation",
    "compare_quality": "evaluation",
}
"""Functions that `reproduce` and `validation_score` call, and what they do. A call inside another
one counts as that one."""
LOOKS = 10
"""Times the whole profile looks at its validation people; a part looks once at a tenth each."""


def cut(whole: Any, part: int) -> Any:
    """The profile with a `part`-th of its work; twenty test people is the least for ten folds."""
    data, training = whole.data, whole.training
    steps = round(training.adversarial_steps / part)
    return replace(
        whole,
        data=replace(
            data,
            people=data.people // part,
            train_clips=data.train_clips // part,
            test_clips=data.test_clips // part,
            test_people=20,
            pairs=100,
            test_images=max(2, data.test_people * data.test_images // part // 20),
            validation_people=max(4, LOOKS * data.validation_people // part),
        ),
        training=replace(
            training,
            adversarial_steps=steps,
            judge_every=steps,
            detector_steps=training.detector_steps // part,
            classifier_steps=training.classifier_steps // part,
        ),
    )


def run_part(part: int, precision: str) -> dict[str, Any]:
    """In a process of its own: the part, with the seconds of each activity and network."""
    from anonlib.config import profile

    torch.set_num_threads(1)
    watch = Stopwatch()
    modules = experiment_modules()
    spy_on(watch, modules)
    whole = profile("laptop")
    if precision != "float32":
        whole = replace(whole, training=replace(whole.training, precision=precision))
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        modules[0].reproduce(profile=cut(whole, part), out=Path(folder), progress=False)
        stages = {
            p.stem: json.loads(p.read_text())["seconds"]
            for p in sorted(Path(folder, "stages").glob("*.json"))
        }
    return {
        "cpu_seconds": time.process_time() - start,
        "split": watch.seconds(),
        "stage_wall_seconds": stages,
    }


def experiment_modules() -> list[Any]:
    """The modules that call the `ACTIVITIES`, `reproduce` first; the first version has only that one."""
    try:
        from anonlib.experiment import methods, reproduce, validation
    except ImportError:
        return [import_module("anonlib.evaluation.reproduce")]
    return [reproduce, methods, validation]


def spy_on(watch: Stopwatch, modules: Iterable[Any]) -> None:
    """Makes every activity and every network of this process tell the stopwatch when it begins."""
    from anonlib.networks import ActionDetector, Modifier, SphereFace

    for name, activity in ACTIVITIES.items():
        for module in modules:
            if hasattr(module, name):
                setattr(module, name, inside(watch, activity, getattr(module, name)))
    for network, owner in ((Modifier, "M"), (SphereFace, "D"), (ActionDetector, "A")):
        network.forward = passing(watch, owner, network.forward)
    ActionDetector.losses = passing(watch, "A", ActionDetector.losses)


def inside(watch: Stopwatch, activity: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """The same work, timed as its activity; inside adversarial training it is timed as `judge`."""

    def timed(*args: Any, **kwargs: Any) -> Any:
        name = "judge" if watch.owner.split(":")[0] in ("game", "judge") else activity
        with watch.of(f"{name}:other"):
            return work(*args, **kwargs)

    return timed


def passing(watch: Stopwatch, owner: str, run: Callable[..., Any]) -> Callable[..., Any]:
    """The same forward pass; its time and that of its backward pass are the network's."""

    def timed(self: Any, images: Any, *args: Any) -> Any:
        activity = watch.owner.split(":")[0]
        with watch.of(f"{activity}:{owner}"):
            output = run(self, images, *args)
        if torch.is_grad_enabled():
            outputs = list(output.values()) if isinstance(output, dict) else [output]
            hooked(watch, f"{activity}:{owner}", images, outputs, after=f"{activity}:other")
        return output

    return timed


def versions(first: Path) -> dict[str, tuple[Path, str]]:
    """Source tree and precision of each program, by name."""
    now = Path(__file__).resolve().parent.parent
    return {"first": (first, "float32"), "now": (now, "float32"), "now, bfloat16": (now, "bfloat16")}


def timed(tree: Path, precision: str, part: int) -> dict[str, Any]:
    """A process from its start to its end, with what it printed."""
    command = [sys.executable, __file__, "--run", precision, "--part", str(part)]
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    after = os.times()
    used = after.children_user + after.children_system
    return {
        "process_seconds": time.perf_counter() - start,
        "process_cpu_seconds": used - before.children_user - before.children_system,
        **json.loads(done.stdout.splitlines()[-1]),
    }


def commit(tree: Path) -> str:
    """Of a source tree, marked when it has changes."""
    command = ["git", "-C", str(tree), "describe", "--always", "--dirty", "--abbrev=10"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def summary(rows: list[dict[str, Any]], part: int) -> dict[str, Any]:
    """Medians, and how many times as fast as the first version each is."""
    names = list(dict.fromkeys(row["version"] for row in rows))

    def median(name: str, key: str) -> float:
        return statistics.median(row[key] for row in rows if row["version"] == name)

    cpu = {name: median(name, "cpu_seconds") for name in names}
    return {
        "cpu_seconds": {name: round(x, 1) for name, x in cpu.items()},
        "whole_profile_cpu_minutes": {n: round(part * x / 60, 1) for n, x in cpu.items()},
        "times_as_fast_cpu": {name: round(cpu["first"] / x, 2) for name, x in cpu.items()},
        "process_cpu_seconds": {n: round(median(n, "process_cpu_seconds"), 1) for n in names},
        "process_seconds": {n: round(median(n, "process_seconds"), 1) for n in names},
    }


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Median seconds of each activity and network of each version, and their share."""
    out = []
    for name in dict.fromkeys(row["version"] for row in rows):
        mine = [row for row in rows if row["version"] == name]
        whole = statistics.median(row["cpu_seconds"] for row in mine)
        for key in dict.fromkeys(k for row in mine for k in row["split"]):
            seconds = statistics.median(row["split"].get(key, 0.0) for row in mine)
            activity, _, network = key.partition(":")
            out.append(
                {
                    "version": name,
                    "activity": activity,
                    "network": network or "other",
                    "cpu_seconds": round(seconds, 2),
                    "share": round(seconds / whole, 4),
                }
            )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path, nargs="?", help="a checkout of the first version")
    parser.add_argument("--part", type=int, default=20, help="of the profile: 20 for a twentieth")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--run", metavar="PRECISION", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(run_part(arguments.part, arguments.run)))
        return
    if arguments.first is None:
        parser.error("name a checkout of the first version")
    load, rows = os.getloadavg()[0], []
    for repeat in range(arguments.repeats):
        for name, (tree, precision) in versions(arguments.first.resolve()).items():
            rows.append({"version": name, "run": repeat + 1, **timed(tree, precision, arguments.part)})
            print(name, round(rows[-1]["cpu_seconds"], 1), flush=True)
            write(arguments, rows, load)  # what is measured is kept, whatever fails next


def write(arguments: argparse.Namespace, rows: list[dict[str, Any]], load: float) -> None:
    """The record and the table."""
    from anonlib.files import hardware

    torch.set_num_threads(1)
    record = {
        "command": f"python benchmarks/laptop.py FIRST --part {arguments.part} --repeats {arguments.repeats}",
        "commit": commit(Path(__file__).resolve().parent),
        "first": commit(arguments.first),
        "seed": 0,
        "date": time.strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "torch": torch.__version__,
        "load_before": load,
        **summary(rows, arguments.part),
        "stage_wall_seconds": {row["version"]: row["stage_wall_seconds"] for row in rows},
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "laptop.json").write_text(json.dumps(record, indent=2) + "\n")
    lines = table(rows)
    with (arguments.out / "laptop.csv").open("w") as file:
        writer = csv.DictWriter(file, lines[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


if __name__ == "__main__":
    main()

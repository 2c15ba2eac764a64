"""Whether a black mask costs a stronger action detector A any of JHMDB's actions.

    npm pack nsfwjs@4.3.0 && tar xzf nsfwjs-4.3.0.tgz
    python -m recipes.measure_stronger choose --jhmdb JHMDB --package package --work FOLDER
    python -m recipes.measure_stronger measure unanonymized mask --jhmdb JHMDB --package package --work FOLDER
    python -m recipes.measure_stronger transfer mask --jhmdb JHMDB --package package --work FOLDER
    python -m recipes.measure_stronger table unanonymized mask not-retrained-mask --work FOLDER

choose   Trains A on clear frames of about 70% of the training clips and prints its mAP on the others, which
         come from other source videos.
measure  For each METHOD of `anonlib.anonymizers.create`, trains A on modified training clips and finds the
         actions in modified test clips. Frames, faces and boxes are those of `anonlib reproduce --profile
         workstation --protocol split1`. `--seed` changes A's start and its batches.
transfer Finds the actions in test clips modified by METHOD with the A that was trained on clear clips.
table    Writes mAP, differences from clear frames, and evidence for each action as CSV files, and a record.

Data, outputs and weights stay in --work, outside the repository. What is there is not made again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from anonlib.anonymizers import Anonymizer, create
from anonlib.config import profile
from anonlib.data.jhmdb import JHMDB, sure_clips
from anonlib.data.jhmdb_boxes import jhmdb_boxes
from anonlib.experiment.actions import Detections, anonymize_clips, ground_truth
from anonlib.experiment.datasets import ActionSet, fitted, load_actions
from anonlib.experiment.predictions import read_arrays, rounded, save_arrays
from anonlib.experiment.tables import action_groups, write_csv
from anonlib.files import peak_memory_gb, provenance, write_atomically
from anonlib.metrics.average_precision import (
    Matches,
    average_precision,
    interval,
    match,
    matched_bootstrap,
    matched_precision,
    mean_over_classes,
)
from anonlib.training.batches import frames_drawn
from anonlib.types import ActionFrames
from recipes.nsfw_mobilenet import nsfw_layers
from recipes.stronger_detector import Settings, StrongerDetector, calibrate, detect_in, stem, train

CLEAR, MASK = "unanonymized", "mask"
NOT_RETRAINED = "not-retrained-"
"""Begins the name of a method when A was trained on clear frames and tested on this method."""
HELD_OUT = 0.3
"""Largest share of a class's training clips in the validation part."""
Row = dict[str, Any]


def load(work: Path, jhmdb: Path) -> ActionSet:
    """Frames, boxes and faces of profile `workstation` and protocol `split1`."""
    path = work / "clips.pt"
    if not path.exists():
        clips = load_actions(jhmdb, fitted(profile("workstation"), jhmdb), protocol="split1")
        torch.save(clips, path)
    return stored(work)


def stored(work: Path) -> ActionSet:
    """What `load` has written."""
    with torch.serialization.safe_globals([ActionSet, ActionFrames]):
        clips: ActionSet = torch.load(work / "clips.pt", weights_only=True)
    return clips


def held_out(names: Sequence[str], actions: Mapping[str, str]) -> set[str]:
    """Clips of whole source videos, drawn at random in each class until `HELD_OUT` of its clips.

    >>> names = [f"{source}_run_f_{n}" for source in "abcd" for n in range(2)]
    >>> sorted({name[0] for name in held_out(names, dict.fromkeys(names, "run"))})
    ['a']
    """
    chosen: set[str] = set()
    for action in sorted(set(actions.values())):
        clips = [name for name in names if actions[name] == action]
        sources = sorted({source(name, action) for name in clips})
        random = torch.Generator().manual_seed(0)
        held: list[str] = []
        for k in torch.randperm(len(sources), generator=random).tolist():
            more = [name for name in clips if source(name, action) == sources[k]]
            if len(held) + len(more) <= HELD_OUT * len(clips):
                held += more
        chosen |= set(held)
    return chosen


def source(name: str, action: str) -> str:
    """The video from which a clip of JHMDB was cut."""
    return name.split(f"_{action}_")[0]


def network(
    package: Path, clips: ActionSet, settings: Settings, seed: int
) -> tuple[nn.Module, StrongerDetector]:
    """The fixed blocks and a new A, with the statistics of clear training frames."""
    torch.manual_seed(seed)
    blocks, frame = nsfw_layers(package), clips.train.frames.shape[2:]
    calibrate(blocks, clips.train.frames[::60])
    size = (frame[0], frame[1])
    fixed = stem(blocks, settings, size)
    return fixed, StrongerDetector(blocks, classes=len(clips.actions), frame=size, settings=settings)


def choose(work: Path, jhmdb: Path, package: Path, settings: Settings, seed: int) -> float:
    """mAP at IoU 0.5 on the validation clips, whose boxes come from a detector."""
    clips, data = load(work, jhmdb), JHMDB(jhmdb)
    names = sure_clips(data.split(1)[0], jhmdb_boxes(jhmdb))
    held = held_out(names, {name: data.clips[name].parent.name for name in names})
    validation = torch.tensor([names[clip] in held for clip in clips.train.clips.tolist()])
    fixed, detector = network(package, clips, settings, seed)
    train(detector, fixed, selected(clips.train, ~validation), settings, seed=seed)
    test = selected(clips.train, validation)
    found = detect_in(detector, fixed, test.frames)
    return average_precision(found, ground_truth(test), classes=len(clips.actions)).mean


def selected(clips: ActionFrames, chosen: Tensor) -> ActionFrames:
    """The frames at which `(N,)` bool is true."""
    rows = chosen.nonzero().flatten()
    kept = rows.tolist()
    lists = {
        name: [getattr(clips, name)[row] for row in kept]
        for name in ("boxes", "labels", "face_boxes", "landmarks", "identities")
    }
    return replace(clips, frames=clips.frames[rows], clips=clips.clips[rows], **lists)


def measure(name: str, work: Path, jhmdb: Path, package: Path, settings: Settings, seed: int) -> None:
    """Writes the detections of A in the test frames of a method, as `save_predictions` does, and a record."""
    begun, clips = time.time(), load(work, jhmdb)
    folder = work / f"seed{seed}"
    folder.mkdir(exist_ok=True)
    if (folder / f"{name}.npz").exists():
        return
    fixed, detector = network(package, clips, settings, seed)
    drawn = frames_drawn(len(clips.train), settings.frames, seed=seed, steps=settings.steps)
    modified = anonymize_clips(clips.train, method(name, seed), only=drawn)
    print(f"{name}: faces modified after {time.time() - begun:.0f} s", flush=True)
    train(detector, fixed, modified, settings, seed=seed, checkpoint=folder / f"{name}.pt")
    found = detect_in(detector, fixed, anonymize_clips(clips.test, method(name, seed)).frames)
    keep(folder / name, found, clips, settings, seed, begun=begun)


def transfer(
    names: Sequence[str], work: Path, jhmdb: Path, package: Path, settings: Settings, seed: int
) -> None:
    """Writes the detections of the A that was trained on clear frames in the test frames of other methods."""
    begun, clips, folder = time.time(), load(work, jhmdb), work / f"seed{seed}"
    fixed, detector = network(package, clips, settings, seed)
    state = torch.load(folder / f"{CLEAR}.pt", weights_only=True)
    assert state["step"] == settings.steps, "measure clear frames first"
    detector.load_state_dict(state["detector"])
    clear = detect_in(detector, fixed, clips.test.frames)
    rows = torch.tensor([k for k, boxes in enumerate(clips.test.face_boxes) if len(boxes)])
    for name in names:
        frames = anonymize_clips(clips.test, method(name, seed), only=rows).frames[rows]
        found = dict(zip(rows.tolist(), detect_in(detector, fixed, frames), strict=True))
        merged = [found.get(k, own) for k, own in enumerate(clear)]
        keep(folder / f"{NOT_RETRAINED}{name}", merged, clips, settings, seed, begun=begun)


def method(name: str, seed: int) -> Anonymizer:
    """A method of `anonlib.anonymizers.create`; the people that `swap` draws follow from the seed."""
    return create(name, seed=seed) if name == "swap" else create(name)


def keep(
    path: Path, found: Detections, clips: ActionSet, settings: Settings, seed: int, *, begun: float
) -> None:
    """Writes the matches of detections in the test frames to `path`.npz, and a record to `path`.json."""
    matches = match(rounded(found), ground_truth(clips.test), classes=len(clips.actions))
    name = path.name.removeprefix(NOT_RETRAINED)
    command = f"measure {name}" if name == path.name else f"transfer {name}"
    options = f"--jhmdb JHMDB --package package --work FOLDER --steps {settings.steps} --seed {seed}"
    record = provenance(command=f"python -m recipes.measure_stronger {command} {options}", seed=seed)
    record |= {"seconds": round(time.time() - begun), "cpu_seconds": round(time.process_time())}
    record |= {"peak_memory_gb": peak_memory_gb(), "settings": asdict(settings)}
    write_atomically(path.with_name(f"{path.name}.json"), json.dumps(record, indent=1).encode())
    arrays = {key: np.asarray(value) for key, value in asdict(matches).items()}
    save_arrays(path.with_name(f"{path.name}.npz"), arrays | {"clip": clips.test.clips.numpy()})


def summary(path: Path, frames: Tensor | None = None) -> Row:
    """mAP, average precision of each class, and the same on 200 resamples of the test clips.

    Only frames at which `(N,)` bool is true count; by default all.
    """
    arrays = read_arrays(path)
    clip = arrays.pop("clip")
    if frames is not None:
        kept, arrays["positives"] = frames.numpy(), arrays["positives"] * frames.numpy()[:, None]
        mine = kept[arrays["image"]]
        arrays |= {name: arrays[name][mine] for name in ("score", "image", "label", "hit")}
    matches = Matches(**arrays)
    precision, samples = matched_precision(matches), matched_bootstrap(matches, clips=clip)
    return {"map": precision.mean, "per_class": precision.per_class.tolist(), "samples": samples}


def compared(results: Mapping[str, Row], frames: str) -> list[Row]:
    """mAP of each method, its difference from clear frames and its ratio, on the same resampled clips.

    `frames` says which frames the results are of.
    """
    rows, clear = [], results[CLEAR]
    of_clear = mean_over_classes(clear["samples"])
    for name, row in results.items():
        means = mean_over_classes(row["samples"])
        rows.append(
            {"method": name, "frames": frames}
            | _columns("map", row["map"], means)
            | _columns("clear_minus_method", clear["map"] - row["map"], of_clear - means)
            | _columns("method_over_clear", row["map"] / clear["map"], means / of_clear)
        )
    return rows


def evidence(results: Mapping[str, Row], actions: Sequence[str]) -> list[Row]:
    """Average precision of each action, and clear less mask with its interval, the largest first.

    The columns that begin with `NOT_RETRAINED` are of the A that was trained on clear frames.
    """
    clear, masks = results[CLEAR], [name for name in (MASK, NOT_RETRAINED + MASK) if name in results]
    rows: list[Row] = []
    for k, action in enumerate(actions):
        row: Row = {"action": action} | {name: result["per_class"][k] for name, result in results.items()}
        for name in masks:
            lost = clear["samples"][:, k] - results[name]["samples"][:, k]
            row |= _columns(f"clear_minus_{name}", row[CLEAR] - row[name], lost)
            row |= {f"evidence_{name}": row[f"clear_minus_{name}_lo"] > 0}
        rows.append(row)
    return sorted(rows, key=lambda row: -row[f"clear_minus_{masks[0]}"])


def _columns(name: str, value: float, samples: np.ndarray) -> Row:
    low, high = interval(samples)
    return {name: float(value), f"{name}_lo": low, f"{name}_hi": high}


def table(methods: Sequence[str], work: Path, out: Path, seed: int) -> None:
    """Writes map.csv, evidence.csv, action_groups.csv and run.json."""
    files = {name: work / f"seed{seed}" / f"{name}.npz" for name in methods}
    results = {name: summary(path) for name, path in files.items()}
    clips = stored(work)
    face = torch.tensor([len(boxes) > 0 for boxes in clips.test.face_boxes])
    rows = compared(results, "all")
    for which, frames in (("with a face", face), ("without a face", ~face)):
        rows += compared({name: summary(path, frames) for name, path in files.items()}, which)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "map.csv", rows)
    write_csv(out / "evidence.csv", evidence(results, clips.actions))
    write_csv(out / "action_groups.csv", action_groups(results, clips.actions))
    records = {name: json.loads((work / f"seed{seed}" / f"{name}.json").read_text()) for name in methods}
    write_atomically(out / "run.json", (json.dumps(records, indent=1) + "\n").encode())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=("choose", "measure", "transfer", "table"))
    parser.add_argument("methods", nargs="*", default=[CLEAR, MASK], help="names of methods")
    parser.add_argument("--jhmdb", type=Path, default=Path("jhmdb"))
    parser.add_argument("--package", type=Path, default=Path("package"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("results", "jhmdb-stronger-a"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=Settings().steps)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = replace(Settings(), steps=arguments.steps)
    work, seed = arguments.work, arguments.seed
    work.mkdir(parents=True, exist_ok=True)
    if arguments.stage == "choose":
        print(f"mAP {choose(work, arguments.jhmdb, arguments.package, settings, seed):.3f}")
    elif arguments.stage == "measure":
        for name in arguments.methods:
            measure(name, work, arguments.jhmdb, arguments.package, settings, seed)
    elif arguments.stage == "transfer":
        transfer(arguments.methods, work, arguments.jhmdb, arguments.package, settings, seed)
    else:
        table(arguments.methods, work, arguments.out, seed)


if __name__ == "__main__":
    main()

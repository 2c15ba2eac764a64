"""Measures who is recognised on LFW after a way to modify faces, by attackers from weak to strong.

    pip install 'anonlib[dlib]'
    python -m recipes.measure_swap clear --lfw LFW --faces CELEBA
    python -m recipes.measure_swap start
    python -m recipes.measure_swap attack context:1.0 field:0.5 modifier-photo swap swap:head --lfw LFW
    python -m recipes.measure_swap table context:1.0 context:head --csv results/real/context.csv

clear    Crops LFW's fold 5 (choices), folds 6-10 (test), and training people: CelebA and LFW people in no
         pair of folds 5-10, without those whom dlib matches with a person in these pairs.
start    Trains dlib's network on filled faces; recipes/adapted_attackers.py.
attack   Makes the modified pictures of each METHOD, then attacks them with
           D, dlib                   as they ship
           D-alone, D-together       adapted to modified pictures, or to these and clear ones
           dlib-alone, dlib-together the same with dlib's network, the strongest
state    Correlation of pose and expression before and after METHOD, and who is recognised by the state alone,
         the numbers that swap passes on.
table    Writes the rows of the methods as CSV, and a record; figure draws the curve of such a table.

METHOD is a name of `anonlib.anonymizers.create` (`swap:head` is swap with extent head), or one of
    context:X       the face's outline, enlarged X times, filled with its mean colour; X may be `head`:
                    hair, ears and neck. What an attacker then reads is the context of the face.
    field:S[:X]     the same filled with the coarse colours of the face: blurred by S eye distances.
    state:NAME      M-state with the weights WORK/NAME.safetensors.
    hole:NAME       what this M would redraw, filled from its surroundings: the context alone of M-state.

Faces are aligned by landmarks of the original picture, an upper bound: an attacker does not have them. For
methods of anonlib, rows `found` align by MTCNN's landmarks of the modified picture, where it finds the face.
Pictures, features and attackers stay in --work, outside the repository. What is there is not made again.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anonlib.anonymizers.swap.model import MeshModel
from anonlib.anonymizers.swap.state import State, read_state, turn
from anonlib.attack import recognizers
from anonlib.attack.verification import similarities, verify_scores
from anonlib.data.lfw import lfw_pairs, pairs_among
from anonlib.files import provenance, write_atomically
from anonlib.metrics.intervals import jackknife_interval
from anonlib.metrics.verification import Pairs
from anonlib.networks.dlib_resnet import DlibResNet
from recipes import adapted_attackers as adapted
from recipes.attacked_pictures import FOLDS, Index, clear, file_name
from recipes.state_measures import MESH, Points68, correlations, learned_metric, measures

STATES = 1000
"""Test pictures whose pose and expression are measured."""
ATTACKERS = ("D", "dlib", "D-alone", "D-together", "dlib-alone", "dlib-together")


def auc(scores: np.ndarray, same: np.ndarray) -> float:
    """Chance that a pair of one person scores higher than a pair of two; ties count half."""
    values, rank = np.unique(scores, return_inverse=True)
    count = np.bincount(rank[~same], minlength=len(values))
    below = np.concatenate([[0], count.cumsum()[:-1]]) + count / 2
    return float(below[rank[same]].mean() / (~same).sum())


def figures(scores: np.ndarray, pairs: Pairs) -> dict[str, float]:
    """Accuracy and AUC of `(P,)` similarities, with 95% intervals over folds; a single fold is cut in ten."""
    if len(np.unique(pairs.fold)) == 1:
        parts = np.zeros(len(pairs), np.int64)
        for kind in (pairs.same, ~pairs.same):
            parts[kind] = np.arange(kind.sum()) % 10
        pairs = replace(pairs, fold=parts)
    found = verify_scores(scores, pairs)
    lo, hi = jackknife_interval(lambda chosen: auc(scores[chosen], pairs.same[chosen]), pairs.fold)
    values = (found.accuracy, found.lo, found.hi, auc(scores, pairs.same), lo, hi)
    names = ("accuracy", "accuracy_lo", "accuracy_hi", "auc", "auc_lo", "auc_hi")
    return {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}


# ---- attacks --------------------------------------------------------------------------------


def attack(method: str, work: Path, lfw: Path, parts: list[str], attackers: list[str]) -> None:
    """Writes `rows/METHOD_PART_ATTACKER.json` for every part and attacker that lacks it."""
    for attacker in attackers:
        reader: Attacker | None = None
        for part in parts:
            path = work / "rows" / f"{file_name(method)}_{part}_{attacker}.json"
            if not path.exists():
                kind, _, mode = attacker.partition("-")
                reader = reader or (
                    learned(kind, method, work, together=mode == "together")
                    if mode
                    else shipped(kind, method, work)
                )
                rows = compared(reader, method, Index(work, part), lfw)
                rows = [{"method": method, "attacker": attacker, **row} for row in rows]
                write_atomically(path, json.dumps(rows, indent=1).encode())
                for row in rows:
                    names = " ".join(
                        str(row[n]) for n in ("method", "part", "attacker", "landmarks", "faces")
                    )
                    print(f"{names} {100 * row['accuracy']:.1f} ({100 * row['auc']:.1f})", flush=True)


Features = dict[str, tuple[np.ndarray, np.ndarray]]
"""Unit features of the two pictures of `modified` and `modified_original` pairs, each `(N, F)`."""
Attacker = Callable[[Index, Tensor], Features]
"""Reads a part's modified pictures, aligned by landmarks `(N, 5, 2)`."""


def shipped(kind: str, method: str, work: Path) -> Attacker:
    """A recogniser that was not adapted."""
    recognize = recognizers.create({"D": "sphereface"}.get(kind, kind))

    def read(index: Index, landmarks: Tensor) -> Features:
        path = work / f"clear_{index.part}_{kind}.npy"
        if not path.exists():
            np.save(path, recognize(index.faces("clear", index.landmarks)))
        hidden = recognize(index.faces(method, landmarks))
        return {"modified": (hidden, hidden), "modified_original": (hidden, np.load(path))}

    return read


def learned(kind: str, method: str, work: Path, *, together: bool) -> Attacker:
    """A recogniser adapted to modified pictures of the training people, or to these and their clear pictures.

    Without clear pictures it cannot read them: its features are compared with dlib's, which it was taught.
    """
    train, zoom = Index(work, "train"), zoom_of(method)
    network = adapted.network_of(kind, work / "start.pt")

    def seen(index: Index, name: str, landmarks: Tensor) -> np.ndarray:
        path = work / f"seen_{kind}_{zoom if kind == 'dlib' else 1}_{file_name(name)}_{index.part}.npy"
        original = landmarks is index.landmarks
        if original and path.exists():
            return np.load(path)
        found = adapted.activations(network, index.crops(name), landmarks, zoom)
        if original:
            np.save(path, found)
        return found

    target, mean = adapted.targets(train.features, train.people)
    taught = np.concatenate([target.numpy(), adapted.memberships(train.people)], axis=1)
    known = [seen(train, name, train.landmarks) for name in ((method, "clear") if together else (method,))]
    predict = adapted.KernelRidge(
        np.concatenate(known), np.concatenate([taught] * len(known)), split=adapted.SPLIT[kind]
    )

    def features(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What dlib says of the clear picture, and the same with who it is."""
        predicted = predict(found)
        first, second = (adapted.unit(x) for x in np.split(predicted, [target.shape[1]], axis=1))
        return first, adapted.unit(np.concatenate([first, second], axis=1))

    def read(index: Index, landmarks: Tensor) -> Features:
        first, both = features(seen(index, method, landmarks))
        if together:
            clear = features(seen(index, "clear", index.landmarks))[1]
            return {"modified": (both, both), "modified_original": (both, clear)}
        clear = adapted.unit((index.features - mean).numpy())
        return {"modified": (both, both), "modified_original": (first, clear)}

    return read


def zoom_of(method: str) -> float:
    """How much of the picture is looked at: more where more of it is filled."""
    _, _, extent = method.partition(":")
    large = extent.endswith("head") or (method.startswith("context") and float(extent) > 1.3)
    return adapted.VIEWS["head" if large else "face"]


def pairs_of(index: Index, lfw: Path) -> Pairs:
    """The pairs of a part, as rows of the index."""
    pictures = [(Path(f).parent.name, int(Path(f).stem[-4:])) for f in index.files.tolist()]
    return pairs_among(pictures, lfw_pairs(lfw, FOLDS[index.part])[:: index.every])


def compared(read: Attacker, method: str, index: Index, lfw: Path) -> list[dict[str, Any]]:
    """Rows of two modified pictures, and of a modified and a clear one, by original or found landmarks."""
    pairs, rows = pairs_of(index, lfw), []
    index.crops(method)  # before `found`: both are written together
    for name, landmarks in (("original", index.landmarks), ("found", index.found(method))):
        if landmarks is None:
            continue
        again = ~landmarks.isnan().flatten(1).any(1)
        points = (
            torch.where(again[:, None, None], landmarks, index.landmarks) if name == "found" else landmarks
        )
        for faces, (first, second) in read(index, points).items():
            row = {"part": index.part, "landmarks": name, "faces": faces, "pairs": len(pairs)}
            row["found_again"] = round(float(again.float().mean()), 4) if name == "found" else None
            rows.append(row | figures(similarities(first, second, pairs), pairs))
    return rows


def state(method: str, part: str, work: Path, lfw: Path) -> None:
    """Prints how well pose and expression survive, and who is recognised by the state alone."""
    test, train = Index(work, part), Index(work, "train")
    model, find = MeshModel.load(), Points68()
    shape, chosen = (
        model.rest.numpy()[list(MESH)],
        np.arange(0, len(test.files), max(1, len(test.files) // STATES)),
    )
    before, after = (
        np.array([measures(find(test.crops(name)[n]), shape) for n in chosen]) for name in ("clear", method)
    )
    found: dict[str, Any] = {
        "method": method,
        "part": part,
        "pictures": len(chosen),
        **correlations(before, after),
    }
    pairs = pairs_of(test, lfw)
    seen = {one.part: read_state(torch.from_numpy(one.points), model) for one in (train, test)}
    vectors: dict[str, Callable[[State], Tensor]] = {
        "expression": lambda state: state.expression,
        "expression and turn": lambda state: torch.cat([state.expression, turn(state)[:, :2]], 1),
    }
    for name, vector in vectors.items():
        known, tested = (vector(seen[one.part]).numpy() for one in (train, test))
        unit = adapted.unit((tested - known.mean(axis=0)) @ learned_metric(known, train.people))
        found[f"recognised by {name}"] = figures(similarities(unit, unit, pairs), pairs)
    write_atomically(
        work / "rows" / f"{file_name(method)}_{part}_state.json", json.dumps(found, indent=1).encode()
    )
    print(json.dumps(found, indent=1))


def start(work: Path) -> None:
    """Trains dlib's network on filled faces, once for all methods."""
    train, network = Index(work, "train"), DlibResNet(recognizers.model_file("dlib"))
    target, mean = adapted.targets(train.features, train.people)
    batch = adapted.start_batch(train.crops(), train.mesh, train.landmarks, target)
    adapted.train_start(network.to(memory_format=torch.channels_last), batch, mean)
    torch.save(network.state_dict(), work / "start.pt")


def table(methods: list[str], part: str, work: Path, path: Path) -> None:
    """Writes all rows of the methods on a part as CSV, and how they were made as JSON."""
    stems = [f"{file_name(method)}_{part}_{attacker}" for method in methods for attacker in ATTACKERS]
    files = [file for stem in stems if (file := work / "rows" / f"{stem}.json").exists()]
    rows = [row for file in files for row in json.loads(file.read_text())]
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    command = f"python -m recipes.measure_swap table {shlex.join(methods)} --csv {path.name}"
    train = Index(work, "train")
    training = {"people": len(set(train.people.tolist())), "pictures": len(train.files)}
    names = ("BATCH", "START_STEPS", "START_RATE", "FROZEN", "VIEWS", "LAYERS", "GAMMA", "RIDGE")
    training |= {name.lower(): getattr(adapted, name) for name in names}
    record = {**provenance(command=command, seed=0), "folds": list(FOLDS[part]), "training": training}
    write_atomically(path.with_suffix(".json"), (json.dumps(record, indent=2) + "\n").encode())


def draw_curve(path: Path) -> None:
    """Draws the rows `context:X` of a table: what the strongest attacker reads of the context, by extent."""
    import matplotlib.pyplot as plt

    rows = [row for row in csv.DictReader(path.open()) if row["method"].startswith("context:")]
    extents = list(dict.fromkeys(row["method"].partition(":")[2] for row in rows))
    figure, axes = plt.subplots(figsize=(9, 5), dpi=200, layout="constrained")
    kinds = (("modified", "two modified pictures", "o"), ("modified_original", "modified and clear", "s"))
    for at, (faces, label, marker) in enumerate(kinds):
        best = [
            max(
                (row for row in rows if row["method"] == f"context:{extent}" and row["faces"] == faces),
                key=lambda row: float(row["accuracy"]),
            )
            for extent in extents
        ]
        low, middle, high = (
            100 * np.array([float(row[name]) for row in best])
            for name in ("accuracy_lo", "accuracy", "accuracy_hi")
        )
        places = np.arange(len(extents)) + 0.06 * (2 * at - 1)
        axes.errorbar(places, middle, [middle - low, high - middle], marker=marker, capsize=4, label=label)
        for x, y in zip(places, middle, strict=True):
            axes.annotate(
                f"{y:.0f}", (x, y), (16 if at else -16, -4), textcoords="offset points", ha="center"
            )
    axes.axhline(50, color="grey", linestyle=":")
    axes.annotate(
        "guessing", (len(extents) - 1, 50), (0, 4), textcoords="offset points", ha="right", color="grey"
    )
    axes.set_xticks(range(len(extents)), [f"face x {e}" if e != "head" else "whole head" for e in extents])
    axes.set(ylim=(48, 90), xlabel="what is filled with one colour", ylabel="pairs judged rightly, %")
    axes.set_title(
        "Without any face, its surroundings still tell who it is,\nuntil the whole head is gone", loc="left"
    )
    axes.legend(frameon=False, title="strongest attacker, LFW folds 6-10")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path.with_suffix(".png"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=["clear", "start", "attack", "state", "table", "figure"])
    parser.add_argument("methods", nargs="*", metavar="METHOD")
    parser.add_argument("--lfw", type=Path, help="LFW with pairs.txt")
    parser.add_argument("--faces", type=Path, action="append", default=[], help="further training people")
    parser.add_argument("--every", type=int, default=1, help="use every n-th pair only")
    parser.add_argument("--pictures", type=int, default=4, help="pictures of a training person at most")
    parser.add_argument("--part", action="append", choices=list(FOLDS), help="by default choice, then test")
    parser.add_argument("--attacker", action="append", choices=ATTACKERS, help="by default all")
    parser.add_argument("--csv", type=Path, help="table to write or to draw")
    parser.add_argument("--work", type=Path, default=Path("checkpoints/swap"))
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    needed = "csv" if given.stage in ("table", "figure") else "lfw"
    if given.stage != "start" and getattr(given, needed) is None:
        parser.error(f"stage {given.stage} needs --{needed}")
    if given.stage == "clear":
        clear(given.lfw, given.faces, given.work, every=given.every, pictures=given.pictures)
    elif given.stage == "start":
        start(given.work)
    elif given.stage == "figure":
        draw_curve(given.csv)
    elif given.stage == "table":
        table(given.methods, (given.part or ["test"])[0], given.work, given.csv)
    else:
        for method in given.methods:
            if given.stage == "state":
                state(method, (given.part or ["test"])[0], given.work, given.lfw)
                continue
            attack(
                method, given.work, given.lfw, given.part or list(FOLDS), given.attacker or list(ATTACKERS)
            )


if __name__ == "__main__":
    main()

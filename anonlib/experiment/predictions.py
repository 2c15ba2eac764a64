"""The networks' outputs on the test set, stored so that every number can be computed again.

The folder `predictions/` of a run holds no pictures and no names: pairs and frames are known by their
position. Cosines are kept as whole numbers of 1e-5, to which they are rounded.

| file         | arrays                                                                            |
|--------------|-----------------------------------------------------------------------------------|
| `test.npz`   | `same`, `fold` of each pair; `clip` of each frame; `positives` (frames, classes)  |
| `METHOD.npz` | `cosine` of each pair; `image`, `label`, `score`, `hit` of each detection         |
| `attacks.npz`, `attacks-METHOD.npz` | the cosine of each pair under each attack on a method |
| `mixtures.npz` | the cosine of each pair when a share of the people or pictures is masked    |
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from anonlib.attack.verification import DIGITS, verify_scores
from anonlib.errors import CheckpointError
from anonlib.experiment.actions import Detections
from anonlib.files import write_atomically
from anonlib.metrics.average_precision import (
    Matches,
    interval,
    match,
    matched_bootstrap,
    matched_precision,
    mean_over_classes,
)
from anonlib.metrics.verification import Pairs

LEAST_SCORE, MOST_A_FRAME = 0.02, 10
TENTHS = 10
"""Boxes are compared in tenths of a pixel."""


def rounded(found: Detections) -> Detections:
    """Detections as they are kept: the ten with the highest scores in a frame, in half precision."""
    kept = []
    for frame in found:
        rows = frame["scores"].argsort(descending=True, stable=True)[:MOST_A_FRAME]
        rows = rows[frame["scores"][rows] >= LEAST_SCORE]
        boxes = (frame["boxes"][rows] * TENTHS).round().clamp(0, 65535) / TENTHS
        scores = frame["scores"][rows].half().float()
        kept.append({"boxes": boxes, "scores": scores, "labels": frame["labels"][rows]})
    return kept


def save_test(folder: Path, pairs: Pairs, truth: Detections, clips: Tensor, classes: int) -> None:
    """Writes `test.npz`."""
    positives = np.zeros((len(truth), classes), np.uint8)
    for image, boxes in enumerate(truth):
        np.add.at(positives[image], boxes["labels"].numpy(), 1)
    fold, clip = pairs.fold.astype(np.uint8), clips.numpy().astype(np.uint16)
    save_arrays(folder / "test.npz", {"same": pairs.same, "fold": fold, "clip": clip, "positives": positives})


def save_predictions(
    folder: Path, name: str, cosine: np.ndarray, found: Detections, truth: Detections, classes: int
) -> None:
    """Writes `NAME.npz`, detections by falling score; their boxes are not kept."""
    found = rounded(found)
    matches = match(found, truth, classes=classes)
    arrays: dict[str, np.ndarray] = {
        "cosine": packed(cosine),
        "image": matches.image.astype(np.uint16),
        "label": matches.label.astype(np.uint8),
        "score": matches.score.astype(np.float16),
        "hit": matches.hit,
    }
    save_arrays(folder / f"{name}.npz", arrays)


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays in NumPy's .npz format. LZMA makes the file 16% smaller than NumPy's own compression."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            one = io.BytesIO()
            np.save(one, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), one.getvalue(), zipfile.ZIP_LZMA)
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file of predictions, read without executing anything in it.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"predictions {path} are missing or damaged ({type(error).__name__}): restore the "
            "folder, or run `anonlib reproduce` with another --out"
        ) from error


def packed(cosine: np.ndarray) -> np.ndarray:
    """Cosines as whole numbers of 1e-5, a third of the size."""
    return (cosine * 10**DIGITS).round().astype(np.int32)


def unpacked(stored: np.ndarray) -> np.ndarray:
    """Cosines as float64, with the rounding of the float32 cosines that were packed."""
    if stored.dtype.kind != "i":  # older runs
        return stored
    return (stored.astype(np.float32) / np.float32(10**DIGITS)).astype(np.float64)


def attacks_file(folder: Path, name: str) -> Path:
    """The file with the attacks on a method."""
    return folder / ("attacks.npz" if name == "modifier" else f"attacks-{name}.npz")


def load_pairs(folder: Path) -> Pairs:
    """The verification pairs; the faces they compare are not stored, so their indices are 0."""
    test = read_arrays(folder / "test.npz")
    unknown = np.zeros(len(test["same"]), np.int64)
    return Pairs(first=unknown, second=unknown, same=test["same"], fold=test["fold"].astype(np.int64))


def load_matches(folder: Path, name: str) -> Matches:
    """The detections of a method in the test frames.

    Raises:
        CheckpointError: the predictions are missing, damaged, or of another test.
    """
    path, test = folder / f"{name}.npz", read_arrays(folder / "test.npz")
    stored = read_arrays(path)
    if len(stored.get("cosine", ())) != len(test["same"]):
        raise CheckpointError(f"predictions {path} do not fit test.npz: restore the folder")
    try:
        return Matches(
            score=stored["score"].astype(np.float64),
            image=stored["image"].astype(np.int64),
            label=stored["label"].astype(np.int64),
            hit=stored["hit"],
            positives=test["positives"].astype(np.int64),
        )
    except KeyError as error:
        raise CheckpointError(f"predictions {path} hold no {error}: restore the folder") from error


def summarize(folder: Path, name: str) -> dict[str, Any]:
    """One point of Fig. 4 and one row of Table 1, with 95% intervals, from stored predictions.

    Returns `verification`, the fields of `VerificationResult`; `per_class` and `map`, average precision;
    `map_lo` and `map_hi`; `samples` `(R, C)`, the average precision of each class on resampled clips.

    Raises:
        CheckpointError: the predictions are missing, damaged, or of another test.
    """
    matches, pairs = load_matches(folder, name), load_pairs(folder)
    precision = matched_precision(matches)
    samples = matched_bootstrap(matches, clips=read_arrays(folder / "test.npz")["clip"])
    lo, hi = interval(mean_over_classes(samples))
    return {
        "verification": asdict(verify_scores(load_cosines(folder, name), pairs)),
        "per_class": precision.per_class.tolist(),
        "map": precision.mean,
        "map_lo": lo,
        "map_hi": hi,
        "samples": samples,
    }


def load_cosines(folder: Path, name: str) -> np.ndarray:
    """The cosine `(P,)` of each pair under a method, by the attacker of Fig. 4."""
    return unpacked(read_arrays(folder / f"{name}.npz")["cosine"])


def save_attacks(folder: Path, name: str, cosines: dict[str, np.ndarray]) -> None:
    """Writes the cosine `(P,)` of each pair under each attack on a method."""
    save_arrays(attacks_file(folder, name), {kind: packed(cosine) for kind, cosine in cosines.items()})


def load_attacks(folder: Path, name: str) -> dict[str, np.ndarray]:
    """What `save_attacks` wrote."""
    stored = read_arrays(attacks_file(folder, name))
    return {kind: unpacked(cosine) for kind, cosine in stored.items()}


def summarize_attacks(folder: Path, name: str) -> dict[str, dict[str, float]]:
    """The fields of `VerificationResult` for each attack on a method, from stored predictions."""
    pairs = load_pairs(folder)
    return {kind: asdict(verify_scores(cosine, pairs)) for kind, cosine in load_attacks(folder, name).items()}

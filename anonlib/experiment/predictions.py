"""The networks' outputs on the test set, kept so that every number can be computed again.

The folder `predictions/` of a run holds no pictures and no names: pairs and frames are known by
their position.

| file         | arrays                                                                            |
|--------------|-----------------------------------------------------------------------------------|
| `test.npz`   | `same`, `fold` of each pair; `clip` of each frame; `positives` (frames, classes)  |
| `METHOD.npz` | `cosine` of each pair; `image`, `label`, `score`, `box`, `hit` of each detection  |
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from anonlib.attack.verification import verify_scores
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
"""Boxes are kept in tenths of a pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """The ground truth: `(P,)` pairs and `(N,)` frames."""

    same: np.ndarray
    fold: np.ndarray
    clip: np.ndarray
    positives: np.ndarray
    """`(N, C)` actors of each class in each frame."""

    @property
    def pairs(self) -> Pairs:
        """The pairs; the faces they compare are not stored, so their indices are 0."""
        unknown = np.zeros(len(self.same), np.int64)
        return Pairs(first=unknown, second=unknown, same=self.same, fold=self.fold.astype(np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """The outputs of D and A on the test set anonymized by one method."""

    cosine: np.ndarray
    """`(P,)` similarity of the two faces of each pair."""
    matches: Matches
    """Detected actions, matched with the true ones."""


def rounded(found: Detections) -> Detections:
    """Detections as they are kept: the ten with the highest scores in a frame, in half precision."""
    return [_round(detection) for detection in found]


def _round(found: dict[str, Tensor]) -> dict[str, Tensor]:
    kept = found["scores"].argsort(descending=True, stable=True)[:MOST_A_FRAME]
    kept = kept[found["scores"][kept] >= LEAST_SCORE]
    return {
        "boxes": (found["boxes"][kept] * TENTHS).round().clamp(0, 65535) / TENTHS,
        "scores": found["scores"][kept].half().float(),
        "labels": found["labels"][kept],
    }


def save_test(folder: Path, pairs: Pairs, truth: Detections, clips: Tensor, classes: int) -> None:
    """Writes `test.npz`."""
    positives = np.zeros((len(truth), classes), np.uint8)
    for image, boxes in enumerate(truth):
        np.add.at(positives[image], boxes["labels"].numpy(), 1)
    arrays: dict[str, np.ndarray] = {
        "same": pairs.same,
        "fold": pairs.fold.astype(np.uint8),
        "clip": clips.numpy().astype(np.uint16),
        "positives": positives,
    }
    save_arrays(folder / "test.npz", arrays)


def save_predictions(
    folder: Path, name: str, cosine: np.ndarray, found: Detections, truth: Detections, classes: int
) -> None:
    """Writes `NAME.npz`, detections by falling score."""
    found = rounded(found)
    matches = match(found, truth, classes=classes)
    boxes = np.concatenate([d["boxes"].numpy().reshape(-1, 4) for d in found])
    scores = np.concatenate([d["scores"].numpy() for d in found])
    order = np.argsort(-scores.astype(np.float64), kind="stable")  # as `match` sorts
    arrays: dict[str, np.ndarray] = {
        "cosine": cosine.astype(np.float64),
        "image": matches.image.astype(np.uint16),
        "label": matches.label.astype(np.uint8),
        "score": matches.score.astype(np.float16),
        "box": (boxes[order] * TENTHS).round().astype(np.uint16),
        "hit": matches.hit,
    }
    save_arrays(folder / f"{name}.npz", arrays)


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays, compressed."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
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


def load_test(folder: Path) -> Test:
    """The content of `test.npz`."""
    return _fill(Test, read_arrays(folder / "test.npz"), folder / "test.npz")


def load_predictions(folder: Path, name: str, test: Test) -> Predictions:
    """The content of `NAME.npz`."""
    path = folder / f"{name}.npz"
    stored = read_arrays(path)
    stored.pop("box", None)
    cosine = stored.pop("cosine", None)
    if cosine is None or len(cosine) != len(test.same):
        raise CheckpointError(f"predictions {path} do not fit test.npz: restore the folder")
    kinds = {"image": np.int64, "label": np.int64, "score": np.float64}
    stored = {key: array.astype(kinds.get(key, array.dtype)) for key, array in stored.items()}
    matches = _fill(Matches, {**stored, "positives": test.positives.astype(np.int64)}, path)
    return Predictions(cosine=cosine, matches=matches)


def _fill(kind: Any, arrays: dict[str, np.ndarray], path: Path) -> Any:
    try:
        return kind(**arrays)
    except TypeError as error:
        raise CheckpointError(
            f"predictions {path} hold other arrays than expected: restore the folder"
        ) from error


def summarize(predictions: Predictions, test: Test) -> dict[str, Any]:
    """One point of Fig. 4 and one row of Table 1, with 95% intervals.

    Returns:
        `verification`, a dict of the fields of `VerificationResult`; `per_class` and `map`, average
        precision; `map_lo` and `map_hi`; `samples` `(R, C)`, the average precision of each class on
        each resample of the clips.
    """
    precision = matched_precision(predictions.matches)
    samples = matched_bootstrap(predictions.matches, clips=test.clip)
    lo, hi = interval(mean_over_classes(samples))
    return {
        "verification": asdict(verify_scores(predictions.cosine, test.pairs)),
        "per_class": [float(x) for x in precision.per_class],
        "map": precision.mean,
        "map_lo": lo,
        "map_hi": hi,
        "samples": samples,
    }


def load_summary(folder: Path, name: str) -> dict[str, Any]:
    """`summarize` of a method's stored predictions."""
    test = load_test(folder)
    return summarize(load_predictions(folder, name, test), test)

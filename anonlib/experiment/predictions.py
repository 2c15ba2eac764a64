"""What the networks said of the test, kept, so that every number can be computed again from it.

A run's `predictions/` holds no picture and no name: pairs and frames are known by their place.

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
    """What there is to find: `(P,)` pairs and `(N,)` frames."""

    same: np.ndarray
    fold: np.ndarray
    clip: np.ndarray
    positives: np.ndarray
    """`(N, C)` actors of each class in each frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What D and A said behind one method."""

    cosine: np.ndarray
    """`(P,)` similarity of the two faces of each pair."""
    matches: Matches
    """Actions found, matched with the true ones."""


def rounded(found: Detections) -> Detections:
    """Detections as they are kept: the ten surest a frame, tenths of pixels, half precision."""
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
    _save(
        folder / "test.npz",
        {
            "same": pairs.same,
            "fold": pairs.fold.astype(np.uint8),
            "clip": clips.numpy().astype(np.uint16),
            "positives": positives,
        },
    )


def save_predictions(
    folder: Path, name: str, cosine: np.ndarray, found: Detections, truth: Detections, classes: int
) -> None:
    """Writes `NAME.npz`; detections by falling score."""
    found = rounded(found)
    matches = match(found, truth, classes=classes)
    boxes = np.concatenate([d["boxes"].numpy().reshape(-1, 4) for d in found])
    scores = np.concatenate([d["scores"].numpy() for d in found])
    order = np.argsort(-scores.astype(np.float64), kind="stable")  # as `match` sorts
    _save(
        folder / f"{name}.npz",
        {
            "cosine": cosine.astype(np.float64),
            "image": matches.image.astype(np.uint16),
            "label": matches.label.astype(np.uint8),
            "score": matches.score.astype(np.float16),
            "box": (boxes[order] * TENTHS).round().astype(np.uint16),
            "hit": matches.hit,
        },
    )


def save_cosines(folder: Path, name: str, scores: dict[str, np.ndarray]) -> None:
    """Writes further similarities of the pairs, by who compares what."""
    _save(folder / f"{name}.npz", scores)


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file of predictions; nothing in it is executed.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"predictions {path} are missing or damaged ({type(error).__name__}): restore the "
            "folder, or run `anonlib reproduce` again into another"
        ) from error


def load_test(folder: Path) -> Test:
    """What `save_test` wrote."""
    return _fill(Test, read_arrays(folder / "test.npz"), folder / "test.npz")


def load_predictions(folder: Path, name: str, test: Test) -> Predictions:
    """What `save_predictions` wrote."""
    path = folder / f"{name}.npz"
    stored = read_arrays(path)
    stored.pop("box", None)
    cosine = stored.pop("cosine", None)
    if cosine is None or len(cosine) != len(test.same):
        raise CheckpointError(f"predictions {path} do not fit test.npz: restore the folder")
    whole = {k: v.astype(np.int64) for k, v in stored.items() if k in ("image", "label")}
    stored = {**stored, **whole, "positives": test.positives.astype(np.int64)}
    if "score" in stored:
        stored["score"] = stored["score"].astype(np.float64)
    return Predictions(cosine=cosine, matches=_fill(Matches, stored, path))


def _fill(kind: Any, arrays: dict[str, np.ndarray], path: Path) -> Any:
    try:
        return kind(**arrays)
    except TypeError as error:
        raise CheckpointError(
            f"predictions {path} hold other arrays than expected: restore the folder"
        ) from error


def summarize(predictions: Predictions, test: Test) -> dict[str, Any]:
    """One point of Fig. 4 and one row of Table 1, with 95% intervals."""
    pairs = pairs_of(test)
    precision = matched_precision(predictions.matches)
    samples = matched_bootstrap(predictions.matches, clips=test.clip)
    lo, hi = interval(mean_over_classes(samples))
    return {
        "verification": asdict(verify_scores(predictions.cosine, pairs)),
        "per_class": [float(x) for x in precision.per_class],
        "map": precision.mean,
        "map_lo": lo,
        "map_hi": hi,
    }


def pairs_of(test: Test) -> Pairs:
    """The pairs without the faces they are of."""
    nowhere = np.zeros(len(test.same), np.int64)
    return Pairs(first=nowhere, second=nowhere, same=test.same, fold=test.fold.astype(np.int64))

"""JHMDB's boxes around the actor, read from the best annotation below a root: see `SOURCES`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonlib.data.pickles import load_pickle
from anonlib.errors import ActionDatasetError

JOINT_MARGIN = 0.15
"""Enlarges a box around joints on each side, as a share of its longer side. Chosen by hand, not fitted."""
FRAME = (240, 320)
"""Height and width of every JHMDB frame in pixels."""
SOURCES = (
    "puppet_mask/*/*/puppet_mask.mat",
    "JHMDB-GT.pkl",
    "boxes*.csv without a score",
    "joint_positions/*/*/joint_positions.mat",
    "boxes*.csv with a score",
)
"""The best first: masks of the actor, boxes made from such masks, 15 joints, boxes from a detector."""
_SEE = "see data/README.md#jhmdb"
Boxes = NDArray[np.float64]
Scored = tuple[Boxes, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipBoxes:
    """The actor's box in each frame of a clip."""

    boxes: Boxes
    """`(T, 4)` float xyxy pixels from 0, exclusive end; one row for each frame."""
    score: float | None
    """Mean score of the detector that found them, in [0, 1]; None for hand-made boxes."""
    source: str
    """One of `SOURCES`."""


def jhmdb_boxes(root: str | Path, names: Iterable[str] | None = None) -> dict[str, ClipBoxes]:
    """Boxes of the named clips, or of all, by stem; each from the best source that has the clip, if any.

    Raises:
        ActionDatasetError: there is no source at all, or one is damaged.
    """
    root, wanted = Path(root), None if names is None else frozenset(names)
    tables = sorted(root.glob("boxes*.csv"))
    files = (
        sorted(root.glob(SOURCES[0])),
        sorted(root.glob("JHMDB-GT*.pkl")),
        [path for path in tables if not _has_score(path)],
        sorted(root.glob(SOURCES[3])),
        [path for path in tables if _has_score(path)],
    )
    if not any(files):
        raise ActionDatasetError(
            f"JHMDB root '{root}' holds no boxes: put {' or '.join(SOURCES)} there, {_SEE}"
        )
    found: dict[str, ClipBoxes] = {}

    def needed(name: str) -> bool:
        return name not in found and (wanted is None or name in wanted)

    for source, paths in zip(SOURCES, files, strict=True):
        for path in paths:
            if path.suffix == ".mat" and not needed(path.parent.name):
                continue
            for name, (boxes, score) in _read(path).items():
                if needed(name):
                    found[name] = ClipBoxes(boxes=boxes, score=score, source=source)
    return found


def _read(path: Path) -> dict[str, Scored]:
    """Boxes and mean score of every clip in a file."""
    if path.suffix == ".mat":
        read = mask_boxes if path.stem == "puppet_mask" else joint_boxes
        return {path.parent.name: (read(path), None)}
    if path.suffix == ".pkl":
        return {name: (boxes, None) for name, boxes in tube_boxes(path).items()}
    return csv_boxes(path)


def mask_boxes(path: Path) -> Boxes:
    """The box around the actor's pixels in each frame of a `puppet_mask.mat`, else between its neighbours'.

    Raises:
        ActionDatasetError: the file is damaged, or shows the actor in no frame.
    """
    masks = _matrix(path, "part_mask", "(H, W, T)", lambda shape: len(shape) == 3)
    boxes = np.full((masks.shape[2], 4), np.nan)
    for frame in range(masks.shape[2]):
        rows, columns = np.nonzero(masks[:, :, frame])
        if len(rows):
            boxes[frame] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return _filled(boxes, path)


def joint_boxes(path: Path) -> Boxes:
    """The box around 15 joints in each frame of a `joint_positions.mat`, enlarged, and cut at the frame.

    Raises:
        ActionDatasetError: the file is damaged, or holds no joints.
    """
    joints = _matrix(path, "pos_img", "(2, 15, T)", lambda shape: shape[:1] == (2,))
    joints = joints.reshape(2, joints.shape[1], -1).astype(np.float64)
    low, high = joints.min(1).T - 1, joints.max(1).T
    margin = JOINT_MARGIN * (high - low).max(1, keepdims=True)
    edge = np.array(FRAME[::-1], dtype=np.float64)
    boxes = np.hstack([np.clip(low - margin, 0, edge), np.clip(high + margin, 0, edge)])
    boxes[~(boxes[:, 2:] > boxes[:, :2]).all(1)] = np.nan
    return _filled(boxes, path)


def tube_boxes(path: Path) -> dict[str, Boxes]:
    """Boxes of every clip in a pickle laid out as the ACT detector's `JHMDB-GT.pkl`.

    `gttubes['ACTION/CLIP'][label]` is a list with one array of `frame, x1, y1, x2, y2`. Frames count from
    1, ends are inclusive. The file does not say whether pixels count from 0 or 1: we assume 1, unless a box
    of the file begins at 0.

    Raises:
        ActionDatasetError: the file is laid out differently, or a clip does not have one box per frame.
        DatasetError: as in `load_pickle`.
    """
    content = load_pickle(path)
    try:
        tubes = {
            str(video): np.concatenate(
                [np.asarray(t, dtype=np.float64).reshape(-1, 5) for same in tracks.values() for t in same]
            )
            for video, tracks in content["gttubes"].items()
        }
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise ActionDatasetError(
            f"'{path}' holds no gttubes of 'ACTION/CLIP' to (T, 5) arrays: fetch it again, {_SEE}"
        ) from error
    first = float(all((tube[:, 1:3] >= 1).all() for tube in tubes.values()))
    return {
        video.rpartition("/")[2]: _ordered(tube, path, video, first=first) for video, tube in tubes.items()
    }


def csv_boxes(path: Path) -> dict[str, Scored]:
    """Boxes and mean score of every clip in a CSV `clip,class,frame,x1,y1,x2,y2[,score]`.

    Frames and pixels count from 1, ends are inclusive.

    Raises:
        ActionDatasetError: a column is missing, a field is no number, or a clip does not have one box per
            frame.
    """
    rows: dict[str, list[list[float]]] = {}
    columns = ["frame", "x1", "y1", "x2", "y2"] + ["score"] * _has_score(path)
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                rows.setdefault(row["clip"], []).append([float(row[c]) for c in columns])
            except (KeyError, TypeError, ValueError) as error:
                raise ActionDatasetError(
                    f"'{path}', line {number}: 'clip' and a number for each of {', '.join(columns)} are "
                    f"needed; correct the line, {_SEE}"
                ) from error
    found: dict[str, Scored] = {}
    for clip, lines in rows.items():
        table = np.array(lines)
        score = float(table[:, 5].mean()) if "score" in columns else None
        found[clip] = _ordered(table[:, :5], path, clip, first=1.0), score
    return found


def _has_score(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return "score" in next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError) as error:
        raise ActionDatasetError(f"'{path}' cannot be read: fetch it again, {_SEE}") from error


def _ordered(tube: Boxes, path: Path, clip: str, *, first: float) -> Boxes:
    """Boxes `(T, 4)` from rows of frame, x1, y1, x2, y2 with inclusive ends; pixels count from `first`."""
    tube = tube[np.argsort(tube[:, 0], kind="stable")]
    frames, boxes = tube[:, 0], tube[:, 1:] + [-first, -first, 1 - first, 1 - first]
    if not np.array_equal(frames, np.arange(1, len(frames) + 1)) or not np.isfinite(boxes).all():
        raise ActionDatasetError(
            f"'{path}': clip {clip} does not have one box for each of its frames, counted from 1; fetch the "
            f"file again, {_SEE}"
        )
    return boxes


def _filled(boxes: Boxes, path: Path) -> Boxes:
    """Fills rows of NaN: interpolated between their neighbours, or at an end as the nearest row."""
    known = np.isfinite(boxes).all(1)
    if not known.any():
        raise ActionDatasetError(
            f"'{path}' shows the actor in none of its {len(boxes)} frames: fetch it again, {_SEE}"
        )
    frames = np.arange(len(boxes))
    return np.stack([np.interp(frames, frames[known], column[known]) for column in boxes.T], axis=1)


def _matrix(path: Path, key: str, shape: str, fits: Callable[[tuple[int, ...]], bool]) -> Any:
    from scipy.io import loadmat

    try:
        array = loadmat(path, variable_names=[key])[key]
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise ActionDatasetError(
            f"'{path}' is damaged or holds no '{key}': fetch it again, {_SEE}"
        ) from error
    if not fits(array.shape) or not array.size or array.dtype.kind not in "buif":
        raise ActionDatasetError(
            f"'{path}': '{key}' is {array.shape}, not {shape} numbers; fetch it again, {_SEE}"
        )
    return array

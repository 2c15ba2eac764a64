"""JHMDB's boxes round the actor, from whichever annotation lies below a root.

`puppet_mask/*.mat` outline the actor in every frame: the best there is. `JHMDB-GT.pkl` and CSVs
hold boxes made from them. `joint_positions/*.mat` hold 15 joints, whose box is enlarged, and CSVs
with a score what a detector found.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonlib.data.pickles import load_pickle
from anonlib.errors import ActionDatasetError

JOINT_MARGIN = 0.15
"""How far a box of joints is enlarged on each side, in shares of its longer side: heads, hands and
feet reach beyond the joints. Chosen by hand, not fitted."""
FRAME = (240, 320)
"""Height and width of every JHMDB frame in pixels."""
SOURCES = (
    "puppet_mask/*/*/puppet_mask.mat",
    "JHMDB-GT.pkl",
    "boxes*.csv without a score",
    "joint_positions/*/*/joint_positions.mat",
    "boxes*.csv with a score",
)
"""Where boxes are looked for, the best first."""
_SEE = "see data/README.md#jhmdb"
Boxes = NDArray[np.float64]
Scored = tuple[Boxes, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipBoxes:
    """The actor's box in each frame of a clip."""

    boxes: Boxes
    """`(T, 4)` float xyxy pixels from 0, exclusive end; a row for each frame."""
    score: float | None
    """Mean score of the detector that found them, in [0, 1]; None where people drew them."""
    source: str
    """One of `SOURCES`."""


def jhmdb_boxes(root: str | Path, names: Iterable[str] | None = None) -> dict[str, ClipBoxes]:
    """Boxes of clips, each from the best source that has it.

    Args:
        root: JHMDB's folder.
        names: stems of the clips wanted; all by default.

    Returns:
        Boxes by stem; a clip that no source has is missing.

    Raises:
        ActionDatasetError: there is no source at all, or one is damaged.
    """
    root, wanted = Path(root), None if names is None else frozenset(names)
    sources = (_masks, _tubes, _drawn, _joints, _detected)
    found: dict[str, ClipBoxes] = {}
    seen = False
    for label, source in zip(SOURCES, sources, strict=True):
        for name, load in source(root):
            seen = True
            if name not in found and (wanted is None or name in wanted):
                boxes, score = load()
                found[name] = ClipBoxes(boxes=boxes, score=score, source=label)
    if not seen:
        raise ActionDatasetError(
            f"JHMDB root '{root}' holds no boxes: put {' or '.join(SOURCES)} there, {_SEE}"
        )
    return found


Found = tuple[str, Callable[[], Scored]]
"""A clip's stem and what reads its boxes and their score."""


def _masks(root: Path) -> Iterator[Found]:
    for path in sorted(root.glob("puppet_mask/*/*/puppet_mask.mat")):
        yield path.parent.name, partial(_without_score, mask_boxes, path)


def _joints(root: Path) -> Iterator[Found]:
    for path in sorted(root.glob("joint_positions/*/*/joint_positions.mat")):
        yield path.parent.name, partial(_without_score, joint_boxes, path)


def _without_score(read: Callable[[Path], Boxes], path: Path) -> Scored:
    return read(path), None


def _ready(boxes: Boxes, score: float | None = None) -> Scored:
    return boxes, score


def _tubes(root: Path) -> Iterator[Found]:
    for path in sorted(root.glob("JHMDB-GT*.pkl")):
        for name, boxes in tube_boxes(path).items():
            yield name, partial(_ready, boxes)


def _drawn(root: Path) -> Iterator[Found]:
    return _csvs(root, scored=False)


def _detected(root: Path) -> Iterator[Found]:
    return _csvs(root, scored=True)


def _csvs(root: Path, *, scored: bool) -> Iterator[Found]:
    for path in sorted(root.glob("boxes*.csv")):
        if _has_score(path) == scored:
            for name, found in csv_boxes(path).items():
                yield name, partial(_ready, *found)


def mask_boxes(path: Path) -> Boxes:
    """The box of the actor's pixels in each frame of a `puppet_mask.mat`.

    Frames without a pixel of the actor take a box between those of their neighbours.

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
    """The box of 15 joints in each frame of a `joint_positions.mat`, enlarged by `JOINT_MARGIN`.

    Cut to the frame. The file counts pixels from 1.

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

    It holds `gttubes['ACTION/CLIP'][label]`, a list with one array of `frame, x1, y1, x2, y2`;
    frames count from 1. Whether pixels count from 0 or from 1 it does not say: they are taken to
    count from 1, with inclusive end, unless some box of the file begins at 0.

    Raises:
        ActionDatasetError: the file is laid out differently, or a clip has not one box a frame.
        DatasetError: the file is damaged or refused, see `load_pickle`.
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
    origin = min((tube[:, 1:3].min() for tube in tubes.values()), default=1.0)
    first = 1.0 if origin >= 1 else 0.0
    return {
        video.rpartition("/")[2]: _ordered(tube, path, video, first=first) for video, tube in tubes.items()
    }


def csv_boxes(path: Path) -> dict[str, Scored]:
    """Boxes and mean score of every clip in a CSV `clip,class,frame,x1,y1,x2,y2[,score]`.

    Pixels and frames count from 1, ends are inclusive.

    Raises:
        ActionDatasetError: a column is missing, a field is no number, or a clip has not one box
            a frame.
    """
    rows: dict[str, list[list[float]]] = {}
    columns = ["frame", "x1", "y1", "x2", "y2"] + ["score"] * _has_score(path)
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                rows.setdefault(row["clip"], []).append([float(row[c]) for c in columns])
            except (KeyError, TypeError, ValueError) as error:
                raise ActionDatasetError(
                    f"'{path}', line {number}: 'clip' and a number for each of "
                    f"{', '.join(columns)} are needed; mend the line, {_SEE}"
                ) from error
    return {clip: _read_rows(np.array(lines), path, clip) for clip, lines in rows.items()}


def _read_rows(rows: Boxes, path: Path, clip: str) -> Scored:
    score = float(rows[:, 5].mean()) if rows.shape[1] > 5 else None
    return _ordered(rows[:, :5], path, clip, first=1.0), score


def _has_score(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return "score" in next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError) as error:
        raise ActionDatasetError(f"'{path}' cannot be read: fetch it again, {_SEE}") from error


def _ordered(tube: Boxes, path: Path, clip: str, *, first: float) -> Boxes:
    """Boxes `(T, 4)` from rows of frame, x1, y1, x2, y2 with inclusive ends."""
    tube = tube[np.argsort(tube[:, 0], kind="stable")]
    frames, boxes = tube[:, 0], tube[:, 1:] + [-first, -first, 1 - first, 1 - first]
    if not np.array_equal(frames, np.arange(1, len(frames) + 1)) or not np.isfinite(boxes).all():
        raise ActionDatasetError(
            f"'{path}': clip {clip} has not one box for each of its frames, counted from 1; fetch "
            f"the file again, {_SEE}"
        )
    return boxes


def _filled(boxes: Boxes, path: Path) -> Boxes:
    """Missing rows between their neighbours; those at an end repeat the nearest."""
    known = np.isfinite(boxes).all(1)
    if not known.any():
        raise ActionDatasetError(
            f"'{path}' shows the actor in none of its {len(boxes)} frames: fetch it again, {_SEE}"
        )
    frames = np.arange(len(boxes))
    columns = [np.interp(frames, frames[known], column[known]) for column in boxes.T]
    return np.stack(columns, axis=1)


def _matrix(path: Path, key: str, shape: str, fits: Callable[[tuple[int, ...]], bool]) -> Any:
    """An array of a MATLAB file."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        array = loadmat(path, variable_names=[key])[key]
    except (
        OSError,
        KeyError,
        TypeError,
        ValueError,
        EOFError,
        IndexError,
        NotImplementedError,
        MatReadError,
        zlib.error,
    ) as error:
        raise ActionDatasetError(
            f"'{path}' is damaged or holds no '{key}': fetch it again, {_SEE}"
        ) from error
    if not fits(array.shape) or not array.size or array.dtype.kind not in "buif":
        raise ActionDatasetError(
            f"'{path}': '{key}' is {array.shape}, not {shape} numbers; fetch it again, {_SEE}"
        )
    return array

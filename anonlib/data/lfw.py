"""LFW's verification pairs: View 2, ten folds of 300 same and 300 different pairs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from anonlib.data.face_crops import crop_pictures
from anonlib.data.face_folders import FaceFolder
from anonlib.detection.mtcnn import DetectLandmarks
from anonlib.errors import FaceDatasetError
from anonlib.metrics.verification import Pairs
from anonlib.types import FaceImages

Picture = tuple[str, int]
"""Name of a person and number of the picture, from 1."""
_MEND = "fetch LFW's View 2 pairs.txt again, see data/README.md#lfw"
_log = logging.getLogger(__name__)


class LfwPair(NamedTuple):
    """One line of pairs.txt."""

    first: Picture
    second: Picture
    fold: int
    """From 1, as LFW's own numbers."""

    @property
    def same(self) -> bool:
        """Whether both pictures show one person."""
        return self.first[0] == self.second[0]


class LFW(FaceFolder):
    """Labeled Faces in the Wild: its people, and the pairs of View 2.

    `ROOT/lfw-deepfunneled/NAME/NAME_0001.jpg`, with `ROOT/pairs.txt`.
    """

    def pairs(self, folds: Iterable[int] = range(1, 11)) -> list[LfwPair]:
        """The pairs of some folds, see `lfw_pairs`."""
        return lfw_pairs(self.root, folds)

    def load_pairs(self, folds: Iterable[int] = range(1, 11), *, size: int) -> tuple[FaceImages, Pairs]:
        """Canonical crops of the pictures in those pairs, and the pairs, see `load_lfw_pairs`."""
        return load_lfw_pairs(self.root, folds, size=size, detect=self.detect, progress=self.progress)


def pairs_file(root: str | Path) -> Path | None:
    """The pairs.txt of an LFW root, in it or beside it; None if there is none."""
    candidates = (Path(root) / "pairs.txt", Path(root).parent / "pairs.txt")
    return next((path for path in candidates if path.is_file()), None)


def lfw_pairs(root: str | Path, folds: Iterable[int] = range(1, 11)) -> list[LfwPair]:
    """The pairs of some folds, in the order of the file.

    Args:
        root: LFW's folder, with pairs.txt in it or beside it.
        folds: numbers of folds, from 1.

    Raises:
        FaceDatasetError: pairs.txt is missing or not as LFW writes it, or lacks a fold.
    """
    path = pairs_file(root)
    if path is None and not Path(root).is_dir():
        raise FaceDatasetError(f"face root '{root}' is no folder: check the path")
    if path is None:
        raise FaceDatasetError(f"face root '{root}' has no pairs.txt: {_MEND}")
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    try:
        count, each = (int(x) for x in lines[0])
    except (IndexError, ValueError) as error:
        raise FaceDatasetError(f"'{path}' does not begin with '10 300': {_MEND}") from error
    if len(lines) != 1 + 2 * count * each:
        raise FaceDatasetError(f"'{path}' has {len(lines) - 1} pairs instead of {2 * count * each}: {_MEND}")
    pairs = [_parse(path, n, line, 1 + n // (2 * each)) for n, line in enumerate(lines[1:])]
    wanted = set(folds)
    if not wanted or not wanted <= set(range(1, count + 1)):
        raise FaceDatasetError(f"'{path}' has folds 1 to {count}, not {sorted(wanted)}")
    return [pair for pair in pairs if pair.fold in wanted]


def _parse(path: Path, number: int, line: list[str], fold: int) -> LfwPair:
    try:
        if len(line) == 3:
            return LfwPair((line[0], int(line[1])), (line[0], int(line[2])), fold)
        if len(line) == 4:
            return LfwPair((line[0], int(line[1])), (line[2], int(line[3])), fold)
    except ValueError:
        pass
    raise FaceDatasetError(f"'{path}', line {number + 2}, '{' '.join(line)}' is no pair: {_MEND}")


def people_in_folds(root: str | Path, folds: Iterable[int]) -> set[str]:
    """Names of all who occur in a pair of those folds: to be kept out of training."""
    return {name for pair in lfw_pairs(root, folds) for name, _ in (pair.first, pair.second)}


def load_lfw_pairs(
    root: str | Path,
    folds: Iterable[int] = range(1, 11),
    *,
    size: int,
    detect: DetectLandmarks | None = None,
    progress: bool = True,
) -> tuple[FaceImages, Pairs]:
    """Canonical crops of all pictures in the pairs, and the pairs as places in them.

    Pairs with a picture in which no face is found are left out; how many is logged (none with
    MTCNN on deep-funneled LFW).

    Args:
        root: LFW's folder.
        folds: numbers of folds, from 1; the pairs number them from 0 in rising order.
        size: side of the crops.
        detect: finds five landmarks; MTCNN by default.
        progress: whether to show a progress bar.

    Raises:
        FaceDatasetError: pairs.txt or a picture it names is missing.
    """
    pairs = lfw_pairs(root, folds)
    pictures = picture_files(root, pairs)
    crops = crop_pictures(list(pictures.values()), size=size, detect=detect, progress=progress)
    kept = [picture for picture, found in zip(pictures, crops.found, strict=True) if found]
    _, labels = np.unique([name for name, _ in kept], return_inverse=True)
    faces = FaceImages(
        images=crops.images[crops.found],
        labels=torch.from_numpy(labels.astype(np.int64)),
        landmarks=crops.landmarks[crops.found],
    )
    return faces, pairs_among(kept, pairs)


def picture_files(root: str | Path, pairs: Iterable[LfwPair]) -> dict[Picture, Path]:
    """The file of every picture in the pairs, in the order of names and numbers.

    Raises:
        FaceDatasetError: a picture is missing.
    """
    folder = FaceFolder(root)
    pictures = sorted({picture for pair in pairs for picture in (pair.first, pair.second)})
    return {picture: _picture_path(folder, *picture) for picture in pictures}


def pairs_among(pictures: Sequence[Picture], pairs: Sequence[LfwPair]) -> Pairs:
    """Pairs as places in a list of pictures; those with a picture that is not in it are left out.

    How many are left out is logged. Folds are numbered from 0 in rising order.
    """
    places = {picture: place for place, picture in enumerate(pictures)}
    usable = [pair for pair in pairs if pair.first in places and pair.second in places]
    if len(usable) < len(pairs):
        _log.warning("%d of %d pairs left out, no face", len(pairs) - len(usable), len(pairs))
    _, fold = np.unique([pair.fold for pair in usable], return_inverse=True)
    return Pairs(
        first=np.array([places[pair.first] for pair in usable], dtype=np.int64),
        second=np.array([places[pair.second] for pair in usable], dtype=np.int64),
        same=np.array([pair.same for pair in usable], dtype=bool),
        fold=fold.astype(np.int64),
    )


def _picture_path(folder: FaceFolder, name: str, number: int) -> Path:
    stem = f"{name}_{number:04d}"
    for path in folder.pictures(name):
        if path.stem == stem:
            return path
    raise FaceDatasetError(
        f"face root '{folder.root}' has no picture {stem}, which pairs.txt names: fetch LFW again"
    )

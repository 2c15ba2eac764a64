"""LFW's verification pairs (View 2): ten folds of 300 pairs of one person and 300 of two people."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from anonlib.data.face_crops import crop_pictures
from anonlib.data.face_folders import FaceFolder
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
    """From 1, as in LFW."""

    @property
    def same(self) -> bool:
        """Whether both pictures show the same person."""
        return self.first[0] == self.second[0]


class LFW(FaceFolder):
    """Labeled Faces in the Wild: its people, and the pairs of View 2.

    `ROOT/lfw-deepfunneled/NAME/NAME_0001.jpg`, with `ROOT/pairs.txt`.
    """

    def load_pairs(self, folds: Iterable[int] = range(1, 11), *, size: int) -> tuple[FaceImages, Pairs]:
        """Canonical face crops of all pictures in the pairs, and the pairs as indices of the crops.

        `folds` count from 1, the folds of the result from 0. Pairs with a picture without a face are left
        out and counted in the log (none with MTCNN, the default, on deep-funneled LFW).

        Raises:
            FaceDatasetError: pairs.txt or a picture in it is missing.
        """
        pairs = lfw_pairs(self.root, folds)
        pictures = picture_files(self, pairs)
        crops = crop_pictures(list(pictures.values()), size=size, detect=self.detect, progress=self.progress)
        _, labels = np.unique([name for name, _ in pictures], return_inverse=True)
        kept = [picture for picture, found in zip(pictures, crops.found, strict=True) if found]
        return crops.faces(crops.found, torch.from_numpy(labels)), pairs_among(kept, pairs)


def pairs_file(root: str | Path) -> Path | None:
    """The pairs.txt in an LFW root or beside it; None if there is none."""
    candidates = (Path(root) / "pairs.txt", Path(root).parent / "pairs.txt")
    return next((path for path in candidates if path.is_file()), None)


def lfw_pairs(root: str | Path, folds: Iterable[int] = range(1, 11)) -> list[LfwPair]:
    """The pairs of some folds (from 1), in the order of pairs.txt, which lies in the root or beside it.

    Raises:
        FaceDatasetError: pairs.txt is missing or damaged, or lacks a fold.
    """
    path = pairs_file(root)
    if path is None:
        fault = f"has no pairs.txt: {_MEND}" if Path(root).is_dir() else "is no folder: check the path"
        raise FaceDatasetError(f"face root '{root}' {fault}")
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    try:
        count, each = (int(x) for x in lines[0])
    except (IndexError, ValueError) as error:
        raise FaceDatasetError(f"'{path}' does not begin with '10 300': {_MEND}") from error
    if len(lines) != 1 + 2 * count * each:
        raise FaceDatasetError(f"'{path}' has {len(lines) - 1} pairs instead of {2 * count * each}: {_MEND}")
    pairs = []
    for number, line in enumerate(lines[1:]):
        try:
            name, first, *rest, second = line
            (other,) = rest or [name]
            pairs.append(LfwPair((name, int(first)), (other, int(second)), 1 + number // (2 * each)))
        except ValueError as error:
            raise FaceDatasetError(
                f"'{path}', line {number + 2}, '{' '.join(line)}' is no pair: {_MEND}"
            ) from error
    wanted = set(folds)
    if not wanted or not wanted <= set(range(1, count + 1)):
        raise FaceDatasetError(f"'{path}' has folds 1 to {count}, not {sorted(wanted)}")
    return [pair for pair in pairs if pair.fold in wanted]


def people_in_folds(root: str | Path, folds: Iterable[int]) -> set[str]:
    """Names of all people in the pairs of those folds; leave them out of training."""
    return {name for pair in lfw_pairs(root, folds) for name, _ in (pair.first, pair.second)}


def picture_files(folder: FaceFolder, pairs: Iterable[LfwPair]) -> dict[Picture, Path]:
    """The file of every picture in the pairs, sorted by name and number.

    Raises:
        FaceDatasetError: a picture is missing.
    """
    files = {}
    for name, number in sorted({picture for pair in pairs for picture in (pair.first, pair.second)}):
        stem = f"{name}_{number:04d}"
        path = next((path for path in folder.pictures(name) if path.stem == stem), None)
        if path is None:
            raise FaceDatasetError(
                f"face root '{folder.root}' has no picture {stem}, which pairs.txt names: fetch LFW again"
            )
        files[name, number] = path
    return files


def pairs_among(pictures: Sequence[Picture], pairs: Sequence[LfwPair]) -> Pairs:
    """Pairs as indices in a list of pictures; folds count from 0.

    Pairs with a picture that is not in the list are left out and counted in the log.
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

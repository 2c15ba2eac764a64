"""Real people from a folder of pictures, one folder a person: LFW, CASIA-WebFace or your own."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from anonlib.data.face_crops import crop_pictures
from anonlib.detection.mtcnn import DetectLandmarks
from anonlib.errors import FaceDatasetError
from anonlib.types import FaceImages

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})
"""Endings of files that are taken for pictures; upper case counts too."""
_INNER = ("", "lfw-deepfunneled", "lfw_funneled", "lfw", "CASIA-WebFace", "images")
_SEE = "see data/README.md for the layout"
_log = logging.getLogger(__name__)


class FaceFolder:
    """People and their pictures under a root: `root/NAME/*.jpg`.

    The folders of people may also lie one deeper, as in `root/lfw-deepfunneled/NAME/`. Names of
    pictures are free. Other files and hidden ones are passed over.
    """

    def __init__(
        self, root: str | Path, *, detect: DetectLandmarks | None = None, progress: bool = True
    ) -> None:
        """Lists people and pictures; no picture is opened.

        Args:
            root: the folder.
            detect: finds five landmarks, see `DetectLandmarks`; MTCNN by default.
            progress: whether loading shows a progress bar.

        Raises:
            FaceDatasetError: the root is missing or holds nobody.
        """
        self.root = Path(root)
        self.detect = detect
        self.progress = progress
        if not self.root.is_dir():
            raise FaceDatasetError(f"face root '{root}' is no folder: check the path, {_SEE}")
        self._pictures = _list_people(self.root)
        if not self._pictures:
            raise FaceDatasetError(
                f"face root '{root}' holds no people: put each person's pictures "
                f"({', '.join(sorted(SUFFIXES))}) into a folder of their own, {_SEE}"
            )

    @property
    def people(self) -> tuple[str, ...]:
        """Names of all people, sorted."""
        return tuple(self._pictures)

    def pictures(self, person: str) -> tuple[Path, ...]:
        """A person's picture files, sorted by name.

        Raises:
            FaceDatasetError: nobody has that name.
        """
        if person not in self._pictures:
            raise FaceDatasetError(
                f"face root '{self.root}' holds no '{person}': use a name of its {len(self.people)}"
                f" people, such as '{self.people[0]}'"
            )
        return self._pictures[person]

    def people_with(self, pictures: int) -> tuple[str, ...]:
        """Names of people with that many pictures or more."""
        return tuple(p for p, files in self._pictures.items() if len(files) >= pictures)

    def load(
        self, people: Sequence[str] | None = None, *, images: int | None = None, size: int, minimum: int = 1
    ) -> FaceImages:
        """Canonical crops of people's first pictures.

        Pictures without a face are passed over, and so are people of whom fewer than `minimum`
        faces remain; how many is logged. Labels number the remaining people without gaps, in the
        order of `people`.

        Args:
            people: their names; by default all with `minimum` pictures.
            images: pictures a person at most; all by default.
            size: side of the crops.
            minimum: faces a person must have.

        Raises:
            FaceDatasetError: a name is unknown, a person has fewer than `minimum` pictures, or
                nobody remains.
            ImageError: a picture cannot be read.
        """
        people = self.people_with(minimum) if people is None else people
        chosen = [
            (label, path)
            for label, person in enumerate(people)
            for path in self._enough(person, minimum)[:images]
        ]
        crops = crop_pictures(
            [path for _, path in chosen], size=size, detect=self.detect, progress=self.progress
        )
        labels = torch.tensor([label for label, _ in chosen], dtype=torch.int64)
        faces = torch.bincount(labels[crops.found], minlength=len(people))
        kept = crops.found & (faces >= minimum)[labels]
        self._report(pictures=int((~crops.found).sum()), of=len(chosen), people=int((faces < minimum).sum()))
        if not kept.any():
            raise FaceDatasetError(
                f"face root '{self.root}': {minimum} faces or more were found of none of the "
                f"{len(people)} people; use larger pictures, or more a person"
            )
        _, compact = torch.unique(labels[kept], return_inverse=True)
        return FaceImages(images=crops.images[kept], labels=compact, landmarks=crops.landmarks[kept])

    def _enough(self, person: str, minimum: int) -> tuple[Path, ...]:
        files = self.pictures(person)
        if len(files) < minimum:
            raise FaceDatasetError(
                f"'{person}' in face root '{self.root}' has {len(files)} pictures and {minimum} "
                f"are needed: add some, or leave the person out (people_with({minimum}))"
            )
        return files

    def _report(self, *, pictures: int, of: int, people: int) -> None:
        if pictures or people:
            _log.warning(
                "%s: no face in %d of %d pictures; %d people left out", self.root, pictures, of, people
            )


def _list_people(root: Path) -> dict[str, tuple[Path, ...]]:
    """People and pictures of the root, or of the first inner folder that holds any."""
    for inner in _INNER:
        people = {p.name: _pictures_in(p) for p in _folders_in(root / inner)}
        people = {name: files for name, files in people.items() if files}
        if people:
            return people
    return {}


def _folders_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]
    return [folder / name for name in sorted(names)]


def _pictures_in(folder: Path) -> tuple[Path, ...]:
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if not e.name.startswith(".") and e.is_file()]
    return tuple(folder / n for n in sorted(names) if Path(n).suffix.lower() in SUFFIXES)

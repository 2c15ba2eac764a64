"""Faces of real people from folders, one folder a person: CASIA-WebFace, LFW or your own pictures."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

import torch

from anonlib.data.face_crops import crop_pictures
from anonlib.detection.mtcnn import DetectLandmarks
from anonlib.errors import FaceDatasetError
from anonlib.types import FaceImages

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})
"""File name endings of pictures, in lower or upper case."""
_INNER = ("", "lfw-deepfunneled", "lfw_funneled", "lfw", "CASIA-WebFace", "images")
"""Where the folders of people may lie beside other folders."""
_SEE = "see data/README.md for the layout"
_log = logging.getLogger(__name__)


class FaceFolder:
    """People and their pictures: `ROOT/PERSON/*.jpg`.

    Names are free; other files and hidden files are ignored. The folders of people may lie deeper: in a
    folder with a usual name, such as `ROOT/lfw-deepfunneled/PERSON/`, or in up to three nested folders of any
    name that hold no other folder.
    """

    def __init__(
        self, root: str | Path, *, detect: DetectLandmarks | None = None, progress: bool = True
    ) -> None:
        """Lists people and pictures; opens no picture. `detect` finds five landmarks, by default with MTCNN.

        Raises:
            FaceDatasetError: the root is missing, or holds no people.
        """
        self.root = Path(root)
        self.detect = detect
        self.progress = progress
        if not self.root.is_dir():
            raise FaceDatasetError(f"face root '{root}' is no folder: check the path, {_SEE}")
        self._pictures = _list_people(self.root)
        if not self._pictures:
            raise FaceDatasetError(f"face root '{root}' {_reason_for_no_people(self.root)}, {_SEE}")

    @property
    def people(self) -> tuple[str, ...]:
        """Names of all people, sorted."""
        return tuple(self._pictures)

    def pictures(self, person: str, *, minimum: int = 0) -> tuple[Path, ...]:
        """A person's picture files, sorted by name.

        Raises:
            FaceDatasetError: the name is unknown, or the person has fewer than `minimum` pictures.
        """
        if person not in self._pictures:
            raise FaceDatasetError(
                f"face root '{self.root}' holds no '{person}': use one of its {len(self.people)} people, "
                f"such as '{self.people[0]}'"
            )
        files = self._pictures[person]
        if len(files) < minimum:
            raise FaceDatasetError(
                f"'{person}' in face root '{self.root}' has {len(files)} pictures and {minimum} are needed: "
                f"add some, or leave the person out (people_with({minimum}))"
            )
        return files

    def people_with(self, pictures: int) -> tuple[str, ...]:
        """Names of the people with at least that many pictures."""
        return tuple(person for person, files in self._pictures.items() if len(files) >= pictures)

    def load(
        self, people: Sequence[str] | None = None, *, images: int | None = None, size: int, minimum: int = 1
    ) -> FaceImages:
        """Canonical face crops of `size` pixels from the first `images` pictures of each person.

        By default all pictures of all people with at least `minimum` pictures. Pictures without a face are
        left out, and so are people with fewer than `minimum` faces; a log line counts both. Labels number
        the remaining people from 0, in the order of `people`.

        Raises:
            FaceDatasetError: as in `pictures`, or nobody remains.
            ImageError: a picture cannot be read.
        """
        people = self.people_with(minimum) if people is None else people
        chosen = [
            (label, path)
            for label, person in enumerate(people)
            for path in self.pictures(person, minimum=minimum)[:images]
        ]
        crops = crop_pictures(
            [path for _, path in chosen], size=size, detect=self.detect, progress=self.progress
        )
        labels = torch.tensor([label for label, _ in chosen], dtype=torch.int64)
        faces = torch.bincount(labels[crops.found], minlength=len(people))
        kept = crops.found & (faces >= minimum)[labels]
        without_face, left_out = int((~crops.found).sum()), int((faces < minimum).sum())
        if without_face or left_out:
            message = "%s: no face in %d of %d pictures; %d people left out"
            _log.warning(message, self.root, without_face, len(chosen), left_out)
        if not kept.any():
            raise FaceDatasetError(
                f"face root '{self.root}': none of the {len(people)} people has {minimum} pictures with a "
                "face; use larger pictures, or more of each person"
            )
        return crops.faces(kept, labels)


class CASIAWebFace(FaceFolder):
    """CASIA-WebFace: a `FaceFolder` without people who have too few pictures.

    `ROOT/0000045/001.jpg`, or deeper as in `ROOT/CASIA-maxpy-clean/0000045/001.jpg`.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        keep: str | Path | None = None,
        minimum: int = 2,
        detect: DetectLandmarks | None = None,
        progress: bool = True,
    ) -> None:
        """Lists the people with at least `minimum` pictures; opens no picture.

        `keep` is a cleaned list with `PERSON/PICTURE.jpg` at the start of each line; other pictures are
        left out.

        Raises:
            FaceDatasetError: as in `FaceFolder`; or nobody has enough pictures, or the list is unusable.
        """
        super().__init__(root, detect=detect, progress=progress)
        if keep is not None:
            self._pictures = _listed_only(self._pictures, Path(keep))
        enough = {person: self._pictures[person] for person in self.people_with(minimum)}
        self.left_out: int = len(self._pictures) - len(enough)
        """Number of people with fewer than `minimum` pictures."""
        if not enough:
            raise FaceDatasetError(
                f"face root '{root}': none of {self.left_out} people has {minimum} pictures; use the whole "
                f"data set, {_SEE}"
            )
        if self.left_out:
            _log.warning("%s: %d people left out, fewer than %d pictures", root, self.left_out, minimum)
        self._pictures = enough


def _list_people(root: Path) -> dict[str, tuple[Path, ...]]:
    """People and their pictures, from the first folder in which there are any."""
    for _ in range(4):  # the root, and up to three nested folders
        for inner in _INNER:
            folders = _folders_in(root / inner)
            if people := {folder.name: files for folder in folders if (files := _pictures_in(folder))}:
                return people
        folders = _folders_in(root)
        if len(folders) != 1:
            break
        root = folders[0]
    return {}


def _folders_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if e.is_dir() and not e.name.startswith((".", "__MACOSX"))]
    return [folder / name for name in sorted(names)]


def _pictures_in(folder: Path) -> tuple[Path, ...]:
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if not e.name.startswith(".") and e.is_file()]
    return tuple(folder / name for name in sorted(names) if Path(name).suffix.lower() in SUFFIXES)


def _reason_for_no_people(root: Path) -> str:
    """What a root holds instead of people, and what to do about it."""
    files = [path for folder in (root, *_folders_in(root)) for path in sorted(folder.iterdir())]
    if records := [path for path in files if path.suffix in (".rec", ".idx")]:
        return (
            f"holds '{records[-1].name}', a RecordIO file, which anonlib does not read: use the release with "
            "pictures, or convert it to PERSON/PICTURE.jpg with InsightFace's rec2image.py"
        )
    if archives := [path for path in files if path.suffix in (".zip", ".tgz", ".gz", ".tar")]:
        tool = "zipfile" if archives[0].suffix == ".zip" else "tarfile"
        command = f"python -m {tool} -e '{archives[0]}' '{root}'"
        return f"holds the archive '{archives[0].name}': unpack it with {command}"
    endings = ", ".join(sorted(SUFFIXES))
    return f"holds no people: put each person's pictures ({endings}) into a folder of their own"


def _listed_only(pictures: dict[str, tuple[Path, ...]], path: Path) -> dict[str, tuple[Path, ...]]:
    """The pictures that a cleaned list names; outer folders and labels in its lines are ignored."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FaceDatasetError(f"list '{path}' cannot be read: check the path, {_SEE}") from error
    names = [PureWindowsPath(line.split()[0]) for line in lines if line.strip()]  # accepts / and \
    wanted = {(name.parent.name, name.name) for name in names}
    kept = {
        person: files
        for person, found in pictures.items()
        if (files := tuple(file for file in found if (person, file.name) in wanted))
    }
    if not kept:
        raise FaceDatasetError(
            f"list '{path}' names none of the pictures: its lines must begin with PERSON/PICTURE.jpg, {_SEE}"
        )
    return kept

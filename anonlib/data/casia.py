"""CASIA-WebFace: people in numbered folders, with or without a list of the pictures to keep."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from anonlib.data.face_folders import SUFFIXES, FaceFolder
from anonlib.detection.mtcnn import DetectLandmarks
from anonlib.errors import FaceDatasetError

_SEE = "see data/README.md#casia"
_DEEPEST = 3
"""How many folders may lie round those of the people."""
_log = logging.getLogger(__name__)


class CASIAWebFace(FaceFolder):
    """People of `ROOT/PERSON/PICTURE.jpg`, of whom several pictures are there.

    The folders of people may lie deeper, in folders that hold nothing else, whatever their names:
    `ROOT/CASIA-WebFace/0000045/001.jpg`, `ROOT/CASIA-maxpy-clean/...`.
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
        """Lists people and pictures; no picture is opened.

        Args:
            root: the folder.
            keep: a cleaned list, `PERSON/PICTURE.jpg` and anything after it a line; pictures that
                it does not name are left out.
            minimum: pictures a person must have; others are left out and counted: with one picture
                nobody can be told from others.
            detect: finds five landmarks, see `DetectLandmarks`; MTCNN by default.
            progress: whether loading shows a progress bar.

        Raises:
            FaceDatasetError: the root is missing, holds nobody, or holds records or an archive
                instead of pictures; the list cannot be read or names none of the pictures.
        """
        _refuse_packed(Path(root))
        super().__init__(_people_root(Path(root)), detect=detect, progress=progress)
        if keep is not None:
            self._pictures = _kept(self._pictures, Path(keep))
        enough = {p: files for p, files in self._pictures.items() if len(files) >= minimum}
        self.left_out: int = len(self._pictures) - len(enough)
        """People with fewer than `minimum` pictures."""
        if not enough:
            raise FaceDatasetError(
                f"face root '{root}': none of {self.left_out} people has {minimum} pictures; take "
                f"the whole set, {_SEE}"
            )
        if self.left_out:
            _log.warning("%s: %d people left out, fewer than %d pictures", root, self.left_out, minimum)
        self._pictures = enough


def _refuse_packed(root: Path) -> None:
    """Names what must be unpacked first; pictures beside it are taken."""
    places = [root, *_folders(root)]
    if _has_pictures(places[1:]) or any(_folders(place) for place in places[1:]):
        return
    files = [path for place in places for path in place.glob("*") if path.is_file()]
    if records := [path for path in files if path.suffix in (".rec", ".idx")]:
        raise FaceDatasetError(
            f"face root '{root}' holds '{records[0].name}', MXNet's RecordIO, which anonlib does "
            f"not read: take the release as pictures, or turn the records into PERSON/PICTURE.jpg "
            f"with InsightFace's rec2image.py, {_SEE}"
        )
    if archives := [path for path in files if path.suffix in (".zip", ".tgz", ".gz", ".tar")]:
        tool = "zipfile" if archives[0].suffix == ".zip" else "tarfile"
        raise FaceDatasetError(
            f"face root '{root}' holds '{archives[0].name}', still packed: unpack it with "
            f"python -m {tool} -e '{archives[0]}' '{root}', {_SEE}"
        )


def _people_root(root: Path) -> Path:
    """The folder round the people's: folders that hold but one are passed through."""
    for _ in range(_DEEPEST):
        inner = _folders(root)
        if len(inner) != 1 or not _folders(inner[0]):
            break
        root = inner[0]
    return root


def _folders(folder: Path) -> list[Path]:
    return [p for p in folder.glob("[!.]*") if p.is_dir() and p.name != "__MACOSX"]


def _has_pictures(folders: list[Path]) -> bool:
    return any(path.suffix.lower() in SUFFIXES for folder in folders for path in folder.iterdir())


def _kept(pictures: dict[str, tuple[Path, ...]], path: Path) -> dict[str, tuple[Path, ...]]:
    wanted = set(_listed(path))
    kept = {
        person: tuple(f for f in files if (person, f.name) in wanted) for person, files in pictures.items()
    }
    kept = {person: files for person, files in kept.items() if files}
    if not kept:
        raise FaceDatasetError(
            f"list '{path}' names none of the pictures: its lines must begin with PERSON/PICTURE.jpg, {_SEE}"
        )
    return kept


def _listed(path: Path) -> Iterator[tuple[str, str]]:
    """Person and file of each line; what stands round them, and a label after them, is ignored."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FaceDatasetError(f"list '{path}' cannot be read: check the path, {_SEE}") from error
    for line in lines:
        parts = line.split()[0].replace("\\", "/").split("/") if line.strip() else []
        if len(parts) >= 2:
            yield parts[-2], parts[-1]

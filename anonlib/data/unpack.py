"""Archives from outside, unpacked so that nothing lands where it should not."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from anonlib.errors import DatasetError

MOST_FILES = 1_000_000
"""Files an archive may hold; CASIA-WebFace has half a million."""
MOST_BYTES = 64 * 2**30
"""Bytes they may have together."""
_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile, EOFError,
    struct.error, NotImplementedError, RuntimeError, ValueError,
)  # fmt: skip
Member = tuple[str, int, IO[bytes] | None, bool]
"""Name, size and content of a file, no content for others; whether it is a file or folder."""


def unpack(
    archive: Path, root: Path, keep: Sequence[tuple[str, str]], *, progress: bool = True
) -> None:
    """Takes folders or files out of a .zip or .tar.* and puts them below a root.

    They appear complete or not at all. Names that lead out of the archive are refused, links and
    devices in what is wanted, and what unpacks to more than `MOST_FILES` or `MOST_BYTES`.

    Args:
        archive: the file.
        root: the folder.
        keep: name of a folder or file, at any depth of the archive, and its place below the root.
            If the archive knows none of the names, all of it is the first.
        progress: whether to show a progress bar.

    Raises:
        DatasetError: the archive is damaged or refused, or holds not all of `keep`.
        OSError: the disk is full, or the root cannot be written.
    """
    staging = root / f".{archive.name}.unpacking"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        names = {inner for inner, _ in keep}
        if not _extract(archive, staging, names, progress=progress):
            _extract(archive, staging / keep[0][0], None, progress=progress)
        for inner, place in keep:
            _install(_deepest(staging, inner, archive), root / place)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _extract(archive: Path, into: Path, names: set[str] | None, *, progress: bool) -> int:
    """Writes the members below one of the names, or all; how many files."""
    files = size = 0
    try:
        with _members(archive) as members:
            for name, length, content, plain in tqdm(
                members, desc=f"unpacking {archive.name}", unit="file", disable=not progress
            ):
                parts = _safe(name, archive)
                files, size = files + 1, size + length
                if files > MOST_FILES or size > MOST_BYTES:
                    raise DatasetError(
                        f"'{archive}' unpacks to more than {MOST_FILES:,} files or "
                        f"{MOST_BYTES:,} bytes: refused, fetch it from its official place"
                    )
                wanted = (names is None or names & set(parts)) and "__MACOSX" not in parts
                if wanted and not plain:
                    raise DatasetError(
                        f"'{archive}' holds '{name}', a link or device: refused, fetch it from its "
                        "official place"
                    )
                if wanted and content is not None:
                    _write(content, into.joinpath(*parts))
    except _DAMAGED as error:
        raise DatasetError(
            f"'{archive}' is damaged ({type(error).__name__}): fetch it again"
        ) from error
    return sum(1 for path in into.rglob("*") if path.is_file())


def _safe(name: str, archive: Path) -> tuple[str, ...]:
    """Parts of a name that stays inside."""
    path = PurePosixPath(name)
    wild = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name.split("/")[0]
    if wild or "\0" in name:
        raise DatasetError(
            f"'{archive}' holds '{name}', which leads out of it: refused, fetch it from its "
            "official place"
        )
    return path.parts


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[Member]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            yield _zip_members(file)
    else:
        with tarfile.open(archive) as file:
            yield _tar_members(file)


def _zip_members(file: zipfile.ZipFile) -> Iterator[Member]:
    for info in file.infolist():
        plain = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
        if info.is_dir() or not plain:
            yield info.filename, 0, None, plain
        else:
            with file.open(info) as content:
                yield info.filename, info.file_size, content, True


def _tar_members(file: tarfile.TarFile) -> Iterator[Member]:
    for info in file:
        content = file.extractfile(info) if info.isreg() else None
        yield info.name, info.size, content, info.isreg() or info.isdir()


def _write(content: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        shutil.copyfileobj(content, file, 1 << 20)


def _deepest(staging: Path, name: str, archive: Path) -> Path:
    """The innermost folder or file of that name: LFW comes as lfw/lfw/NAME too."""
    found = sorted(staging.rglob(name), key=lambda path: len(path.parts))
    if not found:
        raise DatasetError(
            f"'{archive}' holds no '{name}': it is another file than expected, fetch it from "
            "its official place"
        )
    return found[-1]


def _install(found: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        os.replace(found, place)

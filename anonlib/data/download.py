"""Fetching files that are large from places that fail: mirrors, resumption, checksums."""

from __future__ import annotations

import errno
import gzip
import hashlib
import lzma
import os
import shutil
import ssl
import stat
import struct
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from anonlib.data.catalog import DataSet, Source
from anonlib.errors import DatasetError

TRIES = 4
"""How often an address is asked again after the connection broke."""
PATIENCE = 30.0
"""Seconds without a byte after which a connection counts as broken."""
_CHUNK = 1 << 18
_BROKEN = (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


class _FailedError(Exception):
    """This address will not do; the next may."""


def download(entry: DataSet, root: Path, *, progress: bool = True) -> list[str]:
    """Fetches what may be fetched of a data set; what is there already is left alone.

    Repeating it after an interruption goes on where it stopped.

    Args:
        entry: of the catalog.
        root: the folder.
        progress: whether to show progress bars.

    Returns:
        A line for each part: what was fetched, and whether a published checksum vouches for it.

    Raises:
        DatasetError: there is nothing to fetch, or no source of a part works; the other parts are
            fetched all the same, and the message says what a human can do.
        OSError: the disk is full, or the root cannot be written.
    """
    if not entry.parts:
        raise DatasetError(f"{entry.title} cannot be downloaded. {entry.by_hand} {_terms(entry)}")
    root.mkdir(parents=True, exist_ok=True)
    done, failures = [], []
    for sources in entry.parts:
        try:
            done.append(_part(sources, root, progress=progress))
        except DatasetError as error:
            failures.append(str(error))
    if failures:
        there = f" What else is needed is there: {'; '.join(done)}." if done else ""
        raise DatasetError(f"{entry.title}: {'. '.join(failures)}.{there} {entry.by_hand} {_terms(entry)}")
    return done


def _terms(entry: DataSet) -> str:
    return f"Terms: {entry.terms}; {entry.ask}"


def _part(sources: tuple[Source, ...], root: Path, *, progress: bool) -> str:
    """The first source that works, in words."""
    for source in sources:
        if all((root / place).exists() for place in source.places):
            return f"{' and '.join(source.places)}: there already"
    failures = []
    for source in sources:
        try:
            path = fetch(source, root, progress=progress)
            if source.keep:
                _unpack(path, root, source, progress=progress)
        except DatasetError as error:
            failures.append(str(error))
            continue
        vouched = "checksum as published" if source.digest else "no published checksum, recorded"
        return f"{' and '.join(source.places)}: fetched from {source.name}, {vouched}"
    places = " and ".join(sources[0].places)
    raise DatasetError(f"no source of {places} works: {'; '.join(failures)}")


def _unpack(path: Path, root: Path, source: Source, *, progress: bool) -> None:
    """The archive is gone afterwards, unpacked or of no use; what interrupts leaves it."""
    try:
        unpack(path, root, source.keep, progress=progress)
    except DatasetError:
        path.unlink()
        _record(source, root).unlink(missing_ok=True)
        raise
    path.unlink()


def fetch(source: Source, folder: Path, *, progress: bool = True) -> Path:
    """One file, verified.

    The bytes so far are in `NAME.part`, which a later call goes on with. Where no SHA-256 was
    published, that of the first download is recorded in `NAME.sha256`; without any published
    checksum, it must come again.

    Raises:
        DatasetError: no address works; the message says why for each.
        OSError: the disk is full, or the folder cannot be written.
    """
    path = folder / source.name
    if path.exists():
        with suppress(DatasetError):  # a damaged one is deleted and fetched anew
            _verify(path, source, folder)
            return path
    part = folder / f"{source.name}.part"
    failures = []
    for url in source.urls:
        try:
            _get(url, part, progress=progress)
            sha256 = _verify(part, source, folder)
        except (_FailedError, DatasetError) as error:
            failures.append(f"{url}: {error}")
            continue
        os.replace(part, path)
        _origin(part).unlink(missing_ok=True)
        if not source.digest.startswith("sha256:"):
            _record(source, folder).write_text(f"{sha256}  {source.name}\n", encoding="utf-8")
        return path
    raise DatasetError(f"{source.name} could not be fetched ({'; '.join(failures)})")


def _record(source: Source, folder: Path) -> Path:
    return folder / f"{source.name}.sha256"


def _verify(path: Path, source: Source, folder: Path) -> str:
    """The SHA-256 of a file that is what it should be; another is deleted.

    Raises:
        DatasetError: it is another file.
    """
    kind, _, expected = source.digest.partition(":")
    record = _record(source, folder)
    if not source.digest and record.is_file():
        kind, expected = "sha256", record.read_text(encoding="utf-8").split()[0]
    found = digest(path, kind or "sha256")
    if expected and found != expected.lower():
        path.unlink()
        _origin(path).unlink(missing_ok=True)
        raise DatasetError(f"wrong checksum, {kind} {found} instead of {expected}: the file was deleted")
    return found if kind in ("sha256", "") else digest(path, "sha256")


def digest(path: Path, kind: str) -> str:
    """Checksum of a file, in hexadecimal; `kind` is sha256 or md5."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _get(url: str, part: Path, *, progress: bool) -> None:
    """All bytes of an address, after those that are there.

    Raises:
        _FailedError: it does not answer, or breaks off again and again.
    """
    if url.startswith("gdrive:"):
        return _get_from_drive(url.removeprefix("gdrive:"), part, progress=progress)
    for attempt in range(TRIES):
        try:
            if _get_rest(url, part, progress=progress):
                return None
            reason = "the connection broke"
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 429):
                raise _FailedError(f"HTTP {error.code}") from error
            reason = f"HTTP {error.code}"
        except _BROKEN as error:
            reason = str(getattr(error, "reason", None) or error) or type(error).__name__
        if attempt + 1 < TRIES:
            time.sleep(0.5 * 2**attempt)
    raise _FailedError(reason)


def _get_rest(url: str, part: Path, *, progress: bool) -> bool:
    """Asks for the bytes that are missing; whether the file is complete now."""
    start = part.stat().st_size if part.exists() and _same_origin(url, part) else 0
    request = urllib.request.Request(url, headers=_headers(part, start))
    try:
        response: HTTPResponse = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # nothing behind what is there: complete, or another file
            if error.headers.get("Content-Range") == f"bytes */{start}":
                return True
            part.unlink()
            return False
        raise
    with response:
        if response.status != 206:
            start = 0
        left = response.headers.get("Content-Length")
        total = start + int(left) if left is not None else None
        _check_space(part, left)
        _origin(part).write_text(f"{url}\n{response.headers.get('ETag') or ''}\n", encoding="utf-8")
        _copy(response.read, part, start=start, total=total, progress=progress)
    return total is None or part.stat().st_size == total


def _headers(part: Path, start: int) -> dict[str, str]:
    """Asks for the rest, but for the whole if the file has changed since."""
    headers = {"User-Agent": "anonlib"}
    if start:
        headers["Range"] = f"bytes={start}-"
        with suppress(OSError, IndexError):
            if tag := _origin(part).read_text(encoding="utf-8").splitlines()[1]:
                headers["If-Range"] = tag
    return headers


def _copy(read: Callable[[int], bytes], part: Path, *, start: int, total: int | None, progress: bool) -> None:
    bar = tqdm(
        total=total,
        initial=start,
        desc=part.name.removesuffix(".part"),
        unit="B",
        unit_scale=True,
        disable=not progress,
    )
    with part.open("ab" if start else "wb") as file, bar:
        while chunk := read(_CHUNK):
            file.write(chunk)
            bar.update(len(chunk))


def _origin(part: Path) -> Path:
    """Where the address and the version of the bytes in a .part are noted."""
    return part.with_name(f"{part.name}.from")


def _same_origin(url: str, part: Path) -> bool:
    try:
        return _origin(part).read_text(encoding="utf-8").splitlines()[0] == url
    except (OSError, IndexError):
        return False


def _check_space(part: Path, needed: str | None) -> None:
    if needed is not None and shutil.disk_usage(part.parent).free < int(needed):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(part))


def _get_from_drive(identity: str, part: Path, *, progress: bool) -> None:
    """A file on Google Drive; gdown goes on with what it has."""
    import gdown
    from gdown.exceptions import DownloadError

    whole = part.with_name(f"{part.name}.drive")
    try:
        gdown.download(id=identity, output=str(whole), quiet=not progress, resume=True, use_cookies=False)
        os.replace(whole, part)
    except DownloadError as error:
        raise _FailedError("Google Drive refuses, or has had too many visitors today") from error
    except OSError as error:  # those of the connection have no number
        if error.errno is not None:
            raise
        raise _FailedError(f"Google Drive: {type(error).__name__}") from error


MOST_FILES = 1_000_000
"""Files an archive may hold; CASIA-WebFace has half a million."""
MOST_BYTES = 64 * 2**30
"""Bytes they may have together."""
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    EOFError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
Member = tuple[str, int, IO[bytes] | None, bool]
"""Name, size and content of a file, no content for others; whether it is a file or folder."""


def unpack(archive: Path, root: Path, keep: Sequence[tuple[str, str]], *, progress: bool = True) -> None:
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
        raise DatasetError(f"'{archive}' is damaged ({type(error).__name__}): fetch it again") from error
    return sum(1 for path in into.rglob("*") if path.is_file())


def _safe(name: str, archive: Path) -> tuple[str, ...]:
    """Parts of a name that stays inside."""
    path = PurePosixPath(name)
    wild = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name.split("/")[0]
    if wild or "\0" in name:
        raise DatasetError(
            f"'{archive}' holds '{name}', which leads out of it: refused, fetch it from its official place"
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

"""Downloads data sets: tries several addresses, resumes after interruptions, compares checksums, unpacks."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import ssl
import stat
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from anonlib.data.catalog import DataSet, Source
from anonlib.errors import DatasetError

PAUSES = (0.0, 0.5, 1.0, 2.0)
"""Seconds to wait before each attempt at an address."""
TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as broken."""
_BROKEN = (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


def download(entry: DataSet, root: Path, *, progress: bool = True) -> list[str]:
    """Downloads the parts of a data set that are not there yet; after an interruption, it resumes.

    Returns a line for each part: which file was downloaded, and whether its checksum is published.

    Raises:
        DatasetError: nothing can be downloaded, or no source of a part works; the other parts are there.
        OSError: the disk is full, or the root cannot be written.
    """
    terms = f"{entry.by_hand} Terms: {entry.terms}; {entry.ask}"
    if not entry.parts:
        raise DatasetError(f"{entry.title} cannot be downloaded. {terms}")
    root.mkdir(parents=True, exist_ok=True)
    done, failures = [], []
    for sources in entry.parts:
        try:
            done.append(_download_part(sources, root, progress=progress))
        except DatasetError as error:
            failures.append(str(error))
    if failures:
        there = f" The other parts are there: {'; '.join(done)}." if done else ""
        raise DatasetError(f"{entry.title}: {'. '.join(failures)}.{there} {terms}")
    return done


def _download_part(sources: tuple[Source, ...], root: Path, *, progress: bool) -> str:
    for source in sources:
        if all((root / place).exists() for place in source.places):
            return f"{' and '.join(source.places)}: there already"
    failures = []
    for source in sources:
        path = root / source.name
        try:
            fetch(source, root, progress=progress)
            if source.keep:
                unpack(path, root, source.keep, progress=progress)
                path.unlink()
        except DatasetError as error:
            failures.append(str(error))
            if path.exists():  # damaged, or another file than expected
                path.unlink()
                Path(f"{path}.sha256").unlink(missing_ok=True)
            continue
        checksum = "checksum as published" if source.digest else "no published checksum, recorded"
        return f"{' and '.join(source.places)}: fetched from {source.name}, {checksum}"
    places = " and ".join(sources[0].places)
    raise DatasetError(f"no source of {places} works: {'; '.join(failures)}")


def fetch(source: Source, folder: Path, *, progress: bool = True) -> Path:
    """Downloads one file and compares its checksum.

    The bytes so far are in `NAME.part`. If no SHA-256 is published, that of the first download is recorded in
    `NAME.sha256`. If no checksum is published at all, later downloads must have the recorded one.

    Raises:
        DatasetError: no address works; the message gives the reason for each.
        OSError: the disk is full, or the folder cannot be written.
    """
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    path = folder / source.name
    record, part = Path(f"{path}.sha256"), Path(f"{path}.part")
    recorded = record.read_text(encoding="utf-8").partition(" ")[0] if record.is_file() else ""
    known = source.digest or recorded or None
    failures = []
    for url in source.urls:
        downloader = _from_drive if url.startswith("gdrive:") else _from_http
        downloader = partial(downloader, part=part, progress=progress)
        try:
            pooch.retrieve(url, known, fname=source.name, path=folder, downloader=downloader)
        except (ConnectionError, ValueError) as error:  # pooch raises ValueError for a wrong checksum
            failures.append(f"{url}: {error}")
            continue
        if not source.digest.startswith("sha256:"):
            record.write_text(f"{pooch.file_hash(path)}  {source.name}\n", encoding="utf-8")
        return path
    raise DatasetError(f"{source.name} could not be fetched ({'; '.join(failures)})")


def _from_http(url: str, output_file: str, _: object, *, part: Path, progress: bool) -> None:
    """A downloader for pooch that resumes: pooch's own one starts again after a broken connection."""
    for pause in PAUSES:
        time.sleep(pause)
        try:
            if _resume(url, part, progress=progress):
                os.replace(part, output_file)
                Path(f"{part}.from").unlink()
                return
            reason = "the connection broke"
        except urllib.error.HTTPError as error:
            reason = f"HTTP {error.code}"
            if error.code < 500 and error.code not in (408, 429):
                break
        except _BROKEN as error:
            reason = str(getattr(error, "reason", None) or error) or type(error).__name__
    raise ConnectionError(reason)


def _resume(url: str, part: Path, *, progress: bool) -> bool:
    """Downloads the missing bytes of a file; whether it is complete now."""
    origin = Path(f"{part}.from")
    address = tag = ""
    with suppress(OSError, ValueError):
        address, tag, *_ = origin.read_text(encoding="utf-8").split("\n")
    start = part.stat().st_size if part.exists() and address == url else 0
    request = urllib.request.Request(url, headers={"User-Agent": "anonlib"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        if tag:
            request.add_header("If-Range", tag)  # the whole file if it has changed since
    try:
        response: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not start:
            raise
        part.unlink()  # there are no more bytes, so it may be another file: start again
        return False
    with response:
        start = start if response.status == 206 else 0
        left = response.headers.get("Content-Length")
        if left is not None and shutil.disk_usage(part.parent).free < int(left):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(part))
        total = start + int(left) if left is not None else None
        origin.write_text(f"{url}\n{response.headers.get('ETag') or ''}\n", encoding="utf-8")
        bar = {"total": total, "initial": start, "desc": part.stem, "disable": not progress}
        with part.open("ab" if start else "wb") as file, tqdm.wrapattr(file, "write", **bar) as counted:
            shutil.copyfileobj(response, counted, 1 << 18)
    return total is None or part.stat().st_size == total


def _from_drive(url: str, output_file: str, _: object, *, part: Path, progress: bool) -> None:
    """A downloader for pooch of a file on Google Drive, `gdrive:ID`; gdown resumes."""
    import gdown
    from gdown.exceptions import DownloadError

    whole, identity = part.with_suffix(".drive"), url.removeprefix("gdrive:")
    try:
        gdown.download(id=identity, output=str(whole), quiet=not progress, resume=True, use_cookies=False)
        os.replace(whole, output_file)
    except DownloadError as error:
        raise ConnectionError("Google Drive refuses, or too many people downloaded the file today") from error
    except OSError as error:
        if error.errno is not None:  # of the disk; gdown's network errors have no number
            raise
        raise ConnectionError(f"Google Drive: {type(error).__name__}") from error


MOST_FILES = 1_000_000
"""Most files of an archive; CASIA-WebFace has half a million."""
MOST_BYTES = 64 * 2**30
"""Most unpacked bytes of an archive."""
_MEND = "fetch it again from its official place"


def unpack(archive: Path, root: Path, keep: Sequence[tuple[str, str]], *, progress: bool = True) -> None:
    """Takes folders or files out of a .zip or .tar.*; they appear below the root complete or not at all.

    `keep` has the name of each folder or file, at any depth of the archive, and its place below the root.
    If the archive contains none of the names, the whole archive is taken for the first.

    Raises:
        DatasetError: the archive is damaged; contains a link, a device, a name outside of itself, or more
            than `MOST_FILES` or `MOST_BYTES`; or lacks something of `keep`.
        OSError: the disk is full, or the root cannot be written.
    """
    staging = root / f".{archive.name}.unpacking"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        if not _extract(archive, staging, {inner for inner, _ in keep}, progress=progress):
            _extract(archive, staging / keep[0][0], None, progress=progress)
        for inner, place in keep:
            found = sorted(staging.rglob(inner), key=lambda path: len(path.parts))
            if not found:
                raise DatasetError(f"'{archive}' holds no '{inner}': {_MEND}")
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            if not (root / place).exists():
                os.replace(found[-1], root / place)  # the innermost: LFW is also packed as lfw/lfw/NAME
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _extract(archive: Path, into: Path, names: set[str] | None, *, progress: bool) -> bool:
    """Unpacks the members below one of the names, or all members; whether there were any files."""
    files = size = 0
    members = tqdm(_members(archive), desc=f"unpacking {archive.name}", unit="file", disable=not progress)
    try:
        for name, length, plain, extract in members:
            parts = PurePosixPath(name).parts
            files, size = files + 1, size + length
            if files > MOST_FILES or size > MOST_BYTES:
                limits = f"{MOST_FILES:,} files or {MOST_BYTES:,} bytes"
                raise DatasetError(f"'{archive}' unpacks to more than {limits}: {_MEND}")
            if name.startswith("/") or ".." in parts:
                raise DatasetError(f"'{archive}' holds '{name}', a path outside of the archive: {_MEND}")
            if "__MACOSX" in parts or (names is not None and names.isdisjoint(parts)):
                continue
            if not plain:
                raise DatasetError(f"'{archive}' holds '{name}', a link or device: {_MEND}")
            extract(into)
    except Exception as error:  # zipfile and tarfile raise many kinds for a damaged archive
        if isinstance(error, DatasetError) or getattr(error, "errno", None) is not None:  # errors of the disk
            raise
        raise DatasetError(f"'{archive}' is damaged ({type(error).__name__}): {_MEND}") from error
    return any(path.is_file() for path in into.rglob("*"))


def _members(archive: Path) -> Iterator[tuple[str, int, bool, Callable[[Path], object]]]:
    """Name, size, whether it is a plain file or folder, and what extracts it, of each member."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                plain = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
                yield info.filename, info.file_size, plain, partial(zipped.extract, info)
    else:
        with tarfile.open(archive) as tar:
            for member in tar:
                plain = member.isreg() or member.isdir()
                yield member.name, member.size, plain, partial(tar.extract, member, filter="data")

"""Files that are whole or absent: written under a hidden name, renamed when complete."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from anonlib.errors import VideoError

SUFFIX = ".part"
Opened = Callable[[Path], AbstractContextManager[BinaryIO]]
"""Opens a file to write that is whole or absent afterwards, as `complete` does."""


def part_of(path: Path) -> Path:
    """The hidden name beside a file under which it is written.

    >>> part_of(Path("films/a.mp4")).as_posix()
    'films/.a.mp4.part'
    """
    return path.with_name(f".{path.name}{SUFFIX}")


@contextmanager
def complete(path: Path) -> Iterator[BinaryIO]:
    """A file to write; it appears at `path`, whole and on the disk, when the block ends well.

    On an error nothing is left. What a killed run left is replaced; what a running one is
    writing is not.

    Raises:
        VideoError: another run is writing the same file.
        OSError: the folder cannot be written, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    with locked(part) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
    sync_folder(path.parent)


@contextmanager
def locked(part: Path) -> Iterator[BinaryIO]:
    """The part, empty and ours alone; links are not followed.

    Raises:
        VideoError: another process holds it.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(part, flags, 0o666), "r+b") as file:
        if not _lock(file) or not is_still(part, file):
            raise VideoError(f"'{part}' is being written by another run: wait for it")
        file.truncate()
        yield file


def _lock(file: BinaryIO) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows keeps a second writer out by itself
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def is_still(part: Path, file: BinaryIO) -> bool:
    """Whether the name still means this file: another run may have finished in between."""
    try:
        return os.path.samestat(part.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def sync_folder(folder: Path) -> None:
    """Sees to it that what was renamed in a folder stays so if the power fails."""
    with suppress(OSError):  # Windows, and some network file systems, cannot
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

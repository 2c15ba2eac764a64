"""Files that several attempts may write at once: the first whole one stays, the others vanish.

An engine that runs on many machines repeats work that it believes lost, also while the first
attempt still goes on. Each writes under a hidden name of its own.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from anonlib.errors import VideoError
from anonlib.files import SUFFIX, is_still, locked, sync_folder
from anonlib.video.planning import check_output

Claim = Callable[[int], Collection[int]]
"""Told the number (inode) of a file about to be put in its place; returns all it was ever told."""
_PREFIX = ".anonlib-"
_NO_LINKS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextmanager
def once(path: Path, *, overwrite: bool, claim: Claim) -> Iterator[BinaryIO]:
    """A file to write; it appears at `path`, whole and on the disk, when the block ends well.

    If another attempt was first, its file stays and this one vanishes. On an error nothing is
    left, except by a process that is killed: see `sweep`.

    Args:
        path: where the file goes.
        overwrite: whether a file that was there before the first attempt is replaced.
        claim: what the attempts at this file share.

    Raises:
        VideoError: a file is there that no attempt made, and it may not be replaced.
        OSError: the folder cannot be written, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with own_part(path.parent) as (part, file):
        yield file
        file.flush()
        os.fsync(file.fileno())
        _put(part, path, overwrite, claim)
    sync_folder(path.parent)


@contextmanager
def own_part(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A hidden file under a name that nobody else uses, empty; it is gone after the block."""
    with ExitStack() as held:
        part, file = _begin(folder, held)
        try:
            yield part, file
        finally:
            with suppress(OSError):
                part.unlink()


def sweep(folders: Iterable[Path]) -> None:
    """Deletes what killed attempts left in folders; what a living one writes is locked and stays.

    So does everything where the file system knows no locks.
    """
    for folder in folders:
        for part in folder.glob(f"{_PREFIX}*{SUFFIX}"):
            with suppress(OSError):
                _delete_dead(part)


def _begin(folder: Path, held: ExitStack) -> tuple[Path, BinaryIO]:
    while True:
        part = folder / f"{_PREFIX}{uuid4().hex}{SUFFIX}"
        try:
            return part, held.enter_context(locked(part))
        except VideoError:  # a sweeper met it before it was locked
            continue


def _put(part: Path, path: Path, overwrite: bool, claim: Claim) -> None:
    """Moves a part to its place unless an attempt was first, whose claim is older than its file."""
    claimed = claim(part.stat().st_ino)
    if overwrite and _inode(path) not in claimed:
        os.replace(part, path)
        return
    try:
        _move_to_free(part, path)
    except FileExistsError:
        if _inode(path) not in claim(part.stat().st_ino):
            check_output(path, overwrite=False)


def _move_to_free(part: Path, path: Path) -> None:
    """Moves a file where there is none, in one step if the file system has hard links."""
    try:
        os.link(part, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "it exists", str(path)) from None
        os.replace(part, path)


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


def _delete_dead(part: Path) -> None:
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(part, flags), "r+b") as file:
        try:
            import fcntl
        except ImportError:  # Windows keeps files that are open by itself
            pass
        else:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_still(part, file):
            part.unlink()

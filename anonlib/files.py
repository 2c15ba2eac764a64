"""Files that are whole or absent: written under a hidden name, renamed when complete."""

from __future__ import annotations

import os
import platform
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

import torch
from torch import distributed

from anonlib.errors import ResultsError, VideoError

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


def write_atomically(path: Path, content: bytes) -> None:
    """Writes to a temporary name and renames, so that no half-written file is ever at `path`.

    Where processes train together the first one writes, and the others do nothing.

    Raises:
        ResultsError: the disk is full or the folder cannot be written.
    """
    if not first_process():
        return
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise ResultsError(
            f"could not write {path}: {error.strerror}; check the space and the "
            "permissions there, or choose another --out"
        ) from error


def first_process() -> bool:
    """Whether this process writes files: the only one, or the first of a team."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def commit() -> str:
    """The commit of the source tree, marked when it has changes; `unknown` without git."""
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def hardware() -> str:
    """The GPU, or the processor and how many threads of it are used."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{_processor()}, {torch.get_num_threads()} threads"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


T = TypeVar("T")
LEAVE_SECONDS = 10.0
"""How long a consumer that leaves waits for the producer's last item; a camera may hang."""


class _Channel(Generic[T]):
    """A bounded queue whose producer learns that the consumer has left."""

    def __init__(self, depth: int) -> None:
        self.items: deque[T] = deque()
        self.depth = depth
        self.changed = threading.Condition()
        self.closed = False
        self.finished = False
        self.error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Waits for room; False if the consumer has left."""
        with self.changed:
            self.changed.wait_for(lambda: self.closed or len(self.items) < self.depth)
            self.items.append(item)
            self.changed.notify_all()
            return not self.closed

    def finish(self, error: BaseException | None) -> None:
        with self.changed:
            self.finished, self.error = True, error
            self.changed.notify_all()

    def drain(self) -> Iterator[T]:
        """Items in order until the producer has finished; raises what it raised."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: bool(self.items) or self.finished)
                if not self.items:
                    break
                item = self.items.popleft()
                self.changed.notify_all()
            yield item
            del item  # a picture is not kept while the next is waited for
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.items.clear()
            self.changed.notify_all()


def ahead(iterable: Iterable[T], depth: int) -> Generator[T, None, None]:
    """The items of an iterable, in order, made in a thread at most `depth` items ahead.

    The thread starts with the first item asked for and ends with the iterable, with an error in
    it, or when this generator is closed. It closes the iterable where that can be closed.

    Args:
        iterable: is iterated over in the thread alone.
        depth: items that may wait, 1 or more; one more is in the making.

    Yields:
        Every item, as soon as it is there.

    Raises:
        BaseException: what the iterable raised, with its traceback, after the items before it.

    >>> list(ahead(range(5), depth=2))
    [0, 1, 2, 3, 4]
    """
    if depth < 1:
        raise ValueError(f"depth {depth}: use 1 or more")
    channel: _Channel[T] = _Channel(depth)
    thread = threading.Thread(target=_fill, args=(iterable, channel), name="ahead", daemon=True)
    thread.start()
    try:
        yield from channel.drain()
    finally:
        channel.close()
        thread.join(LEAVE_SECONDS)


def _fill(iterable: Iterable[T], channel: _Channel[T]) -> None:
    error: BaseException | None = None
    try:
        iterator = iter(iterable)
        try:
            for item in iterator:
                if not channel.put(item):
                    break
                del item
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
    except BaseException as raised:
        error = raised
    channel.finish(error)

"""Writes files completely or not at all, and records how a result was made."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from errno import EISDIR
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, Literal
from uuid import uuid4

from anonlib.errors import ConfigError, ResultsError

if TYPE_CHECKING:
    import torch

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".part"
"""End of the hidden name under which a file is written until it is complete."""
Opened = Callable[[Path], AbstractContextManager[BinaryIO]]
"""Opens a file that is whole or absent afterwards, as `complete` does."""
Claim = Callable[[int], Collection[int]]
"""Takes the inode of a finished file and returns the inodes of all attempts so far, see `complete`."""
_OWN = ".anonlib-"


@contextmanager
def complete(path: Path, *, overwrite: bool = True, claim: Claim | None = None) -> Iterator[BinaryIO]:
    """Opens a file to write; it appears at `path`, whole and on the disk, when the block ends well.

    Missing folders are made. After an error nothing is left. What a killed process left is replaced by
    the next one, and two processes do not write the same file (Windows has no such lock).

    With `claim`, several attempts may write the same file at once, each under its own hidden name. The
    first complete one stays, the others are deleted; a file that was there before the first attempt
    is replaced only with `overwrite`. `sweep` deletes what killed attempts left.

    Raises:
        ResultsError: another process writes the same file; or, with `claim`, a file that no attempt
            made is there and may not be replaced.
        OSError: the folder cannot be written, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(part_of(path)) if claim is None else own_part(path.parent) as (part, file):
        yield file
        file.flush()
        os.fsync(file.fileno())
        if os.name == "nt":  # Windows cannot rename an open file
            file.close()
        if claim is None:
            os.replace(part, path)
        else:
            _place(part, path, overwrite, claim)
    with suppress(OSError):  # so that the new name survives a power failure; Windows cannot
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; of processes that train together only the first writes.

    Raises:
        ResultsError: the disk is full, or the folder cannot be written.
    """
    if not first_process():
        return
    try:
        with complete(path) as file:
            file.write(content)
    except OSError as error:
        raise ResultsError(
            f"could not write {path}: {error.strerror}; check the space and the permissions there, "
            "or choose another --out"
        ) from error


def check_writable(path: Path) -> None:
    """Refuses a path to which no file can be written, before long work; missing folders are made.

    Raises:
        ResultsError: the folder cannot be made or written, or the path is a folder.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
    except OSError as error:
        raise ResultsError(
            f"could not write {path}: {error.strerror}; check the permissions there, or choose another --out"
        ) from error


def first_process() -> bool:
    """Whether this process writes files: the only one, or the one of RANK 0 under torchrun."""
    return os.environ.get("RANK", "0") == "0"


def part_of(path: Path) -> Path:
    """The hidden name under which a file is written before it is complete.

    >>> part_of(Path("films/a.mp4")).as_posix()
    'films/.a.mp4.part'
    """
    return path.with_name(f".{path.name}{SUFFIX}")


@contextmanager
def own_part(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new hidden file under a random name; it is deleted after the block unless it was renamed."""
    with ExitStack() as held:
        opened = None
        while opened is None:
            with suppress(ResultsError):  # `sweep` may delete a file before it is locked
                opened = held.enter_context(_locked(folder / f"{_OWN}{uuid4().hex}{SUFFIX}"))
        yield opened


def sweep(folders: Iterable[Path]) -> None:
    """Deletes what killed attempts left in these folders, where the file system has locks."""
    for folder in folders:
        for part in folder.glob(f"{_OWN}*{SUFFIX}"):
            with suppress(OSError), _open_part(part, 0) as file:
                if _lock(file) == "ours" and _is_at(part, file):
                    part.unlink()


@contextmanager
def _locked(part: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """An empty file that only this process writes, deleted afterwards unless it was renamed."""
    with _open_part(part, os.O_CREAT) as file:
        if _lock(file) == "taken" or not _is_at(part, file):
            raise ResultsError(f"'{part}' is being written by another run: wait for it")
        file.truncate()
        try:
            yield part, file
        finally:
            if os.name == "nt":  # Windows cannot delete an open file
                file.close()
            if file.closed or _is_at(part, file):
                with suppress(OSError):
                    part.unlink()


def _open_part(part: Path, create: int) -> BinaryIO:
    """Opens a hidden file without following links."""
    flags = os.O_RDWR | create | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(part, flags, 0o666), "r+b")


def _lock(file: BinaryIO) -> Literal["ours", "taken", "unknown"]:
    """Locks a file until it is closed; `unknown` where there are no locks."""
    if fcntl is None:
        return "unknown"
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "taken"
    except OSError:
        return "unknown"
    return "ours"


def _is_at(path: Path, file: BinaryIO) -> bool:
    """Whether the path still names this open file: another process may have renamed it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _place(part: Path, path: Path, overwrite: bool, claim: Claim) -> None:
    """Moves a part to its place, unless the file there was made by another attempt."""
    claimed = claim(part.stat().st_ino)
    if overwrite and _inode(path) not in claimed:
        os.replace(part, path)
        return
    try:
        os.link(part, path)
    except OSError as error:
        if not (isinstance(error, FileExistsError) or os.path.lexists(path)):  # there are no hard links
            os.replace(part, path)
        elif _inode(path) not in claim(part.stat().st_ino):
            raise ResultsError(f"'{path}' exists: give --overwrite, or the output another name") from error


def _inode(path: Path) -> int | None:
    return path.lstat().st_ino if os.path.lexists(path) else None


def provenance(*, command: str, seed: int | None, device: torch.device | str = "cpu") -> dict[str, Any]:
    """What every record says of how a result was made; `command` makes the result again.

    >>> list(provenance(command="anonlib reproduce", seed=0))
    ['command', 'seed', 'commit', 'hardware', 'date', 'torch']
    """
    import torch

    return {
        "command": command,
        "seed": seed,
        "commit": commit(),
        "hardware": hardware(device),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "torch": torch.__version__,
    }


def commit() -> str:
    """The commit of this project's checkout, `-dirty` if files differ; `unknown` for an installed package."""
    root = Path(__file__).resolve().parents[1]
    git = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        if project["name"] != "anonlib" or not (root / ".git").exists():
            return "unknown"
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, KeyError, ValueError, subprocess.CalledProcessError):
        return "unknown"


def hardware(device: torch.device | str = "cpu") -> str:
    """The GPU, if `device` is one; else the processor and how many threads of it are used."""
    import torch

    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    return f"{processor}, {torch.get_num_threads()} threads"


def chosen_device(device: str) -> str:
    """The device that `auto`, `cpu` or `cuda` means here.

    Raises:
        ConfigError: `cuda`, and there is no GPU.

    >>> chosen_device("cpu")
    'cpu'
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device 'cuda': PyTorch finds no NVIDIA GPU here; use --device cpu")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def peak_memory_gb() -> float | None:
    """The most memory that this process held so far, in 10^9 bytes; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9, 2)

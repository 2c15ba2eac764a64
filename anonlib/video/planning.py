"""Which output is written for which input, and which inputs are refused before anything starts."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from anonlib.errors import AnonlibError, ConfigError, RefusedError, VideoError
from anonlib.files import SUFFIX
from anonlib.video.containers import container_of
from anonlib.video.image_writer import image_format
from anonlib.video.kinds import KINDS, Kind, beside, kind_of, mirrored
from anonlib.video.opening import is_live, title
from anonlib.video.settings import FileReport, Settings

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full disk, which every later file would meet too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A file to anonymize and its output, which has been checked."""

    source: str | Path
    """A path; or `-`, a camera or an address as text."""
    out: str | Path
    kind: Kind


def plan(
    inputs: Sequence[str | Path],
    out: str | Path | None,
    settings: Settings,
    others: Mapping[str, Path] | None = None,
) -> list[Task | FileReport]:
    """What to do with each file of `anonymize_files`, in order: a task, or a report where no work is needed.

    The run also writes the files `others`, such as its report.

    Raises:
        RefusedError: names every refused input.
    """
    if not inputs:
        raise RefusedError(["nothing to anonymize: name a file, a folder, camera:0 or -"])
    if len(inputs) > 1 and out == "-":
        raise RefusedError(["several inputs do not fit into stdout: name a folder"])
    refused: list[str] = []
    jobs: dict[str | Path, list[_Job]] = {}
    word = "preview" if settings.preview else "anonymized"
    for one in dict.fromkeys(inputs):
        with collected(refused):
            jobs[one] = list(_jobs(one, out, len(inputs) > 1, word))
    others = others or {}
    checks = _Checks(chain.from_iterable(jobs.values()), settings, others)
    files: list[Task | FileReport] = []
    for one, found in jobs.items():
        settled: list[Task | FileReport | None] = []
        for job in found:
            settled.append(None)
            with collected(refused):
                settled[-1] = checks.settle(job)
        if all(isinstance(file, FileReport) and file.status == "no media" for file in settled):
            refused.append(f"'{one}' holds no picture and no video: check the name, or leave it out")
        files += [file for file in settled if file is not None]
    for word, path in others.items():
        if path.is_dir() or identity(path) in checks.inputs:
            refused.append(f"{word} '{path}' is an input or a folder: name another file")
    if refused:
        raise RefusedError(refused)
    return files


@contextmanager
def collected(refused: list[str]) -> Iterator[None]:
    """Adds the message of an error in the block to a list."""
    try:
        yield
    except AnonlibError as error:
        refused.append(str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """An input file and where its output goes, before anything is checked."""

    source: str | Path
    outputs: dict[Kind, str | Path]
    """A picture and a video may get different suffixes."""
    root: Path | None = None
    """The output folder that the output must not leave."""
    skips: bool = False
    """Whether an output that exists means that the work is done."""
    left_alone: str | None = None
    """Why a file found in a folder is not read."""


class _Checks:
    """Compares the output of each job with all inputs and with the outputs before it."""

    def __init__(self, jobs: Iterable[_Job], settings: Settings, others: Mapping[str, Path]) -> None:
        self.settings = settings
        self.inputs = {identity(job.source) for job in jobs} - {None}
        self.owners: dict[str, str | Path] = {_place(path): f"the {word}" for word, path in others.items()}

    def settle(self, job: _Job) -> Task | FileReport | None:
        """A task, or a report if there is nothing to do; None if the same file was settled before."""
        report = FileReport(input=title(job.source), kind="other", status="no media")
        if job.left_alone:
            report.warnings = [job.left_alone]
            return report
        kind: Kind | None = "video"
        with failures(report):
            if isinstance(job.source, Path):
                kind = kind_of(job.source)
        if kind is None or report.status == "failed":
            return report
        task = Task(source=job.source, out=job.outputs[kind], kind=kind)
        if task.out == "-":
            if kind == "image":
                raise VideoError(f"'{job.source}' is a picture: name a file for its output")
            return task
        out = Path(task.out)
        owner = self.owners.setdefault(_place(out), job.source)
        if owner is not job.source:
            if identity(owner) == identity(job.source) is not None:
                return None
            raise VideoError(
                f"'{job.source}': its output '{out}' is also that of '{owner}': rename one of them, or "
                "give each an --out of its own"
            )
        self._check(job, kind, out)
        if job.skips and out.is_file() and not self.settings.overwrite:
            report.kind, report.output, report.status = kind, str(out), "skipped"
            return report
        if out.is_dir():
            raise VideoError(f"'{out}' is a folder: give the output a name of its own")
        if os.path.lexists(out) and not self.settings.overwrite:
            raise VideoError(f"'{out}' exists: give --overwrite, or the output another name")
        return task

    def _check(self, job: _Job, kind: Kind, out: Path) -> None:
        if job.root is not None and not out.parent.resolve().is_relative_to(job.root.resolve()):
            raise VideoError(
                f"'{job.source}': its output '{out}' would leave '{job.root}' through a link: remove the link"
            )
        if identity(out) in self.inputs:
            raise VideoError(
                f"'{job.source}': its output '{out}' is an input itself: choose another --out, or leave "
                "that input out"
            )
        (image_format if kind == "image" else container_of)(out)  # checks the suffix


@contextmanager
def failures(report: FileReport) -> Iterator[None]:
    """Turns an error in the block into a failed file, so that the other files are still done.

    Raises:
        ConfigError: the settings name something that does not exist.
        OSError: the disk is full.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        if isinstance(error, AnonlibError):
            words = str(error)
        elif isinstance(error, OSError):
            words = f"'{error.filename or report.input}': {error.strerror or error}"
        else:
            words = f"'{report.input}': {type(error).__name__}: {error}"
        report.status, report.warnings = "failed", [words]


def identity(path: str | Path) -> tuple[int, int] | None:
    """Device and inode, which all names of one file share; None for what is not a file."""
    try:
        found = os.stat(path) if isinstance(path, Path) else None
    except OSError:
        return None
    return found and (found.st_dev, found.st_ino)


def _place(out: Path) -> str:
    """The same text for all names of one output, whether it exists or not."""
    folder = out.parent.resolve()
    name = str(folder / out.name)
    while folder.name and (not folder.exists() or folder.name == folder.name.swapcase()):
        folder = folder.parent
    swapped = identity(folder.parent / folder.name.swapcase())  # does A.png name the same file as a.png?
    return name.casefold() if folder.name and swapped == identity(folder) else name


def _jobs(one: str | Path, out: str | Path | None, several: bool, word: str) -> Iterator[_Job]:
    """The jobs of one input; raises VideoError if it does not exist or the output does not fit it."""
    folder = None
    if out and out != "-" and (several or str(out).endswith(("/", os.sep)) or Path(out).is_dir()):
        folder = Path(out)
    path = Path(one)
    if isinstance(one, str) and (one == "-" or is_live(one)):
        name = "".join(c if c.isalnum() else "-" for c in one).strip("-")
        if folder is not None:
            out = folder / f"{name or 'stdin'}.mp4"
        elif out is None:
            out = "-" if one == "-" else f"{name}.{word}.mp4"
        yield _Job(source=one, outputs={"video": out})
    elif path.is_dir():
        yield from _folder_jobs(path, out, several, word)
    elif not path.exists():
        raise VideoError(f"'{one}' is not there: check the name")
    elif out is None:
        yield _Job(source=path, outputs={kind: beside(path, kind, word) for kind in KINDS}, skips=several)
    elif folder is None:
        yield _Job(source=path, outputs=dict.fromkeys(KINDS, out))
    else:
        outputs: dict[Kind, str | Path] = {kind: folder / mirrored(Path(path.name), kind) for kind in KINDS}
        yield _Job(source=path, outputs=outputs, root=folder, skips=several)


def _folder_jobs(root: Path, out: str | Path | None, several: bool, word: str) -> Iterator[_Job]:
    if out == "-":
        raise VideoError(f"folder '{root}' does not fit into stdout: name a folder")
    real = root if root.name not in ("", "..") else Path(os.path.abspath(root))
    target = real.with_name(f"{real.name}.{word}") if out is None else Path(out)
    if several and out is not None:
        target = target / real.name
    if target.exists() and not target.is_dir():
        raise VideoError(f"'{target}' is a file: give a folder's output a folder's name")
    if target.exists() and os.path.samefile(root, target):
        raise VideoError(f"'{target}' is the input itself: give the output another name")
    for path in files_in(root, leave_out=target):
        relative, why = path.relative_to(root), _why_left_alone(path, root.resolve())
        outputs: dict[Kind, str | Path] = {kind: target / mirrored(relative, kind) for kind in KINDS}
        yield _Job(source=path, outputs=outputs, root=target, skips=True, left_alone=why)


def files_in(root: Path, *, leave_out: Path) -> Iterator[Path]:
    """Every file below a folder in a fixed order, and links to folders, which are not followed.

    The folder `leave_out` is the output.

    Raises:
        VideoError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise VideoError(f"folder '{error.filename}' cannot be read: {error.strerror}") from error

    out = leave_out.resolve()
    for folder, folders, names in os.walk(root, onerror=refuse):
        here = Path(folder)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(n for n in folders if n not in links and (here / n).resolve() != out)
        for name in [*sorted(links), *sorted(names)]:
            if not (name.startswith(".") and name.endswith(SUFFIX)):
                yield here / name


def _why_left_alone(path: Path, root: Path) -> str | None:
    """Why a file in the folder `root` is not read; None if it is."""
    if path.is_symlink():
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):
            return "the link leads nowhere"
        if path.is_dir():
            return "links to folders are not followed"
        if not target.is_relative_to(root):
            return "the link leads out of the folder"
    return None if path.is_file() else "it is no regular file"

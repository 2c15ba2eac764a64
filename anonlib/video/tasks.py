"""The tasks of a run: what may be done, doing it, and errors of one file as words."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from anonlib.errors import AnonlibError, ConfigError, VideoError
from anonlib.video.complete import Opened, complete
from anonlib.video.images import anonymize_image
from anonlib.video.models import Models, load_models
from anonlib.video.naming import check_inside, check_output
from anonlib.video.opening import is_live, title
from anonlib.video.planning import Job
from anonlib.video.report import FileReport, Report
from anonlib.video.settings import Settings
from anonlib.video.sniffing import kind_of
from anonlib.video.videos import OnFrame, anonymize_video

T = TypeVar("T")
FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors that the files after this one would meet as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A file to be anonymized, its output checked."""

    source: str | Path
    out: str | Path
    kind: Literal["image", "video"]


class Run:
    """What the files of one run share."""

    def __init__(self, settings: Settings, models: Models | None, jobs: Sequence[Job]) -> None:
        """Keeps the jobs; models that are None are loaded when the first file needs them."""
        self.settings, self.jobs, self.models = settings, jobs, models
        self.report = Report(settings=settings, weights=models.hashes if models else {})
        self._inputs = {identity(job.source) for job in jobs} - {None}
        self._outputs: set[str] = set()

    def one(self, job: Job, on_frame: OnFrame | None) -> FileReport:
        """Does one job; what goes wrong with this file alone ends in its report."""
        task = self.settle(job)
        if isinstance(task, FileReport):
            return task
        return perform(task, self.settings, self._load, on_frame=on_frame)

    def settle(self, job: Job) -> Task | FileReport:
        """What is to be done; or a report, if there is nothing to do or it may not be done."""
        report = FileReport(input=title(job.source), kind="other")
        return or_failed(report, lambda: self._settle(job, report))

    def _settle(self, job: Job, report: FileReport) -> Task | FileReport:
        if job.refused:
            report.status, report.warnings = "no media", [job.refused]
            return report
        kind = kind_of(job.source) if isinstance(job.source, Path) else "video"
        if kind == "other":
            report.status = "no media"
            return report
        report.kind, out = kind, job.output(kind)
        report.output = str(out)
        if out != "-" and self._is_finished(job, Path(out)):
            report.status = "skipped"
            return report
        return Task(source=job.source, out=out, kind=kind)

    def _is_finished(self, job: Job, out: Path) -> bool:
        """Whether the output is there already; refuses one that may not be written."""
        if job.root is not None:
            check_inside(out, job.root)
        name = os.path.abspath(out)
        if name in self._outputs:
            raise VideoError(f"'{out}' is written for another input: give that one another name")
        if out.exists() and identity(out) in self._inputs:
            raise VideoError(f"'{out}' is an input itself: give the output another name")
        self._outputs.add(name)
        if job.skips and out.is_file() and not self.settings.overwrite:
            return True
        check_output(out, overwrite=self.settings.overwrite)
        return False

    def _load(self) -> Models:
        if self.models is None:
            self.models = load_models(self.settings)
            self.report.weights = self.models.hashes
        return self.models


def perform(
    task: Task, settings: Settings, load: Callable[[], Models], *,
    on_frame: OnFrame | None = None, opened: Opened = complete,
) -> FileReport:  # fmt: skip
    """Anonymizes a file; what goes wrong with it alone ends in its report."""

    def work() -> FileReport:
        models, source = load(), task.source
        if isinstance(source, Path) and task.kind == "image":
            if task.out == "-":
                raise VideoError(f"'{source}' is a picture: name a file for its output")
            return anonymize_image(
                source, task.out, settings=settings, models=models, opened=opened
            )
        with _stoppable(is_live(source)) as stop:
            return anonymize_video(
                source, task.out, settings=settings, models=models, on_frame=on_frame, stop=stop,
                opened=opened,
            )  # fmt: skip

    report = FileReport(input=title(task.source), output=str(task.out), kind=task.kind)
    return or_failed(report, work)


def or_failed(report: FileReport, work: Callable[[], T]) -> T | FileReport:
    """What the work returns; if it fails, the report says so.

    Raises:
        ConfigError: the settings name what does not exist.
        OSError: the disk is full.
    """
    try:
        return work()
    except ConfigError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        report.status, report.warnings = "failed", [_words(error, report.input)]
        return report


def identity(path: str | Path) -> tuple[int, int] | None:
    """What is the same for all names of one file; None for what is no file."""
    if not isinstance(path, Path):
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _words(error: Exception, name: str) -> str:
    if isinstance(error, AnonlibError):
        return str(error)
    if isinstance(error, OSError):
        return f"'{error.filename or name}': {error.strerror or error}"
    return f"'{name}': {type(error).__name__}: {error}"


@contextmanager
def _stoppable(live: bool) -> Iterator[threading.Event]:
    """An event that Ctrl-C sets while a camera runs: that is how a recording ends."""
    stop = threading.Event()
    if not live or threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)

"""Many files without recognisable faces: one bad file does not stop the rest."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from anonlib.errors import AnonlibError, ConfigError, VideoError
from anonlib.video.images import anonymize_image
from anonlib.video.models import Models, load_models
from anonlib.video.naming import Word, check_inside, check_output
from anonlib.video.opening import is_live, title
from anonlib.video.planning import Job, plan
from anonlib.video.report import FileReport, Report
from anonlib.video.settings import Settings
from anonlib.video.sniffing import kind_of
from anonlib.video.videos import anonymize_video


class Watcher(Protocol):
    """Is told how the work goes on."""

    def begin(self, name: str, index: int, total: int) -> None:
        """A file is begun, the so-manyth."""

    def frame(self, done: int, expected: int | None) -> None:
        """So many of its frames are done."""

    def end(self, report: FileReport) -> None:
        """It is finished."""


def anonymize_files(
    inputs: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    settings: Settings | None = None,
    models: Models | None = None,
    report: str | Path | None = None,
    watcher: Watcher | None = None,
) -> Report:
    """Anonymizes files, folders with all below them, cameras and streams.

    Outputs of a folder mirror it; what is finished there is skipped, so that the same call goes
    on where a stopped one was. A file that fails is told in the report, and the next begins.

    Args:
        inputs: paths, `-` for stdin, `camera:0`, or addresses.
        out: a file for one input, a folder, or `-` for stdout; by default `NAME.anonymized.EXT`
            beside each file and `FOLDER.anonymized` beside each folder.
        settings: `Settings()` by default.
        models: by default those that the settings name, loaded when the first file needs them.
        report: a file to write the report to as JSON, also after an error.
        watcher: told how the work goes on.

    Raises:
        VideoError: an input does not exist, or the output does not fit the inputs.
        ConfigError: the settings name what does not exist.
        OSError: the disk is full; the rest would fail as well.
    """
    settings = settings or Settings()
    word: Word = "preview" if settings.preview else "anonymized"
    if settings.preview and out is None:
        settings = replace(settings, overwrite=True)
    jobs = plan(inputs, out, word=word)
    _check_report(report, jobs)
    run = _Run(settings, models, jobs)
    try:
        for index, job in enumerate(jobs):
            if watcher is not None:
                watcher.begin(title(job.source), index, len(jobs))
            done = run.one(job, watcher.frame if watcher is not None else None)
            run.report.files.append(done)
            if watcher is not None:
                watcher.end(done)
            if settings.preview and done.status in ("done", "partial"):
                break
    finally:
        if report is not None:
            run.report.write(Path(report))
    return run.report


class _Run:
    """What the files of one run share."""

    def __init__(self, settings: Settings, models: Models | None, jobs: Sequence[Job]) -> None:
        self.settings, self._models = settings, models
        self.report = Report(settings=settings, weights=models.hashes if models else {})
        self._inputs = {identity(job.source) for job in jobs} - {None}
        self._outputs: set[str] = set()

    def one(self, job: Job, on_frame: Callable[[int, int | None], None] | None) -> FileReport:
        """Does one job; what goes wrong with this file alone ends in its report."""
        report = FileReport(input=title(job.source), kind="other")
        if job.refused:
            report.status, report.warnings = "no media", [job.refused]
            return report
        try:
            return self._do(job, report, on_frame)
        except ConfigError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            report.status, report.warnings = "failed", [_words(error, job)]
            return report

    def _do(
        self, job: Job, report: FileReport, on_frame: Callable[[int, int | None], None] | None
    ) -> FileReport:
        kind = kind_of(job.source) if isinstance(job.source, Path) else "video"
        if kind == "other":
            report.status = "no media"
            return report
        report.kind, out = kind, job.output(kind)
        report.output = str(out)
        if out != "-" and self._is_finished(job, Path(out)):
            report.status = "skipped"
            return report
        models = self._load()
        if isinstance(job.source, Path) and kind == "image":
            if out == "-":
                raise VideoError(f"'{job.source}' is a picture: name a file for its output")
            return anonymize_image(job.source, out, settings=self.settings, models=models)
        with _stoppable(is_live(job.source)) as stop:
            return anonymize_video(
                job.source, out, settings=self.settings, models=models, on_frame=on_frame, stop=stop
            )

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
        if self._models is None:
            self._models = load_models(self.settings)
            self.report.weights = self._models.hashes
        return self._models


def identity(path: str | Path) -> tuple[int, int] | None:
    """What is the same for all names of one file; None for what is no file."""
    if not isinstance(path, Path):
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_report(report: str | Path | None, jobs: Sequence[Job]) -> None:
    """Refuses a report in the place of an input before hours of work."""
    if report is None or not Path(report).exists():
        return
    if Path(report).is_dir() or identity(Path(report)) in {identity(job.source) for job in jobs}:
        raise VideoError(f"report '{report}' is an input or a folder: name another file")


def _words(error: Exception, job: Job) -> str:
    if isinstance(error, AnonlibError):
        return str(error)
    if isinstance(error, OSError):
        return f"'{error.filename or title(job.source)}': {error.strerror or error}"
    return f"'{title(job.source)}': {type(error).__name__}: {error}"


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

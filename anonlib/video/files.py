"""Many files without recognisable faces: one bad file does not stop the rest."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from anonlib.errors import VideoError
from anonlib.video.models import Models
from anonlib.video.naming import Word
from anonlib.video.opening import title
from anonlib.video.planning import Job, plan
from anonlib.video.report import FileReport, Report
from anonlib.video.settings import Settings
from anonlib.video.tasks import Run, identity


class Watcher(Protocol):
    """Is told how the work goes on."""

    def begin(self, name: str, index: int, total: int) -> None:
        """A file is begun, the so-manyth."""

    def frame(self, done: int, expected: int | None) -> None:
        """So many of its frames are done."""

    def end(self, report: FileReport) -> None:
        """It is finished."""


class Engine(Protocol):
    """Does the jobs of a run, here or elsewhere."""

    def __call__(
        self, run: Run, watcher: Watcher | None
    ) -> Generator[tuple[int, FileReport], None, None]:
        """Each finished job, by its place in `run.jobs`, and what was done."""


def anonymize_files(
    inputs: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    settings: Settings | None = None,
    models: Models | None = None,
    report: str | Path | None = None,
    watcher: Watcher | None = None,
    engine: Engine | None = None,
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
        engine: by default one file after the other, here; or `RayEngine`.

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
    run = Run(settings, models, jobs)
    done: dict[int, FileReport] = {}
    try:
        with closing((engine or in_turn)(run, watcher)) as reports:
            for index, file in reports:
                done[index] = file
    finally:
        run.report.files = [done[index] for index in sorted(done)]
        if report is not None:
            run.report.write(Path(report))
    return run.report


def in_turn(
    run: Run, watcher: Watcher | None = None
) -> Generator[tuple[int, FileReport], None, None]:
    """The engine that does one file after the other in this process."""
    for index, job in enumerate(run.jobs):
        if watcher is not None:
            watcher.begin(title(job.source), index, len(run.jobs))
        report = run.one(job, watcher.frame if watcher is not None else None)
        if watcher is not None:
            watcher.end(report)
        yield index, report
        if run.settings.preview and report.status in ("done", "partial"):
            break


def _check_report(report: str | Path | None, jobs: Sequence[Job]) -> None:
    """Refuses a report in the place of an input before hours of work."""
    if report is None or not Path(report).exists():
        return
    if Path(report).is_dir() or identity(Path(report)) in {identity(job.source) for job in jobs}:
        raise VideoError(f"report '{report}' is an input or a folder: name another file")

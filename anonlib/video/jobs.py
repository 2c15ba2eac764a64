"""What a file holds, told by its first bytes and never by its name."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from anonlib.errors import AnonlibError, ConfigError, VideoError
from anonlib.files import Opened, complete
from anonlib.video.images import FORMATS, anonymize_image
from anonlib.video.opening import is_live, open_input, title
from anonlib.video.planning import Job, Word, check_inside, check_output, plan
from anonlib.video.report import FileReport, Report
from anonlib.video.settings import Models, Settings, load_models
from anonlib.video.videos import OnFrame, anonymize_video
from anonlib.video.writer import CONTAINERS

Kind = Literal["image", "video", "other"]
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\x00", b"MM\x00*", b"GIF87a", b"GIF89a")
_HEIC = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
_MEDIA = {
    *FORMATS,
    *CONTAINERS,
    ".avi",
    ".wmv",
    ".flv",
    ".mpg",
    ".mpeg",
    ".ts",
    ".m2ts",
    ".mts",
    ".3gp",
    ".ogv",
    ".mxf",
    ".vob",
    ".asf",
    ".heic",
    ".heif",
    ".avif",
    ".bmp",
    ".jfif",
    ".jpe",
    ".y4m",
}
"""Suffixes that promise a picture or a video."""


def kind_of(path: Path) -> Kind:
    """What the file is: a picture, a video, or something else that is left alone.

    Raises:
        VideoError: the file promises a picture or a video by its name and holds none, or holds
            one of a kind that cannot be read.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(32)
    if head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC:
        raise VideoError(f"'{path}' is a HEIC or AVIF picture, which is not read: save it as JPEG")
    promised = path.suffix.lower() in _MEDIA
    if not head and not promised:
        return "other"
    try:
        with open_input(path) as container:
            return _known(path, bool(container.streams.video), promised)
    except VideoError:
        if promised:
            raise
        return "other"


def _known(path: Path, video: bool, promised: bool) -> Kind:
    if not video and promised:
        raise VideoError(f"'{path}' holds no video: give a film or a picture")
    return "video" if video else "other"


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
    task: Task,
    settings: Settings,
    load: Callable[[], Models],
    *,
    on_frame: OnFrame | None = None,
    opened: Opened = complete,
) -> FileReport:
    """Anonymizes a file; what goes wrong with it alone ends in its report."""

    def work() -> FileReport:
        models, source = load(), task.source
        if isinstance(source, Path) and task.kind == "image":
            if task.out == "-":
                raise VideoError(f"'{source}' is a picture: name a file for its output")
            return anonymize_image(source, task.out, settings=settings, models=models, opened=opened)
        with _stoppable(is_live(source)) as stop:
            return anonymize_video(
                source,
                task.out,
                settings=settings,
                models=models,
                on_frame=on_frame,
                stop=stop,
                opened=opened,
            )

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

    def __call__(self, run: Run, watcher: Watcher | None) -> Generator[tuple[int, FileReport], None, None]:
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


def in_turn(run: Run, watcher: Watcher | None = None) -> Generator[tuple[int, FileReport], None, None]:
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

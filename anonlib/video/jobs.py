"""Anonymizing many files: planned first, then done one after the other here, or by another engine."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path, PurePath

from tqdm import tqdm

from anonlib.files import Opened, complete
from anonlib.video.guide import UNGUIDED, Guide
from anonlib.video.images import anonymize_image
from anonlib.video.opening import is_live, title
from anonlib.video.planning import Task, failures, plan
from anonlib.video.settings import FileReport, Models, Report, Settings, load_models
from anonlib.video.videos import OnFrame, anonymize_video
from anonlib.video.watch import Watch

Reports = Generator[tuple[int, FileReport], None, None]
"""The place of each finished file in `Run.files`, and what was done to it."""


class Run:
    """What the files of one run share."""

    def __init__(
        self,
        files: Sequence[Task | FileReport],
        settings: Settings,
        models: Models | None,
        *,
        progress: bool,
        watch: Watch,
    ) -> None:
        """Keeps the plan; models that are None are loaded for the first file that needs them."""
        self.files, self.settings, self.models, self.progress = files, settings, models, progress
        self.watch = watch
        self.report = Report(settings=settings, weights=models.hashes if models else {})

    def load(self) -> Models:
        """The models, loaded once."""
        if self.models is None:
            self.models = load_models(self.settings)
            self.report.weights = self.models.hashes
        return self.models


Engine = Callable[[Run], Reports]
"""Does the files of a run, in any order; yields the report of each as soon as it is finished."""


def anonymize_files(
    inputs: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    settings: Settings | None = None,
    models: Models | None = None,
    report: str | Path | None = None,
    boxes: str | Path | None = None,
    review: str | Path | None = None,
    progress: bool = False,
    engine: Engine | None = None,
) -> Report:
    """Anonymizes files, folders with all files below them, cameras and streams.

    An input is refused, before anything is written, if it does not exist or holds no picture and no
    video, or if its output exists (see below), has a suffix that cannot be written, or is an input or
    the output of another input. An input that is named twice is processed once.

    The output of a folder has the same sub-folders and names; files in it that hold no picture and no
    video, and links that lead out of it, are left alone. With a folder or several inputs, an
    output that exists is skipped unless the settings say `overwrite`, so that the same call continues
    where it was stopped. A file that fails is reported, and the others are done.

    Args:
        inputs: paths, `-` for stdin, `camera:0`, or addresses.
        out: a file for one input, a folder, or `-` for stdout; by default `NAME.anonymized.EXT`
            beside each file and `FOLDER.anonymized` beside each folder.
        models: by default those that the settings name, loaded for the first file that needs them.
        report: a file to write the report to as JSON, also after an error.
        boxes: a file of boxes, see `video.boxes`. For inputs that it names, its boxes are hidden and
            nothing is detected; the boxes of the others are added to it.
        review: a page (HTML) to write on which a person checks the outputs, see `video.review`.
        progress: shows bars on stderr if it is a terminal.
        engine: by default one file after the other in this process; or `RayEngine`.

    Raises:
        RefusedError: names every refused input; nothing was started.
        ConfigError: the settings name something that does not exist.
        CheckpointError: weights are missing or damaged.
        OSError: the disk is full, which the other files would meet too.
    """
    settings = settings or Settings()
    if settings.preview and out is None:
        settings = replace(settings, overwrite=True)
    others = {"report": report, "boxes file": boxes, "review": review}
    files = plan(
        inputs, out, settings, {word: Path(path) for word, path in others.items() if path is not None}
    )
    watch = Watch(files, settings.keep, boxes=boxes, review=review)
    run = Run(files, settings, models, progress=progress, watch=watch)
    done: dict[int, FileReport] = {}
    try:
        with closing((engine or in_turn)(run)) as reports:
            for index, file in reports:
                done[index] = file
    finally:
        run.report.files = [done[index] for index in sorted(done)]
        run.report.notes = watch.write()
        if report is not None:
            run.report.write(Path(report))
    return run.report


def in_turn(run: Run) -> Reports:
    """The engine that does one file after the other in this process."""
    for index, file in enumerate(run.files):
        if isinstance(file, FileReport):
            run.watch.passed_over(file)
            yield index, file
            continue
        name = PurePath(title(file.source)).name
        place = f"[{index + 1}/{len(run.files)}] " if len(run.files) > 1 else ""
        with bar(place + name, " frames", shown=run.progress) as shown:

            def on_frame(done: int, expected: int | None, shown: tqdm = shown) -> None:
                shown.total = expected
                shown.update(done - shown.n)

            if os.path.lexists(file.out) and not run.settings.overwrite:
                report = FileReport(input=title(file.source), output=str(file.out), kind=file.kind)
                report.status, report.warnings = "skipped", ["its output has appeared since the run began"]
            else:
                guide = run.watch.begin(index, file)
                report = perform(file, run.settings.for_file(index), run.load, on_frame=on_frame, guide=guide)
                run.watch.end(index, report)
        yield index, report
        if run.settings.preview and report.status in ("done", "partial"):
            return


def bar(name: str, unit: str, *, shown: bool, total: int | None = None) -> tqdm:
    """A progress bar on stderr; hidden where stderr is no terminal."""
    return tqdm(
        desc=name,
        unit=unit,
        total=total,
        leave=False,
        disable=not (shown and sys.stderr.isatty()),
        file=sys.stderr,
        dynamic_ncols=True,
    )


def perform(
    task: Task,
    settings: Settings,
    load: Callable[[], Models],
    *,
    on_frame: OnFrame | None = None,
    opened: Opened = complete,
    guide: Guide = UNGUIDED,
) -> FileReport:
    """Anonymizes a file; its errors end in its report, those of `load` concern every file and are raised."""
    models, source = load(), task.source
    report = FileReport(input=title(source), output=str(task.out), kind=task.kind)
    with failures(report):
        if task.kind == "image":
            return anonymize_image(
                source, task.out, settings=settings, models=models, opened=opened, guide=guide
            )
        with _ctrl_c_stops(is_live(source)) as stop:
            return anonymize_video(
                source,
                task.out,
                settings=settings,
                models=models,
                on_frame=on_frame,
                stop=stop,
                opened=opened,
                guide=guide,
            )
    return report


@contextmanager
def _ctrl_c_stops(live: bool) -> Iterator[threading.Event]:
    """An event that Ctrl-C sets while a camera runs, so that the recording is completed."""
    stop = threading.Event()
    if not live or threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)

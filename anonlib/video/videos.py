"""One video without recognisable faces: decode, detect, track, anonymize, encode."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import BinaryIO, cast

import torch

from anonlib.ahead import ahead
from anonlib.files import Opened, complete
from anonlib.video.containers import CONTAINERS, container_of
from anonlib.video.guide import UNGUIDED, Guide
from anonlib.video.opening import Pipe, Source, is_live, title
from anonlib.video.reader import VideoReader
from anonlib.video.replacing import note_size
from anonlib.video.settings import FileReport, Models, Settings, load_models
from anonlib.video.stream import anonymize_pictures
from anonlib.video.writer import VideoWriter

OnFrame = Callable[[int, int | None], None]
"""Gets the number of frames done, and how many there are if that is known."""
_DECODED_BYTES = 64 << 20
"""Limit of the decoded frames that wait for the detector."""
_CHANGED = 2
"""Frames that wait for the encoder."""


def anonymize_video(
    source: Source,
    out: str | Path | BinaryIO,
    *,
    settings: Settings | None = None,
    models: Models | None = None,
    on_frame: OnFrame | None = None,
    stop: threading.Event | None = None,
    opened: Opened = complete,
    guide: Guide = UNGUIDED,
) -> FileReport:
    """Writes a video in which every face is replaced, whole or not at all.

    Resolution, time stamps, rotation, colours and chapters are kept, and sound unless the settings say
    no. Titles, places, subtitles, covers and further videos in the file are dropped. The report says what was
    converted, see `containers.encoding_for` and `conversion.Converter`. Of a
    damaged file the intact part is written, and the report's status is `partial`.

    Args:
        source: a path, `-` for stdin, `camera:0`, an address, or an open file.
        out: a path that ends in .mp4, .m4v, .mov, .mkv or .webm and is replaced if it exists;
            or `-` for stdout or an open file, which get Matroska.
        models: loaded once for many files; by default those that the settings name.
        on_frame: called after each frame.
        stop: ends a camera or a stream when it is set; what was recorded is kept.
        guide: what a person decided about its faces.

    Raises:
        VideoError: no picture of the source can be decoded, the suffix of the output is unknown, or the
            boxes of the guide do not fit.
        OSError: the output cannot be written. Nothing is left of it.
    """
    settings = settings or Settings()
    report = FileReport(input=title(source), output="stdout" if out == "-" else title(out))
    if out == "-":
        out = cast(BinaryIO, Pipe(sys.stdout.buffer))
    container = container_of(out) if isinstance(out, (str, Path)) else CONTAINERS[".mkv"]
    target = opened(Path(out)) if isinstance(out, (str, Path)) else nullcontext(out)
    start = perf_counter()
    with VideoReader(source, settings, stop=stop) as reader:
        models = models or load_models(settings)
        with target as file, VideoWriter(file, container, reader) as writer:
            _anonymize(reader, writer, models, report, on_frame, guide)
            if not settings.preview:
                guide.check_end(report.frames)
        problems = reader.problems()
        report.status = "partial" if problems else "done"
        report.warnings = problems + writer.warnings + list(reader.changes)
        report.warnings += note_size(reader.first.height, reader.first.width)
        report.sound = len(reader.audio)
        if left_out := reader.left_out():
            report.warnings.append(f"left out of the file: {', '.join(left_out)}")
    report.seconds = perf_counter() - start
    return report


def _anonymize(
    reader: VideoReader,
    writer: VideoWriter,
    models: Models,
    report: FileReport,
    on_frame: OnFrame | None,
    guide: Guide,
) -> None:
    """Passes every frame from the reader to the writer; decoder and detector have their own threads."""
    settings = reader.settings
    depth = max(1, min(8, _DECODED_BYTES // (reader.first.width * reader.first.height * 3)))
    with _one_thread(), closing(ahead(reader.pictures(writer.pixel_format), depth)) as pictures:
        anonymized = anonymize_pictures(
            pictures,
            detector=models.detector,
            anonymizer=models.anonymizer,
            every=settings.every,
            enlarge=settings.enlarge,
            hold=settings.hold,
            live=is_live(reader.source),
            seed=settings.seed,
            tally=report,
            guide=guide,
        )
        with closing(ahead(anonymized, _CHANGED)) as changed:
            for number, picture in enumerate(changed, start=1):
                writer.write(picture)
                if on_frame is not None:
                    on_frame(number, reader.expected)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for each operation of torch, because the stages already run in parallel."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""What an auditor asks for: what was done to every file, with what, and what went wrong.

It holds names and numbers; no picture, no part of one, and nothing that identifies a face.
"""

from __future__ import annotations

import json
import platform
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Any, Literal, get_args

from tqdm import tqdm

import anonlib
from anonlib.files import complete
from anonlib.video.settings import Settings
from anonlib.video.stream import Tally

Status = Literal["done", "partial", "failed", "skipped", "no media"]
_PACKAGES = ("torch", "av", "pillow", "numpy", "openvino")


@dataclass(slots=True, kw_only=True)
class FileReport:
    """What was done to one file."""

    input: str
    output: str | None = None
    kind: Literal["video", "image", "other"] = "video"
    status: Status = "done"
    """`done`; `partial`, what was whole is kept; `failed`, nothing is written; `skipped`,
    finished before; or `no media`, left alone."""
    frames: int = 0
    faces: int = 0
    """Faces replaced, over all frames."""
    tracks: int = 0
    misses_bridged: int = 0
    """Faces replaced where the detector did not see them."""
    frames_held: int = 0
    """Frames hidden as a whole."""
    seconds: float = 0.0
    detection_seconds: float = 0.0
    modification_seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)

    def count(self, tally: Tally) -> None:
        """Adds what was counted in one more run over pictures."""
        self.frames += tally.frames
        self.faces += tally.faces
        self.tracks += tally.tracks
        self.misses_bridged += tally.bridged
        self.frames_held += tally.held
        self.detection_seconds = round(self.detection_seconds + tally.detection_seconds, 3)
        self.modification_seconds = round(self.modification_seconds + tally.modification_seconds, 3)


@dataclass(slots=True, kw_only=True)
class Report:
    """What was done in one run."""

    settings: Settings
    weights: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file of weights."""
    files: list[FileReport] = field(default_factory=list)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def bad(self) -> list[FileReport]:
        """The files that are not, or not whole, in the output."""
        return [file for file in self.files if file.status in ("failed", "partial")]

    def lines(self) -> list[str]:
        """The run in a few lines: each file that was written or went wrong, then how many."""
        found = [line for file in self.files for line in _lines(file)]
        counts = Counter(file.status for file in self.files)
        if len(self.files) > 1:
            found.append(", ".join(f"{counts[s]} {s}" for s in get_args(Status) if counts[s]))
        return found

    def as_dict(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {
            "started": self.started,
            "versions": versions(),
            "settings": asdict(self.settings),
            "weights_sha256": self.weights,
            "files": [asdict(file) for file in self.files],
        }

    def write(self, path: Path) -> None:
        """Writes JSON, whole or not at all."""
        with complete(path) as file:
            file.write((json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + "\n").encode())


def _lines(file: FileReport) -> list[str]:
    if file.status == "failed":
        return [f"error: {' '.join(warning.split())}" for warning in file.warnings]
    if file.status in ("skipped", "no media"):
        return [f"note: {file.input}: left alone, {warning}" for warning in file.warnings]
    faces = f"{file.faces} face{'s' * (file.faces != 1)} in {file.frames} frame"
    line = f"{file.input} -> {file.output}: {faces}{'s' * (file.frames != 1)}"
    word = "error" if file.status == "partial" else "note"
    return [line, *(f"{word}: {file.input}: {warning}" for warning in file.warnings)]


def versions() -> dict[str, str]:
    """Of anonlib, Python and the packages that matter.

    >>> sorted(versions())[:2]
    ['anonlib', 'av']
    """
    found = {"anonlib": anonlib.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


class Bar:
    """Shows the frames of the file at work; says nothing where nobody looks."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None

    def begin(self, name: str, index: int, total: int) -> None:
        """Opens the bar of the so-manyth file."""
        place = f"[{index + 1}/{total}] " if total > 1 else ""
        self._bar = tqdm(
            desc=place + (PurePath(name).name or name),
            unit=" frames",
            leave=False,
            disable=not sys.stderr.isatty(),
            file=sys.stderr,
            dynamic_ncols=True,
        )

    def frame(self, done: int, expected: int | None) -> None:
        """Moves it on."""
        if self._bar is not None:
            self._bar.total = expected
            self._bar.update(done - self._bar.n)

    def end(self, report: FileReport) -> None:
        """Takes it away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

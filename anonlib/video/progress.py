"""A progress bar on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from pathlib import PurePath

from tqdm import tqdm

from anonlib.video.report import FileReport


class Bar:
    """Shows the frames of the file at work; says nothing where nobody looks."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None

    def begin(self, name: str, index: int, total: int) -> None:
        """Opens the bar of the so-manyth file."""
        place = f"[{index + 1}/{total}] " if total > 1 else ""
        self._bar = tqdm(
            desc=place + (PurePath(name).name or name), unit=" frames", leave=False,
            disable=not sys.stderr.isatty(), file=sys.stderr, dynamic_ncols=True,
        )  # fmt: skip

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

"""The options for correcting a run by hand: a file of boxes, faces to leave clear, and a page to check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from anonlib.errors import ConfigError, RefusedError
from anonlib.video.boxes import BoxesFile, FileBoxes
from anonlib.video.guide import Guide, Keep
from anonlib.video.opening import title
from anonlib.video.planning import Task, collected
from anonlib.video.replacing import Found
from anonlib.video.review import Review
from anonlib.video.settings import FileReport


class Watch:
    """The boxes file and the review of one run, and the guide of each of its files."""

    def __init__(
        self,
        files: Sequence[Task | FileReport],
        keep: tuple[Keep, ...],
        *,
        boxes: str | Path | None,
        review: str | Path | None,
    ) -> None:
        """Reads the boxes file if it exists.

        Raises:
            RefusedError: the boxes file does not fit the inputs; names each. Nothing was started.
            ConfigError: a row of it is wrong, or a face to leave clear does not go with the inputs.
        """
        self.keep = keep
        self.boxes = None if boxes is None else BoxesFile(Path(boxes))
        self.review = None if review is None else Review(Path(review))
        self.given: dict[int, FileBoxes] = self._given(files)
        self._check_keep(files)

    @property
    def used(self) -> bool:
        """Whether any of these options is used."""
        return bool(self.keep or self.boxes or self.review)

    def begin(self, index: int, task: Task) -> Guide:
        """Starts a file."""
        given = self.given.get(index)
        watchers: list[Callable[[Found[Any]], None]] = []
        if self.boxes is not None and given is None:
            self.boxes.begin(task.source)
            watchers.append(self.boxes.see)
        if self.review is not None:
            self.review.begin()
            watchers.append(self.review.see)
        return Guide(boxes=given, keep=self.keep, watchers=tuple(watchers))

    def passed_over(self, report: FileReport) -> None:
        """Notes a file that was not begun."""
        if self.review is not None and report.status == "failed":
            self.review.end(report)

    def end(self, index: int, report: FileReport) -> None:
        """Ends a file, and says in its report what a person decided."""
        given, written = self.given.get(index), report.status in ("done", "partial")
        if written and given is not None:
            report.warnings.append(f"its faces are those of {given.name}: nobody else was looked for")
        if written and self.keep:
            report.warnings.append(
                f"faces left clear, as asked: {report.left_clear or 'none, nobody was there'}"
            )
        if written and given is None and self.boxes is not None:
            self.boxes.end(report.frames)
        if self.review is not None:
            self.review.end(report)

    def write(self) -> list[str]:
        """Puts the boxes file and the page in their places; returns what was written, in words."""
        notes = []
        if self.boxes is not None and self.boxes.added:
            self.boxes.write()
            notes.append(f"boxes -> {self.boxes.path}")
        if self.review is not None:
            self.review.write()
            notes.append(f"review -> {self.review.path}")
        return notes

    def _given(self, files: Sequence[Task | FileReport]) -> dict[int, FileBoxes]:
        """The boxes of each file that the boxes file names."""
        given: dict[int, FileBoxes] = {}
        refused: list[str] = []
        tasks = {index: file for index, file in enumerate(files) if isinstance(file, Task)}
        if self.boxes is None or not tasks:
            return given
        for index, task in tasks.items():
            if not isinstance(task.source, Path):
                refused.append(f"'{title(task.source)}': boxes go with files only: leave --boxes out")
                continue
            with collected(refused):
                if (found := self.boxes.of(task.source)) is not None:
                    given[index] = found
        names = self.boxes.inputs
        done = {file.input for file in files if isinstance(file, FileReport)}
        if names and not given and not refused and not done.intersection(names):
            source = next(iter(tasks.values())).source
            refused.append(
                f"boxes '{self.boxes.path}' are of '{names[0]}', not of '{source}': "
                "name the file of boxes that was written for it, or a new one"
            )
        if refused:
            raise RefusedError(refused)
        return given

    def _check_keep(self, files: Sequence[Task | FileReport]) -> None:
        if self.keep and len(files) != 1:
            raise ConfigError(f"keep goes with one file, not with {len(files)}: name that file alone")
        known = self.given[0].tracks if self.given else set()
        for keep in self.keep:
            if keep.track is not None and keep.track not in known:
                raise ConfigError(
                    f"keep {keep.track}: no boxes file has this track; write one with --boxes FILE, and give "
                    "the same FILE again"
                )
            if keep.span is not None and files[0].kind == "image":
                raise ConfigError("keep with times is for videos: give X,Y,W,H")

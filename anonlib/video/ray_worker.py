"""A worker of Ray with models of its own, and the ledger that the attempts of one run share.

Neither imports Ray: the engine carries them there.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from anonlib.errors import ConfigError
from anonlib.video.models import Models
from anonlib.video.once import once
from anonlib.video.report import FileReport
from anonlib.video.settings import Settings
from anonlib.video.tasks import Task, perform

TRIES = 3
"""Attempts at a file before it is believed to kill its workers."""
Row = dict[str, Any]
"""What travels: the number of a job, and text (JSON in ASCII, which keeps any file name)."""


class Ledger:
    """What the attempts at each file tell each other.

    >>> ledger = Ledger()
    >>> ledger.begin(0), ledger.claim(0, 11), ledger.claim(0, 12)
    ((1, None), [11], [11, 12])
    >>> ledger.done(0, "{}")
    >>> ledger.begin(0)
    (2, '{}')
    """

    def __init__(self) -> None:
        self._tries: Counter[int] = Counter()
        self._claims: dict[int, set[int]] = defaultdict(set)
        self._answers: dict[int, str] = {}

    def begin(self, index: int) -> tuple[int, str | None]:
        """Which attempt this is, from 1; and the answer of one that ended, if it was lost."""
        self._tries[index] += 1
        return self._tries[index], self._answers.get(index)

    def claim(self, index: int, inode: int) -> list[int]:
        """Notes a file about to be put in its place; all that were."""
        self._claims[index].add(inode)
        return sorted(self._claims[index])

    def done(self, index: int, answer: str) -> None:
        """Keeps the answer of an attempt that ended."""
        self._answers[index] = answer

    def forget(self, index: int) -> None:
        """Drops an answer that has arrived."""
        self._answers.pop(index, None)


class Worker:
    """Anonymizes one file after the other with models loaded once, for the first of them."""

    def __init__(
        self, settings: Settings, *, folder: str, probe: str, ask: Callable[..., Any],
        load: Callable[[Settings], Models],
    ) -> None:  # fmt: skip
        """Waits for its first file.

        Args:
            settings: of the run.
            folder: what names are relative to, so that they mean and say the same everywhere.
            probe: a file that every machine must see.
            ask: calls a method of the run's ledger: its name, then its arguments.
            load: makes the models.
        """
        self._settings, self._folder, self._probe = settings, folder, probe
        self._ask, self._load = ask, load
        self._models: Models | None = None

    def __call__(self, row: Row) -> Row:
        """What was done with one file; or, under `stop`, why the run must end."""
        index, found = row["index"], json.loads(row["task"])
        task = Task(source=Path(found["source"]), out=found["out"], kind=found["kind"])
        try:
            answer = self._done(index, task)
        except ConfigError as error:
            answer = json.dumps({"stop": str(error)})
        except OSError as error:
            answer = json.dumps({"stop": error.strerror, "errno": error.errno})
        return {"index": index, "answer": answer}

    def _done(self, index: int, task: Task) -> str:
        tries, answer = self._ask("begin", index)
        if answer is None:
            report = self._attempt(index, task) if tries <= TRIES else _deadly(task)
            weights = self._models.hashes if self._models else {}
            answer = json.dumps({"report": asdict(report), "weights": weights})
            self._ask("done", index, answer)
        return answer

    def _attempt(self, index: int, task: Task) -> FileReport:
        opened = partial(
            once, overwrite=self._settings.overwrite, claim=partial(self._ask, "claim", index)
        )
        return perform(task, self._settings, self._loaded, opened=opened)

    def _loaded(self) -> Models:
        if self._models is None:
            self._settle_in()
            torch.set_num_threads(1)
            with _one_core():
                self._models = self._load(self._settings)
        return self._models

    def _settle_in(self) -> None:
        if os.path.isdir(self._folder):
            os.chdir(self._folder)
        if not os.path.exists(self._probe):
            raise ConfigError(
                f"'{os.path.dirname(self._probe)}' is not the same folder on all machines of the "
                "Ray cluster: put inputs and outputs on a file system that they share"
            )


def _deadly(task: Task) -> FileReport:
    words = f"'{task.source}': {TRIES} workers died of it: try it alone, without --engine ray"
    return FileReport(
        input=str(task.source), output=str(task.out), kind=task.kind, status="failed",
        warnings=[words],
    )  # fmt: skip


@contextmanager
def _one_core() -> Iterator[None]:
    """Shows libraries that count cores, as OpenVINO does when it compiles, a single one."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)

"""Anonymizing many files at once on Ray: workers, the ledger that they share, and the engine.

Ray repeats work that it believes lost, even while the first attempt still runs. So each attempt at a
file writes under a hidden name of its own, and the ledger tells which one was complete first. Only this file
imports Ray, so it is long.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from anonlib.errors import AnonlibError, ConfigError, VideoError
from anonlib.files import complete, own_part, sweep
from anonlib.video.jobs import Reports, Run, bar, perform
from anonlib.video.opening import title
from anonlib.video.planning import Task
from anonlib.video.settings import FileReport, Models, Settings, load_models

TRIES = 3
"""Largest number of attempts at a file. If all workers die, the file is taken for the cause."""
Row = dict[str, Any]
"""A message through Ray: the index of a file in the run, and text (ASCII JSON, which keeps any file name)."""
_SMALL: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 100 << 20}
_STARTS = 3
_TOGETHER = 64
"""Largest number of files that a worker gets at once."""
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}


class Ledger:
    """Records what the attempts at each file have done.

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
        """The number of this attempt, from 1; and the answer of an earlier one that finished."""
        self._tries[index] += 1
        return self._tries[index], self._answers.get(index)

    def claim(self, index: int, inode: int) -> list[int]:
        """Notes the inode of a complete file, and returns those of all attempts so far."""
        self._claims[index].add(inode)
        return sorted(self._claims[index])

    def done(self, index: int, answer: str) -> None:
        """Keeps the answer of an attempt that finished."""
        self._answers[index] = answer

    def forget(self, index: int) -> None:
        """Drops an answer that has arrived."""
        self._answers.pop(index, None)


@dataclass(kw_only=True)
class Worker:
    """Anonymizes one file after the other, with models that it loads for the first of them."""

    settings: Settings
    folder: str
    """The working folder of the run, so that relative names mean the same everywhere."""
    probe: str
    """A file that every machine must see."""
    ask: Callable[..., Any]
    """Calls a method of the run's ledger by its name, with its arguments."""
    load: Callable[[Settings], Models]
    """Makes the models."""
    models: Models | None = None

    def __call__(self, row: Row) -> Row:
        """What was done with one file; or, under `stop`, why the run must end."""
        index, task = row["index"], json.loads(row["task"])
        try:
            answer = self._done(index, Task(**{**task, "source": Path(task["source"])}))
        except AnonlibError as error:
            answer = json.dumps({"stop": str(error)})
        except OSError as error:
            answer = json.dumps({"stop": error.strerror, "errno": error.errno})
        return {"index": index, "answer": answer}

    def _done(self, index: int, task: Task) -> str:
        tries, answer = self.ask("begin", index)
        if answer is None:
            if tries <= TRIES:
                claim = partial(self.ask, "claim", index)
                opened = partial(complete, overwrite=self.settings.overwrite, claim=claim)
                report = perform(task, self.settings.for_file(index), self._loaded, opened=opened)
            else:
                report = FileReport(input=str(task.source), output=str(task.out), kind=task.kind)
                words = f"'{task.source}': {TRIES} workers died of it: try it alone, without --engine ray"
                report.status, report.warnings = "failed", [words]
            weights = self.models.hashes if self.models else {}
            answer = json.dumps({"report": asdict(report), "weights": weights})
            self.ask("done", index, answer)
        return answer

    def _loaded(self) -> Models:
        if self.models is None:
            if os.path.isdir(self.folder):
                os.chdir(self.folder)
            if not os.path.exists(self.probe):
                raise ConfigError(
                    f"'{os.path.dirname(self.probe)}' is not the same folder on all machines of the "
                    "Ray cluster: put inputs and outputs on a file system that they share"
                )
            torch.set_num_threads(1)
            with _one_core():
                self.models = self.load(self.settings)
        return self.models


@contextmanager
def _one_core() -> Iterator[None]:
    """Shows a single core to libraries that count them, as OpenVINO does when it compiles."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True, kw_only=True)
class RayEngine:
    """The engine of `anonymize_files` that does many files at once on Ray, in any order.

    It uses the cluster that the program is connected to or that `RAY_ADDRESS` names. Otherwise it
    starts one on this machine, which ends with the run.
    """

    workers: int | None = None
    """Processes, each with its own models on one core; None for one a core."""
    load: Callable[[Settings], Models] = load_models
    """Makes the models of a worker."""

    def __post_init__(self) -> None:
        """Raises ConfigError if Ray is not installed or there is no worker."""
        if find_spec("ray") is None:
            raise ConfigError("engine 'ray' is not installed: pip install 'anonlib[ray]'")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"workers {self.workers}: use 1 or more")

    def __call__(self, run: Run) -> Reports:
        """Yields the report of each file as soon as it is finished.

        Raises:
            ConfigError: the run does not fit several workers, or there are too few cores.
            VideoError: Ray itself ended.
            OSError: the disk is full.
        """
        if run.models is not None:
            raise ConfigError("models do not travel to Ray: give RayEngine a function that loads them")
        if run.watch.used:
            raise ConfigError("boxes, keep and review go with one process: leave --engine ray out")
        if run.settings.preview:
            raise ConfigError("a preview is of one file: leave --engine ray out")
        tasks = {index: file for index, file in enumerate(run.files) if isinstance(file, Task)}
        for task in tasks.values():
            if not isinstance(task.source, Path) or task.out == "-":
                name = "stdout" if isinstance(task.source, Path) else title(task.source)
                raise ConfigError(
                    f"'{name}' with --engine ray: a camera, a pipe or an address has one end here, and "
                    "the workers may be elsewhere; leave --engine ray out"
                )
        yield from ((index, file) for index, file in enumerate(run.files) if isinstance(file, FileReport))
        if tasks:
            with (
                bar("Ray", " files", shown=run.progress, total=len(tasks)) as shown,
                closing(self._reports(run, tasks)) as reports,
            ):
                for found in reports:
                    shown.update()
                    yield found

    def _reports(self, run: Run, tasks: Mapping[int, Task]) -> Reports:
        folders = {Path(task.out).parent for task in tasks.values()}
        min(folders).mkdir(parents=True, exist_ok=True)
        sweep(folders)
        try:
            with (
                own_part(min(folders)) as (probe, _),
                connected(),
                closing(self._rows(run.settings, tasks, probe)) as rows,
            ):
                for row in rows:
                    answer = json.loads(row["answer"])
                    check_stop(answer)
                    run.report.weights |= answer["weights"]
                    yield row["index"], FileReport(**answer["report"])
        finally:
            sweep(folders)

    def _rows(self, settings: Settings, tasks: Mapping[int, Task], probe: Path) -> Generator[Row, None, None]:
        """The answers of the workers, as they come."""
        import ray
        import ray.data

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        workers, gpus = shares(self.workers, ray.cluster_resources(), settings.device)
        ledger: Any = ray.remote(num_cpus=0)(Ledger).remote()
        files = ray.data.from_items(
            [{"index": i, "task": json.dumps(asdict(task), default=str)} for i, task in tasks.items()],
            override_num_blocks=parcels(len(tasks), workers),
        )
        files.context.enable_progress_bars = files.context.print_on_execution_start = False
        answers = files.map(
            Worker,  # type: ignore[arg-type]  # Ray makes one in each process
            fn_constructor_kwargs={
                "settings": settings,
                "folder": os.getcwd(),
                "probe": os.path.abspath(probe),
                "ask": partial(_ask, ledger),
                "load": self.load,
            },
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
            num_cpus=1,
            num_gpus=gpus,
        )
        try:
            for row in answers.iter_rows():
                ledger.forget.remote(row["index"])
                yield row
        except ray.exceptions.RayError as error:
            raise VideoError(f"Ray ended ({type(error).__name__}): the same command resumes") from error
        finally:
            ray.kill(ledger)  # without it, an attempt that still runs puts nothing in place


def _ask(ledger: Any, method: str, *args: Any) -> Any:
    """Calls the run's ledger from a worker."""
    import ray

    return ray.get(getattr(ledger, method).remote(*args))


def check_stop(answer: dict[str, Any]) -> None:
    """Raises the error for which a worker asked the run to stop."""
    if "errno" in answer:
        raise OSError(answer["errno"], answer["stop"])
    if "stop" in answer:
        raise ConfigError(answer["stop"])


def shares(workers: int | None, resources: Mapping[str, float], device: str) -> tuple[int, float]:
    """How many workers there are, and the part of a GPU that each gets.

    >>> shares(None, {"CPU": 8}, "auto"), shares(3, {"CPU": 8, "GPU": 2}, "cuda")
    ((8, 0), (3, 0.5))
    """
    cores, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    if (workers or 1) > cores:
        raise ConfigError(f"workers {workers or 1}: Ray has {cores} cores; use no more workers")
    workers = workers or cores
    return workers, 1 / math.ceil(workers / gpus) if gpus and device != "cpu" else 0


def parcels(files: int, workers: int) -> int:
    """Number of groups in which files are sent: enough to keep all workers busy, few for millions.

    >>> parcels(5, 2), parcels(1000, 2), parcels(1_000_000, 2)
    (5, 16, 15625)
    """
    return min(files, max(8 * workers, math.ceil(files / _TOGETHER)))


@contextmanager
def connected(cores: int | None = None) -> Iterator[None]:
    """A Ray cluster without dashboard, usage statistics or the output of the workers.

    If it is started here, it has that many cores, or all.

    Raises:
        ConfigError: no cluster answers at `RAY_ADDRESS`.
        VideoError: none could be started here.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        if address := os.environ.get("RAY_ADDRESS"):
            try:
                ray.init(address=address, **_QUIET)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise ConfigError(
                    f"RAY_ADDRESS '{address}': no Ray cluster answers there; start one with 'ray start'"
                ) from error
        else:
            _start(cores)
        yield
    finally:
        ray.shutdown()


def _start(cores: int | None) -> None:
    """Starts Ray here; on a busy machine its processes may time out, so this is tried again."""
    import ray

    for _ in range(_STARTS):
        try:
            ray.init(address="local", num_cpus=cores, **_SMALL, **_QUIET)
            return
        except Exception as error:  # Ray raises Exception itself
            ray.shutdown()
            reason = str(error).partition("\n")[0]
    raise VideoError(f"Ray did not start: {reason} Try again when this machine is less busy")

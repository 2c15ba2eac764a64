"""Very large collections on many processes or machines: `anonlib anonymize --engine ray`.

Ray Data hands the files to workers. Names and numbers travel, pixels do not: all machines must
see inputs and outputs on a file system that they share. Ray repeats what it believes lost; `once`
sees to it that each output appears once all the same.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from anonlib.errors import ConfigError, VideoError
from anonlib.video.files import Watcher
from anonlib.video.models import Models, load_models
from anonlib.video.once import own_part, sweep
from anonlib.video.opening import title
from anonlib.video.ray_worker import Ledger, Row, Worker
from anonlib.video.report import FileReport
from anonlib.video.settings import Settings
from anonlib.video.tasks import Run, Task

_STORE_BYTES = 100 << 20
_STARTS = 3
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
_TOGETHER = 64
"""Files at most that travel to a worker in one parcel."""

Reports = Generator[tuple[int, FileReport], None, None]
Rows = Generator[Row, None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RayEngine:
    """Does the files of `anonymize_files` on Ray, in any order.

    It joins the cluster that `RAY_ADDRESS` names, or the one that the program is connected to, or
    starts one on this machine that ends with the run.
    """

    workers: int | None = None
    """Processes, each with models of its own on one core; None for as many as there are cores."""
    load: Callable[[Settings], Models] = load_models
    """Makes the models of a worker."""

    def __post_init__(self) -> None:
        """Refuses what cannot be.

        Raises:
            ConfigError: Ray is not installed, or there is no worker.
        """
        if find_spec("ray") is None:
            raise ConfigError("engine 'ray' is not installed: pip install 'anonlib[ray]'")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"workers {self.workers}: use 1 or more")

    def __call__(self, run: Run, watcher: Watcher | None = None) -> Reports:
        """Each finished job, by its place in `run.jobs`, as soon as its worker tells.

        Raises:
            ConfigError: the run does not fit many workers, or there are too few cores.
            VideoError: Ray itself ended.
            OSError: the disk is full.
        """
        _check(run)
        with closing(self._reports(run)) as reports:
            for count in range(len(run.jobs)):
                if watcher is not None:
                    watcher.begin("Ray", count, len(run.jobs))
                index, report = next(reports)
                if watcher is not None:
                    watcher.end(report)
                yield index, report

    def _reports(self, run: Run) -> Reports:
        tasks: dict[int, Task] = {}
        for index, job in enumerate(run.jobs):
            settled = run.settle(job)
            if isinstance(settled, Task):
                tasks[index] = settled
            else:
                yield index, settled
        if tasks:
            yield from self._on_ray(run, tasks)

    def _on_ray(self, run: Run, tasks: Mapping[int, Task]) -> Reports:
        first = Path(next(iter(tasks.values())).out).parent
        first.mkdir(parents=True, exist_ok=True)
        with (
            _swept(tasks),
            own_part(first) as (probe, _),
            connected(),
            closing(self._rows(run.settings, tasks, probe)) as rows,
        ):
            for row in rows:
                answer = json.loads(row["answer"])
                _check_stop(answer)
                run.report.weights |= answer["weights"]
                yield row["index"], FileReport(**answer["report"])

    def _rows(self, settings: Settings, tasks: Mapping[int, Task], probe: Path) -> Rows:
        """What the workers answer, in the order in which they do."""
        import ray
        import ray.data

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        workers, gpus = shares(self.workers, ray.cluster_resources(), settings.device)
        ledger: Any = ray.remote(num_cpus=0)(Ledger).remote()
        files = ray.data.from_items(
            [_packed(index, task) for index, task in tasks.items()],
            override_num_blocks=parcels(len(tasks), workers),
        )
        files.context.enable_progress_bars = files.context.print_on_execution_start = False
        answers = files.map(
            Worker,  # type: ignore[arg-type]  # Ray makes one in each process
            fn_constructor_kwargs={
                "settings": settings, "folder": os.getcwd(), "probe": os.path.abspath(probe),
                "ask": partial(_ask, ledger), "load": self.load,
            },
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
            num_cpus=1,
            num_gpus=gpus,
        )  # fmt: skip
        try:
            for row in answers.iter_rows():
                ledger.forget.remote(row["index"])
                yield row
        except ray.exceptions.RayError as error:
            raise VideoError(
                f"Ray ended ({type(error).__name__}): the same command goes on where it stopped"
            ) from error
        finally:
            ray.kill(ledger)  # an attempt that lives on puts nothing in place without it


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
    """In how many parts files travel: enough to keep all workers busy, few for millions.

    >>> parcels(5, 2), parcels(1000, 2), parcels(1_000_000, 2)
    (5, 16, 15625)
    """
    return min(files, max(8 * workers, math.ceil(files / _TOGETHER)))


def _check(run: Run) -> None:
    """Refuses what one reader or one place alone can do."""
    if run.models is not None:
        raise ConfigError("models do not travel to Ray: give RayEngine a function that loads them")
    if run.settings.preview:
        raise ConfigError("a preview is of one file: leave --engine ray out")
    for job in run.jobs:
        if not isinstance(job.source, Path) or job.output("video") == "-":
            name = title(job.source) if not isinstance(job.source, Path) else "stdout"
            raise ConfigError(
                f"'{name}' with --engine ray: a camera, a pipe or an address has one end here, and "
                "the workers may be elsewhere; leave --engine ray out"
            )


def _check_stop(answer: dict[str, Any]) -> None:
    """Raises the error for which a worker asked the run to stop."""
    if "errno" in answer:
        raise OSError(answer["errno"], answer["stop"])
    if "stop" in answer:
        raise ConfigError(answer["stop"])


def _packed(index: int, task: Task) -> Row:
    words = {"source": str(task.source), "out": str(task.out), "kind": task.kind}
    return {"index": index, "task": json.dumps(words)}


def _ask(ledger: Any, method: str, *args: Any) -> Any:
    """Calls the run's ledger from a worker."""
    import ray

    return ray.get(getattr(ledger, method).remote(*args))


@contextmanager
def _swept(tasks: Mapping[int, Task]) -> Iterator[None]:
    """The output folders without what killed attempts left, before and after."""
    folders = {Path(task.out).parent for task in tasks.values()}
    sweep(folders)
    try:
        yield
    finally:
        sweep(folders)


@contextmanager
def connected(cores: int | None = None) -> Iterator[None]:
    """A cluster, without dashboard, statistics sent home, or what the workers print.

    Args:
        cores: of the one that is started here; None for all of this machine's.

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
            _join(address)
        else:
            _start(cores)
        yield
    finally:
        ray.shutdown()


def _join(address: str) -> None:
    import ray

    try:
        ray.init(address=address, **_QUIET)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"RAY_ADDRESS '{address}': no Ray cluster answers there; start one with 'ray start'"
        ) from error


def _start(cores: int | None) -> None:
    """Starts Ray here; its parts give each other seconds, which a busy machine may not have."""
    import ray

    for _ in range(_STARTS):
        try:
            ray.init(
                address="local", num_cpus=cores, include_dashboard=False,
                object_store_memory=_STORE_BYTES, **_QUIET,
            )  # fmt: skip
            return
        except Exception as error:  # Ray raises Exception itself
            ray.shutdown()
            reason = str(error).partition("\n")[0]
    raise VideoError(f"Ray did not start: {reason} Try again when this machine is less busy")

"""The folder of one experiment: what was asked for, what is finished, and the record of it."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import KW_ONLY, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

import anonlib
from anonlib.config import Profile, to_dict
from anonlib.errors import CheckpointError
from anonlib.files import commit, first_process, peak_memory_gb, provenance, write_atomically
from anonlib.training.processes import wait_for_all, world_size
from anonlib.training.start import detector_start


def read_json(path: Path) -> Any:
    """The content of a JSON file of a run.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path} is missing: restore the folder, or run `anonlib reproduce` with another --out"
        ) from error
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: delete it and run again") from error


def with_defaults(request: dict[str, Any]) -> dict[str, Any]:
    """A request with the defaults of those settings that it lacks, because an older version wrote it."""
    asked, profile = request["profile"], to_dict(Profile(name=""))
    for name, part in profile.items():
        profile[name] = part | asked.get(name, {}) if isinstance(part, dict) else asked.get(name, part)
    return {**request, "profile": asked | profile}


def write_json(path: Path, content: Any) -> None:
    """Writes indented JSON, whole or not at all."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


@dataclass(eq=False)
class Run:
    """One experiment and its folder. Finished stages are kept, so the same command continues.

    Raises:
        CheckpointError: the folder holds a run of another profile, seed or set of data, or an unfinished run
            of another commit.
        ResultsError: the folder cannot be written.
    """

    out: Path
    profile: Profile
    _: KW_ONLY
    seed: int
    """Of images, clips, test people and weights."""
    faces: Sequence[Path] = ()
    """Folders of real face datasets; none for synthetic people."""
    exclude: Collection[str] = ()
    """Names of real people to leave out of training."""
    actions: Path | None = None
    """Folder of JHMDB or DALY; None for synthetic clips."""
    protocol: str = "split1"
    """Split of JHMDB, one of `anonlib.experiment.datasets.PROTOCOLS`."""
    device: str = "cpu"
    """`cpu` or `cuda`, of this process."""
    progress: bool = True
    start: str | None = None
    """Where the paper's M starts, see `anonlib.training.start.modifier_weights`."""
    full: bool = False
    """Whether to do what `anonlib.experiment.full` describes."""

    def __post_init__(self) -> None:
        self.begun, self.progress = time.time(), self.progress and first_process()
        path, request = self.out / "request.json", self._request()
        if path.exists() and with_defaults(read_json(path)) != request:
            raise CheckpointError(
                f"{self.out} holds a run of another profile, seed or set of data; "
                "choose another --out or delete it"
            )
        self._refuse_another_commit()
        if not path.exists():
            write_json(path, request)

    def _request(self) -> dict[str, Any]:
        faces = [root.name for root in self.faces]
        request: dict[str, Any] = {"profile": to_dict(self.profile), "seed": self.seed, "faces": faces}
        if self.start:
            request["start"] = self.start
        if self.actions:
            request["actions"] = f"{self.actions.name}, {self.protocol}"
        if self.exclude:  # a digest, because a record must not contain names of real people
            names = "\n".join(sorted(self.exclude)).encode()
            request["excluded"] = {"people": len(self.exclude), "sha256": sha256(names).hexdigest()}
        return request

    def _refuse_another_commit(self) -> None:
        """Refuses to continue an unfinished run with the code of another commit."""
        path, now = self.out / "begun.json", commit().removesuffix("-dirty")
        if not path.exists():
            write_json(path, {"commit": now, "version": anonlib.__version__})
        wait_for_all()
        begun = read_json(path)["commit"]
        if begun != now and not (self.out / "run.json").exists():
            raise CheckpointError(
                f"{self.out} was begun at commit {begun} and this is {now}: go back to that commit "
                "to finish it, or choose another --out"
            )

    @property
    def predictions(self) -> Path:
        """Folder of the networks' outputs on the test set, see `anonlib.experiment.predictions`."""
        return self.out / "predictions"

    def weights(self, name: str) -> Path:
        """File with the final weights of a network."""
        return self.out / "weights" / f"{name}.safetensors"

    def training_options(self, name: str) -> dict[str, Any]:
        """Keyword arguments that all training functions take; `name` is that of the checkpoint."""
        checkpoint = self.out / "checkpoints" / f"{name}.pt"
        return {"seed": self.seed, "checkpoint": checkpoint, "progress": self.progress}

    def log(self, name: str, history: list[dict[str, float]]) -> None:
        """Writes the losses of a training to `logs/NAME.csv`, one row every ten steps."""
        if history:
            lines = [",".join(history[0])]
            lines += [",".join(f"{value:g}" for value in row.values()) for row in history]
            write_atomically(self.out / "logs" / f"{name}.csv", ("\n".join(lines) + "\n").encode())

    def stage(self, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The result of a stage, computed once and then read from its file.

        All processes look for the file before the first one can write it, so all do the same. The random
        numbers of a stage do not depend on what was done before it.
        """
        path = self.out / "stages" / f"{name}.json"
        done = path.exists()
        wait_for_all()
        if not done:
            begun = time.time()
            torch.manual_seed(self.seed)
            result = compute()
            write_json(path, {**result, "seconds": round(time.time() - begun, 1)})
            wait_for_all()
        return read_json(path)

    def command(self) -> str:
        """The command that repeats the run, with every option that changes the result.

        Folders of data are given by their last part. `--devices` counts the processes on all machines, since
        only their total changes the result. The number of CPU threads changes the last digits of sums.
        """
        data, training, device = self.profile.data, self.profile.training, self.device.split(":")[0]
        words = ["anonlib", "reproduce", "--profile", self.profile.name, "--seed", str(self.seed)]
        words += ["--start", self.start] if self.start else []
        words += [word for root in self.faces for word in ("--faces", root.name)]
        if self.exclude:
            words += ["--exclude", "FILE"]
        if self.actions:
            words += ["--actions", self.actions.name, "--protocol", self.protocol]
            words += ["--detector", data.face_finder]
        if self.faces:
            words += ["--folds", data.folds]
        words += ["--full"] if self.full else []
        if training.pretrained:
            words += ["--pretrained", training.pretrained]
        words += ["--precision", training.precision, "--device", device, "--devices", str(world_size())]
        if device == "cpu":
            words += ["--threads", str(torch.get_num_threads())]
        return shlex.join(words)

    def finish(self) -> None:
        """Writes the record of the run to `run.json`.

        If an earlier command finished the run, what this one added is recorded under `extended`.
        """
        path = self.out / "run.json"
        if not path.exists():
            write_json(path, self.record())
            return
        record, now = read_json(path), self.record()
        known = [one.get("stage_seconds", {}) for one in (record, *record.get("extended", ()))]
        added = {k: v for k, v in now["stage_seconds"].items() if not any(k in stages for stages in known)}
        if added:
            more = {**now, "minutes_of_stages": round(sum(added.values()) / 60, 1), "stage_seconds": added}
            write_json(path, {**record, "extended": [*record.get("extended", ()), more]})

    def record(self) -> dict[str, Any]:
        """What a reader needs to repeat the run, and how long it took."""
        stages = sorted((self.out / "stages").glob("*.json"))
        seconds = {path.stem: read_json(path)["seconds"] for path in stages}
        return {
            **provenance(command=self.command(), seed=self.seed, device=self.device),
            "profile": self.profile.name,
            "detector_start": detector_start(self.profile),
            "minutes_this_command": round((time.time() - self.begun) / 60, 1),
            "minutes_of_stages": round(sum(seconds.values()) / 60, 1),
            "peak_memory_gb": peak_memory_gb(),
            "stage_seconds": seconds,
        }

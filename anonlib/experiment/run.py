"""The folder of one experiment: what it was asked to do, what is done, and the record of it."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

import anonlib
from anonlib.config import Profile, to_dict
from anonlib.errors import CheckpointError
from anonlib.files import commit, hardware, write_atomically
from anonlib.training.processes import wait_for_all


def read_json(path: Path) -> Any:
    """What a file of a run holds.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path} is missing: restore the folder, or run `anonlib reproduce` into another"
        ) from error
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged; delete it and run again") from error


class Run:
    """Finished stages kept as JSON, so that the same command goes on where it stopped."""

    def __init__(
        self,
        out: Path,
        profile: Profile,
        *,
        seed: int,
        faces: list[str],
        exclude: Collection[str] = (),
        actions: str | None = None,
    ) -> None:
        """Opens a new folder, or one that an earlier run of the same request left.

        Raises:
            CheckpointError: the folder holds a run of another profile, seed or set of data, or one
                that another commit began and did not finish.
            ResultsError: the folder cannot be written.
        """
        self.out, self.profile, self.seed, self.faces = out, profile, seed, faces
        self.start, self.actions, self.exclude = time.time(), actions, exclude
        request = {"profile": to_dict(profile), "seed": seed, "faces": faces}
        if actions:
            request["actions"] = actions
        if exclude:  # a digest: names of real people do not belong into a record
            names = "\n".join(sorted(exclude)).encode()
            request["excluded"] = {"people": len(exclude), "sha256": sha256(names).hexdigest()}
        path = out / "request.json"
        if path.exists() and read_json(path) != request:
            raise CheckpointError(
                f"{out} holds a run of another profile, seed or set of data; "
                "choose another --out or delete it"
            )
        self._same_commit()
        self._write_json(path, request)

    def _same_commit(self) -> None:
        """An unfinished run goes on with the code that began it, or its numbers are nobody's."""
        path, now = self.out / "begun.json", commit().removesuffix("-dirty")
        if not path.exists():
            self._write_json(path, {"commit": now, "version": anonlib.__version__})
        wait_for_all()
        begun = read_json(path)["commit"]
        if begun != now and not (self.out / "run.json").exists():
            raise CheckpointError(
                f"{self.out} was begun at commit {begun} and this is {now}: go back to that commit "
                "to finish it, or choose another --out"
            )

    def _write_json(self, path: Path, content: Any) -> None:
        write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())

    def checkpoint(self, name: str) -> Path:
        """Where the training state of a stage is kept."""
        return self.out / "checkpoints" / f"{name}.pt"

    @property
    def predictions(self) -> Path:
        """Folder of what the networks said of the test, see `anonlib.experiment.predictions`."""
        return self.out / "predictions"

    def log(self, name: str, history: list[dict[str, float]]) -> None:
        """Writes the losses of a training, one row every ten steps, to `logs/NAME.csv`."""
        if history:
            lines = [",".join(history[0])]
            lines += [",".join(f"{value:g}" for value in row.values()) for row in history]
            write_atomically(self.out / "logs" / f"{name}.csv", ("\n".join(lines) + "\n").encode())

    def weights(self, name: str) -> Path:
        """Where the finished weights of a network are kept."""
        return self.out / "weights" / f"{name}.safetensors"

    def stage(self, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The result of a stage, computed at most once; seconds are added to the record.

        Processes that train together look for the result before the first one can have written it, and read
        it when it has.
        """
        path = self.out / "stages" / f"{name}.json"
        done = path.exists()
        wait_for_all()
        if done:
            return read_json(path)
        start = time.time()
        result = compute()
        self._write_json(path, {**result, "seconds": round(time.time() - start, 1)})
        wait_for_all()
        return read_json(path)

    def record(self) -> dict[str, Any]:
        """Command, profile, seed, commit, hardware, date and duration, for whoever repeats it."""
        stages = sorted((self.out / "stages").glob("*.json"))
        seconds = {p.stem: read_json(p)["seconds"] for p in stages}
        scale = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
        return {
            "command": f"anonlib reproduce --profile {self.profile.name} --seed {self.seed}"
            + "".join(f" --faces {root}" for root in self.faces)
            + (" --exclude FILE" if self.exclude else "")
            + (" --actions {} --protocol {}".format(*self.actions.split(", ")) if self.actions else ""),
            "profile": self.profile.name,
            "seed": self.seed,
            "commit": commit(),
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "hardware": hardware(),
            "torch": torch.__version__,
            "minutes_this_command": round((time.time() - self.start) / 60, 1),
            "minutes_of_stages": round(sum(seconds.values()) / 60, 1),
            "energy_kilojoules": None,  # no meter that a program may read everywhere
            "peak_memory_gb": round(peak / 1e9, 2),
            "stage_seconds": seconds,
        }

    def finish(self) -> None:
        """Writes the record beside the results, once: looking again at a run does not redate it."""
        path = self.out / "run.json"
        if not path.exists():
            self._write_json(path, self.record())

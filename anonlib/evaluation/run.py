"""The folder of one experiment: what it was asked to do, what is done, and the record of it."""

from __future__ import annotations

import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from anonlib.config import Profile, to_dict
from anonlib.errors import CheckpointError
from anonlib.training.checkpoints import write_atomically


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged; delete it and run again") from error


class Run:
    """Finished stages kept as JSON, so that the same command goes on where it stopped."""

    def __init__(
        self, out: Path, profile: Profile, *, seed: int, faces: list[str],
        exclude: Collection[str] = (),
    ) -> None:  # fmt: skip
        """Opens a new folder, or one that an earlier run of the same request left.

        Raises:
            CheckpointError: the folder holds a run of another profile, seed or set of faces.
            ResultsError: the folder cannot be written.
        """
        self.out, self.profile, self.seed, self.faces = out, profile, seed, faces
        self.start = time.time()
        request = {"profile": to_dict(profile), "seed": seed, "faces": faces}
        if exclude:  # a digest: names of real people do not belong into a record
            names = "\n".join(sorted(exclude)).encode()
            request["excluded"] = {"people": len(exclude), "sha256": sha256(names).hexdigest()}
        path = out / "request.json"
        if path.exists() and _read_json(path) != request:
            raise CheckpointError(
                f"{out} holds a run of another profile, seed or set of faces; "
                "choose another --out or delete it"
            )
        self._write_json(path, request)

    def _write_json(self, path: Path, content: Any) -> None:
        write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())

    def checkpoint(self, name: str) -> Path:
        """Where the training state of a stage is kept."""
        return self.out / "checkpoints" / f"{name}.pt"

    def weights(self, name: str) -> Path:
        """Where the finished weights of a network are kept."""
        return self.out / "weights" / f"{name}.safetensors"

    def stage(self, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The result of a stage, computed at most once; seconds are added to the record."""
        path = self.out / "stages" / f"{name}.json"
        if path.exists():
            return _read_json(path)
        start = time.time()
        result = compute()
        self._write_json(path, {**result, "seconds": round(time.time() - start, 1)})
        return _read_json(path)

    def record(self) -> dict[str, Any]:
        """Command, profile, seed, commit, hardware, date and duration, for whoever repeats it."""
        stages = sorted((self.out / "stages").glob("*.json"))
        seconds = {p.stem: _read_json(p)["seconds"] for p in stages}
        scale = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
        return {
            "command": f"anonlib reproduce --profile {self.profile.name} --seed {self.seed}"
            + "".join(f" --faces {root}" for root in self.faces),
            "profile": self.profile.name,
            "seed": self.seed,
            "commit": commit(),
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "hardware": hardware(),
            "torch": torch.__version__,
            "minutes_this_command": round((time.time() - self.start) / 60, 1),
            "minutes_of_stages": round(sum(seconds.values()) / 60, 1),
            "peak_memory_gb": round(peak / 1e9, 2),
            "stage_seconds": seconds,
        }

    def finish(self) -> None:
        """Writes the record beside the results, once: looking again at a run does not redate it."""
        path = self.out / "run.json"
        if not path.exists():
            self._write_json(path, self.record())


def commit() -> str:
    """The commit of the source tree, marked when it has changes; `unknown` without git."""
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def hardware() -> str:
    """The GPU, or the processor and how many threads of it are used."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{_processor()}, {torch.get_num_threads()} threads"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()

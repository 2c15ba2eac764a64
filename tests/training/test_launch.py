"""How the processes of a team start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from anonlib.cli import app
from anonlib.errors import ConfigError
from anonlib.training.processes import ALONE, Team, launch

SCRIPT = """
import torch
from torch import distributed, nn
from anonlib.training.processes import launch
from anonlib.training.processes import descend, wait_for_all

team, device = launch("cpu", devices=2)
layer = nn.Linear(1, 1, bias=False)
nn.init.ones_(layer.weight)
x = torch.full((1, 1), 1.0 + 2 * team.rank)
descend(layer(x).sum(), torch.optim.SGD(layer.parameters(), lr=0.25), team=team)
line = f"{team.rank} of {team.size} on {device}: {layer.weight.item()}"
open(f"{team.rank}.txt", "w").write(line)
wait_for_all()
distributed.destroy_process_group()
"""


def test_one_process_needs_no_launcher(monkeypatch: pytest.MonkeyPatch):
    assert launch("cpu") == (ALONE, "cpu")
    for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"):  # torchrun with one process
        monkeypatch.setenv(name, "1")
    assert launch("cpu", devices=8) == (ALONE, "cpu")


def test_what_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigError, match="0 devices on 1 nodes: use 1 or more"):
        launch("cpu", devices=0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="2 devices: PyTorch finds 1 GPUs here"):
        launch("cuda", devices=2)


def finished(command: list[str], folder: Path) -> dict[str, str]:
    """What the processes of a script wrote."""
    (folder / "two.py").write_text(SCRIPT)
    paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    kept = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    environment = {**kept, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "two.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    return {path.stem: path.read_text() for path in folder.glob("*.txt")}


@pytest.mark.slow
@pytest.mark.parametrize("starter", ["fabric", "torchrun"])
def test_two_processes_start_and_average_their_gradients(tmp_path: Path, starter: str):
    command = [sys.executable]
    if starter == "torchrun":
        command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    found = finished(command, tmp_path)
    # gradients 1 and 3, mean 2
    assert found == {"0": "0 of 2 on cpu: 0.5", "1": "1 of 2 on cpu: 0.5"}


def test_the_command_passes_on_devices_precision_and_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: dict[str, Any] = {}

    def start(device: str, *, devices: int, nodes: int) -> tuple[Team, str]:
        asked.update(device=device, devices=devices, nodes=nodes)
        return Team(rank=1, size=4), "cpu:1"

    monkeypatch.setattr("anonlib.training.processes.launch", start)
    monkeypatch.setattr("anonlib.experiment.reproduce.reproduce", lambda **all: asked.update(all))
    arguments = ["reproduce", "--profile", "smoke", "--out", str(tmp_path), "--device", "cpu"]
    arguments += ["--devices", "2", "--nodes", "2", "--precision", "bfloat16", "--watch"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert done.output == ""  # the first process prints
    assert (asked["devices"], asked["nodes"], asked["device"]) == (2, 2, "cpu:1")
    assert asked["team"] == Team(rank=1, size=4) and asked["watch"]
    assert asked["profile"].training.precision == "bfloat16"
    refused = CliRunner().invoke(app, [*arguments, "--precision", "float16"])
    assert refused.exit_code == 2 and "precision 'float16'" in refused.output

"""How the processes that train together start."""

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
from anonlib.training.processes import start_processes

SCRIPT = """
import torch
from torch import nn
from anonlib.training.processes import gradient_step, rank, start_processes, wait_for_all, world_size

device = start_processes("cpu", devices=8)  # torchrun knows better
layer = nn.Linear(1, 1, bias=False)
nn.init.ones_(layer.weight)
x = torch.full((1, 1), 1.0 + 2 * rank())
gradient_step(layer(x).sum(), torch.optim.SGD(layer.parameters(), lr=0.25))
line = f"{rank()} of {world_size()} on {device}: {layer.weight.item()}"
open(f"{rank()}.txt", "w").write(line)
wait_for_all()
"""


@pytest.fixture(autouse=True)
def without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=500
    )


def test_one_process_needs_no_launcher():
    assert start_processes("cpu") == "cpu"
    assert start_processes("cpu", devices=1, nodes=1) == "cpu"


def test_missing_gpus_and_nodes_without_torchrun_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="2 devices: PyTorch finds 1 GPUs here"):
        start_processes("cuda", devices=2)
    with pytest.raises(
        ConfigError, match=r"3 nodes: .*`torchrun --nnodes 3 --nproc-per-node 2 .*anonlib.cli"
    ):
        start_processes("cpu", devices=2, nodes=3)


def test_several_devices_run_the_same_command_under_torchrun(monkeypatch: pytest.MonkeyPatch):
    asked: list[list[str]] = []
    monkeypatch.setattr("torch.distributed.run.main", asked.append)
    monkeypatch.setattr(sys, "argv", ["anonlib", "reproduce", "--devices", "3"])
    with pytest.raises(SystemExit) as ended:
        start_processes("cpu", devices=3)
    assert ended.value.code == 0
    assert asked == [
        ["--standalone", "--nproc-per-node=3", "-m", "anonlib.cli", "reproduce", "--devices", "3"]
    ]


@pytest.mark.slow
def test_two_processes_of_torchrun_average_their_gradients(tmp_path: Path):
    (tmp_path / "two.py").write_text(SCRIPT)
    done = run(["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "two.py"], tmp_path)
    assert done.returncode == 0, done.stderr
    found = {path.stem: path.read_text() for path in tmp_path.glob("*.txt")}
    # gradients 1 and 3, mean 2
    assert found == {"0": "0 of 2 on cpu: 0.5", "1": "1 of 2 on cpu: 0.5"}


@pytest.mark.slow
def test_the_command_starts_its_processes_and_ends_with_their_exit_code(tmp_path: Path):
    arguments = ["--profile", "smoke", "--faces", "nowhere", "--device", "cpu", "--devices", "2"]
    done = run(["-m", "anonlib.cli", "reproduce", *arguments, "--out", "out"], tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("error: ") >= 2 and "nowhere" in done.stderr


def test_the_command_passes_on_devices_precision_and_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: dict[str, Any] = {}

    def start(device: str, *, devices: int, nodes: int) -> str:
        asked.update(device=device, devices=devices, nodes=nodes)
        monkeypatch.setenv("RANK", "1")
        return "cpu:1"

    monkeypatch.setattr("anonlib.training.processes.start_processes", start)
    monkeypatch.setattr("anonlib.experiment.reproduce.reproduce", lambda **all: asked.update(all))
    arguments = ["reproduce", "--profile", "smoke", "--out", str(tmp_path), "--device", "cpu"]
    arguments += ["--devices", "2", "--nodes", "2", "--precision", "bfloat16", "--watch"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert done.output == ""  # only the first process prints
    assert (asked["devices"], asked["nodes"], asked["device"]) == (2, 2, "cpu:1")
    assert asked["watch"] and asked["profile"].training.precision == "bfloat16"
    refused = CliRunner().invoke(app, [*arguments, "--precision", "float16"])
    assert refused.exit_code == 2 and "precision 'float16'" in refused.output

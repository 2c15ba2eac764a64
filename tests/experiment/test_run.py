from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from anonlib.cli import app
from anonlib.cli.reproduce import reproduce
from anonlib.config import Profile, profile
from anonlib.errors import CheckpointError, ConfigError, ResultsError
from anonlib.experiment import run as run_module
from anonlib.experiment.run import Run

SMOKE = profile("smoke")


def open_run(out: Path, chosen: Profile = SMOKE, seed: int = 0, faces: tuple[str, ...] = ()) -> Run:
    return Run(out, chosen, seed=seed, faces=[Path(name) for name in faces])


def never() -> dict[str, Any]:
    raise AssertionError("a finished stage was computed again")


def test_a_stage_is_computed_once_and_then_read(tmp_path: Path):
    first = open_run(tmp_path).stage("a", lambda: {"map": 0.25, "classes": [1.0, math.nan]})
    again = open_run(tmp_path).stage("a", never)
    assert first["map"] == again["map"] == 0.25
    assert again["classes"][0] == 1.0 and math.isnan(again["classes"][1])
    assert json.loads((tmp_path / "stages" / "a.json").read_text())["seconds"] >= 0


def test_a_stage_that_was_stopped_is_computed_anew_and_others_are_kept(tmp_path: Path):
    def stop() -> dict[str, Any]:
        raise KeyboardInterrupt

    run = open_run(tmp_path)
    run.stage("a", lambda: {"x": 1})
    with pytest.raises(KeyboardInterrupt):
        run.stage("b", stop)
    run = open_run(tmp_path)
    assert run.stage("a", never)["x"] == 1
    assert run.stage("b", lambda: {"x": 2})["x"] == 2


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"chosen": profile("laptop")},
        {"chosen": replace(SMOKE, training=replace(SMOKE.training, l1_weight=0.5))},
        {"faces": ("lfw",)},
    ],
)
def test_a_folder_of_another_request_is_refused(tmp_path: Path, other: dict[str, Any]):
    open_run(tmp_path).stage("a", lambda: {"x": 1})
    before = (tmp_path / "request.json").read_bytes()
    with pytest.raises(CheckpointError, match="of another profile, seed or set of data; choose"):
        open_run(tmp_path, **other)
    assert (tmp_path / "request.json").read_bytes() == before


def test_a_request_that_lacks_newer_settings_has_their_defaults(tmp_path: Path):
    open_run(tmp_path)
    path = tmp_path / "request.json"
    request = json.loads(path.read_text())
    del request["profile"]["data"]["folds"], request["profile"]["training"]["augment"]
    path.write_text(json.dumps(request))
    open_run(tmp_path)
    assert json.loads(path.read_text()) == request
    for other in (
        replace(SMOKE, data=replace(SMOKE.data, folds="all")),
        replace(SMOKE, training=replace(SMOKE.training, augment=True)),
    ):
        with pytest.raises(CheckpointError, match="another profile"):
            open_run(tmp_path, other)


@pytest.mark.parametrize("name", ["seed6", "seed7"])
def test_the_recorded_runs_can_be_extended(tmp_path: Path, name: str):
    recorded = Path(__file__).parents[2] / "results" / "laptop" / name
    for file in ("request.json", "run.json"):
        (tmp_path / file).write_bytes((recorded / file).read_bytes())
    Run(tmp_path, profile("laptop"), seed=int(name[-1]), start="redraw")
    assert (tmp_path / "request.json").read_bytes() == (recorded / "request.json").read_bytes()


@pytest.mark.parametrize("name", ["smoke", "laptop", "paper"])
def test_the_same_request_opens_the_folder_again(tmp_path: Path, name: str):
    for _ in range(2):  # infinity and tuples must survive the file
        open_run(tmp_path, profile(name), seed=2, faces=("lfw", "casia"))


def test_a_damaged_request_is_an_error_a_user_can_read(tmp_path: Path):
    open_run(tmp_path)
    (tmp_path / "request.json").write_text('{"profile": ')
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        open_run(tmp_path)


def test_a_damaged_stage_is_an_error_a_user_can_read(tmp_path: Path):
    open_run(tmp_path).stage("a", lambda: {"x": 1})
    (tmp_path / "stages" / "a.json").write_text("")
    with pytest.raises(CheckpointError, match=r"a\.json"):
        open_run(tmp_path).stage("a", never)


def test_out_that_is_a_file_is_named(tmp_path: Path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ResultsError, match=r"could not write .*out"):
        open_run(tmp_path / "out")


def test_files_have_their_places(tmp_path: Path):
    run = open_run(tmp_path)
    assert run.training_options("D")["checkpoint"] == tmp_path / "checkpoints" / "D.pt"
    assert run.weights("M") == tmp_path / "weights" / "M.safetensors"


def test_the_record_says_how_to_repeat_the_run(tmp_path: Path):
    run = open_run(tmp_path, seed=4, faces=("lfw",))
    run.stage("a", lambda: {"x": 1})
    path = tmp_path / "stages" / "a.json"
    path.write_text(json.dumps({"x": 1, "seconds": 90}))
    run.finish()
    record = json.loads((tmp_path / "run.json").read_text())
    command = "anonlib reproduce --profile smoke --seed 4 --faces lfw --folds 6-10 --precision float32"
    assert record["command"].startswith(f"{command} --device cpu")
    assert record["detector_start"] == "A-start"
    assert (record["profile"], record["seed"]) == ("smoke", 4)
    assert record["stage_seconds"] == {"a": 90}
    assert record["minutes_of_stages"] == 1.5
    assert 0.05 < record["peak_memory_gb"] < 64
    assert record["hardware"] and record["commit"] and record["torch"]


def test_an_unfinished_run_of_another_commit_is_not_mixed_with_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run_module, "commit", lambda: "aaaaaaaaaa")
    open_run(tmp_path).stage("a", lambda: {"x": 1})
    monkeypatch.setattr(run_module, "commit", lambda: "aaaaaaaaaa-dirty")
    open_run(tmp_path)  # a notebook that was saved, say, is no reason to begin anew
    monkeypatch.setattr(run_module, "commit", lambda: "bbbbbbbbbb")
    with pytest.raises(CheckpointError, match=r"begun at commit aaaaaaaaaa and this is bbbbbbbbbb"):
        open_run(tmp_path)
    assert json.loads((tmp_path / "stages" / "a.json").read_text())["x"] == 1
    monkeypatch.setattr(run_module, "commit", lambda: "aaaaaaaaaa")
    open_run(tmp_path).finish()
    monkeypatch.setattr(run_module, "commit", lambda: "bbbbbbbbbb")
    assert open_run(tmp_path).stage("a", never)["x"] == 1  # finished: it may be looked at


def test_losses_are_logged_as_a_table(tmp_path: Path):
    run = open_run(tmp_path)
    run.log("game", [{"step": 0, "L_det": 1.5}, {"step": 10, "L_det": 0.25}])
    run.log("nothing", [])
    assert (tmp_path / "logs" / "game.csv").read_text() == "step,L_det\n0,1.5\n10,0.25\n"
    assert not (tmp_path / "logs" / "nothing.csv").exists()


def test_a_run_on_real_clips_says_so(tmp_path: Path):
    request: dict[str, Any] = {"faces": [Path("sets/lfw")], "actions": Path("sets/jhmdb"), "exclude": ["A_B"]}
    run = Run(tmp_path, SMOKE, seed=0, protocol="boxed", **request)
    assert " --faces lfw --exclude FILE --actions jhmdb --protocol boxed " in run.command()
    with pytest.raises(CheckpointError, match="set of data"):
        Run(tmp_path, SMOKE, seed=0, protocol="split1", **request)


OPTIONS: dict[str, tuple[str, str]] = {
    "profile": ("--profile smoke", "--profile smoke"),
    "seed": ("--seed 5", "--seed 5"),
    "faces": ("--faces lfw --faces casia", "--faces lfw --faces casia"),
    "exclude": ("--exclude NAMES", "--exclude FILE"),
    "actions": ("--actions JHMDB", "--actions jhmdb"),
    "protocol": ("--actions JHMDB --protocol boxed", "--protocol boxed"),
    "detector": ("--actions JHMDB --detector cascade", "--detector cascade"),
    "folds": ("--faces lfw --folds all", "--folds all"),
    "start": ("--profile smoke --start random", "--start random"),
    "pretrained": ("--profile paper --pretrained imagenet", "--pretrained imagenet"),
    "device": ("--device cpu", "--device cpu"),
    "threads": ("--threads 1", "--threads 1"),
    "devices": ("--devices 3", "--devices 3"),
    "nodes": ("--devices 3 --nodes 2", "--devices 6"),
    "precision": ("--precision bfloat16", "--precision bfloat16"),
}
"""Each option of `anonlib reproduce` that changes the result: as it is given, and as it is recorded."""


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_that_changes_the_result_is_recorded(
    option: str, tmp_path: Path, small_jhmdb: Path, monkeypatch: pytest.MonkeyPatch
):
    commands: list[str] = []

    def stop(run: Run) -> None:
        commands.append(run.command())
        raise ConfigError("the command is known")

    def start_processes(device: str, *, devices: int, nodes: int) -> str:
        monkeypatch.setattr(run_module, "world_size", lambda: devices * nodes)
        return device

    monkeypatch.setattr("anonlib.experiment.reproduce.prepare", stop)
    monkeypatch.setattr("anonlib.training.processes.start_processes", start_processes)
    (tmp_path / "names").write_text("A_B")
    given, recorded = OPTIONS[option]
    given = given.replace("NAMES", str(tmp_path / "names")).replace("JHMDB", str(small_jhmdb))
    threads = torch.get_num_threads()
    try:
        CliRunner().invoke(app, ["reproduce", "--out", str(tmp_path / "out"), *given.split()])
    finally:
        torch.set_num_threads(threads)
    assert f" {recorded} " in f"{commands[0]} "


def test_every_other_option_leaves_the_result_as_it_is():
    assert set(signature(reproduce).parameters) - set(OPTIONS) == {"out", "watch", "verify", "full"}


def test_where_m_starts_is_part_of_the_request(tmp_path: Path):
    run = Run(tmp_path, SMOKE, seed=0, start="redraw")
    assert " --seed 0 --start redraw " in run.command()
    assert json.loads((tmp_path / "request.json").read_text())["start"] == "redraw"
    with pytest.raises(CheckpointError, match="another profile"):
        Run(tmp_path, SMOKE, seed=0, start="identity")


def test_a_start_that_a_profile_lacks_is_refused_before_anything_is_written(tmp_path: Path):
    options = ["--profile", "paper", "--start", "identity", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["reproduce", *options])
    assert "--start identity: no weights M-start ship for the M of profile 'paper'" in result.output
    assert not (tmp_path / "out").exists()


def test_the_random_numbers_of_a_stage_depend_on_the_seed_alone(tmp_path: Path):
    def draw() -> dict[str, Any]:
        return {"x": torch.rand(1).item()}

    drawn = []
    for folder, before, seed in (("a", 1, 3), ("b", 9, 3), ("c", 1, 4)):
        torch.manual_seed(before)
        drawn.append(open_run(tmp_path / folder, seed=seed).stage("s", draw)["x"])
    assert drawn[0] == drawn[1] != drawn[2]


def test_weights_that_a_profile_cannot_take_are_not_recorded(tmp_path: Path):
    options = ["--profile", "smoke", "--pretrained", "imagenet", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["reproduce", *options])
    assert "--pretrained imagenet: profile 'smoke' has a small backbone" in result.output
    assert not (tmp_path / "out").exists()


def test_the_gpu_is_recorded_only_if_it_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "a GPU")
    for device, gpu in (("cpu", False), ("cuda", True)):
        record = Run(tmp_path, SMOKE, seed=0, device=device).record()
        assert (record["hardware"] == "a GPU") == gpu


def test_a_run_can_be_recorded_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setattr("anonlib.experiment.run", run_module)  # puts it back afterwards
    monkeypatch.delitem(sys.modules, "anonlib.experiment.run")
    run = import_module("anonlib.experiment.run").Run(tmp_path, SMOKE, seed=0)
    assert run.record()["peak_memory_gb"] is None

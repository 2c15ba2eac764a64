from __future__ import annotations

import errno
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import anonlib
from anonlib.cli import app
from anonlib.errors import CheckpointError


def call(*args: str) -> Result:
    return CliRunner().invoke(app, list(args))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], None]:
    """Put a function in the place of the experiment, which takes minutes."""

    def install(function: Callable[..., Any]) -> None:
        module = types.ModuleType("anonlib.experiment.reproduce")
        module.reproduce = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "anonlib.experiment.reproduce", module)

    return install


def raising(error: BaseException) -> Callable[..., Any]:
    def reproduce(**_: Any) -> None:
        raise error

    return reproduce


def test_version() -> None:
    assert call("--version").output == f"anonlib {anonlib.__version__}\n"


def test_help_shows_examples_one_a_line() -> None:
    lines = [line.strip() for line in call("reproduce", "--help").output.splitlines()]
    assert "anonlib reproduce --profile laptop --out results/tour" in lines
    assert "anonlib reproduce --verify results/jhmdb-split1" in lines


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, anonlib.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_anonymize_does_not_wait_for_torchvision() -> None:
    code = "import sys, anonlib.video, anonlib.anonymizers.swap; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_methods_are_listed_in_order() -> None:
    lines = call("methods").output.splitlines()
    names = [line.split()[0] for line in lines]
    assert names[:2] == ["unanonymized", "blur8"]
    assert names[-6:] == ["modifier", "modifier-photo", "swap", "ciagan", "live", "fit"]
    assert lines[-4] == "swap           Swap, made for real faces"
    assert len(names) == 16
    assert "(needs --weights FILE, the M that you trained: " in lines[-6]


def test_profiles_are_listed() -> None:
    rows = call("profiles").output.splitlines()
    assert [row.split()[0] for row in rows] == ["smoke", "laptop", "workstation", "paper"]
    assert "M 256 px, 9 blocks; D SphereFace-20; A resnet101" in rows[3]


def test_reproduce_passes_its_options_on_and_prints_every_table(
    tmp_path: Path, stand_in: Callable[[Callable[..., Any]], None]
) -> None:
    seen: dict[str, Any] = {}

    tables = {
        "table1": {"method": "mask", "lip": 0.25, "map": 0.125, "paper_lip": 0.6706},
        "figure4": {"method": "mask", "verification_error": 0.5},
        "ablation_classifier": {"faces": "modified_retrained", "verification_accuracy": 0.75},
        "ablation_random_label": {"objective": "random_label", "l1": 0.01},
    }

    def reproduce(**options: Any) -> types.SimpleNamespace:
        seen.update(options)
        paths = {name: tmp_path / f"{name}.csv" for name in tables}
        for name, row in tables.items():
            pd.DataFrame([row]).to_csv(paths[name], index=False)
        return types.SimpleNamespace(**paths)

    stand_in(reproduce)
    names = tmp_path / "names.txt"
    names.write_text("Ann_Example\nBob_Example\n")
    result = call(
        "reproduce",
        "--profile",
        "smoke",
        "--out",
        str(tmp_path),
        "--seed",
        "3",
        "--faces",
        "lfw",
        "--faces",
        "casia",
        "--exclude",
        str(names),
        "--device",
        "cpu",
        "--actions",
        "jhmdb",
        "--protocol",
        "boxed",
        "--start",
        "random",
    )
    assert result.exit_code == 0, result.output
    assert seen.pop("profile").name == "smoke"
    faces = (Path("lfw"), Path("casia"))
    assert seen.pop("exclude") == {"Ann_Example", "Bob_Example"}
    assert (seen.pop("actions"), seen.pop("protocol")) == (Path("jhmdb"), "boxed")
    assert (seen.pop("watch"), seen.pop("full"), seen.pop("start")) == (False, False, "random")
    assert seen == {"out": tmp_path, "seed": 3, "faces": faces, "device": "cpu"}
    rows = [line.split() for line in result.output.splitlines()]
    assert ["Masked", "25.0", "12.5"] in rows
    assert ["Masked", "50.0"] in rows
    assert ["modified", "retrained", "75.0"] in rows
    assert ["random", "label", "1.0"] in rows


def test_results_go_to_a_folder_named_after_the_profile(
    stand_in: Callable[[Callable[..., Any]], None],
) -> None:
    def reproduce(*, out: Path, **_: Any) -> None:
        raise CheckpointError(f"out is {out}")

    stand_in(reproduce)
    assert call("reproduce", "--profile", "smoke").stderr == "error: out is results/smoke\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CheckpointError("'m' is\nof profile paper"), 2, "error: 'm' is of profile paper"),
        (
            OSError(errno.ENOSPC, "No space left on device", "r/table1.csv"),
            2,
            "error: 'r/table1.csv': the disk is full: free some space and run the same command again",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "r"), 2, "error: 'r': Permission denied"),
        (KeyboardInterrupt(), 130, "interrupted: the same command resumes"),
    ],
)
def test_errors_take_one_line(
    error: BaseException, code: int, line: str, stand_in: Callable[[Callable[..., Any]], None]
) -> None:
    stand_in(raising(error))
    result = call("reproduce", "--profile", "smoke")
    assert (result.exit_code, result.stderr, result.stdout) == (code, line + "\n", "")


def test_programming_errors_keep_their_traceback(stand_in: Callable[[Callable[..., Any]], None]) -> None:
    stand_in(raising(ZeroDivisionError()))
    assert isinstance(call("reproduce", "--profile", "smoke").exception, ZeroDivisionError)


def test_unknown_profile() -> None:
    result = call("reproduce", "--profile", "desktop")
    assert result.exit_code == 2
    assert (
        result.stderr == "error: profile 'desktop' is unknown: use one of smoke, laptop, workstation, paper\n"
    )


@pytest.mark.parametrize("profile", ["smoke", "laptop", "workstation"])
def test_weights_of_imagenet_are_refused_where_they_would_be_ignored(
    profile: str, stand_in: Callable[[Callable[..., Any]], None]
) -> None:
    stand_in(raising(AssertionError("it must not start")))
    result = call("reproduce", "--profile", profile, "--pretrained", "imagenet")
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: --pretrained imagenet: profile '{profile}' has a small backbone, for which there are no "
        "such weights; use --profile paper (resnet101), or leave the option out\n"
    )


def test_cuda_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = call("reproduce", "--device", "cuda")
    assert result.exit_code == 2
    assert "error: device 'cuda': PyTorch finds no NVIDIA GPU here" in result.stderr


@pytest.mark.parametrize("args", [["--device", "tpu"], ["--seed", "-1"], ["--threads", "0"]])
def test_usage_errors(args: list[str]) -> None:
    result = call("reproduce", *args)
    assert result.exit_code == 2
    assert "Invalid value" in result.stderr


def test_a_results_folder_is_verified_and_a_stranger_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = call("reproduce", "--verify", str(tmp_path))
    assert refused.exit_code == 2
    assert "holds no run.json, so no finished run: check the path" in refused.stderr
    monkeypatch.setattr("anonlib.experiment.records.check_results", lambda folder: ["figure4"])
    (tmp_path / "run.json").write_text('{"commit": "0123456789", "seed": 0}')
    accepted = call("reproduce", "--verify", str(tmp_path))
    assert accepted.exit_code == 0, accepted.output
    assert '"commit": "0123456789"' in accepted.output
    assert f"The predictions in {tmp_path} give the same tables: figure4" in accepted.output

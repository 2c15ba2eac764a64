"""Every option of every command reaches the call that it configures."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import typer
from typer.testing import CliRunner

import anonlib
from anonlib.cli import app
from anonlib.video import Keep, RayEngine, Report

BASE = {
    "anonymize": ["a.png"],
    "audit": ["mask"],
    "data check": ["root"],
    "data download": ["lfw"],
    "recover": ["a.png", "--boxes", "b.csv"],
    "reproduce": ["--profile", "smoke"],
    "verify": ["--root", "lfw", "--method", "mask"],
}
"""The shortest call of each command that has options."""


class Case(NamedTuple):
    """Words of a command line, and the value that they must set in the call."""

    words: list[str]
    key: str
    value: Any
    alone: bool = False
    """Whether the words stand for the shortest call, instead of after it."""


KEPT = tuple(asdict(Keep.parse(text)) for text in ("1,2,3,4", "7"))
CASES = {
    "anonymize": {
        "inputs": Case(["a.png", "b.mp4"], "inputs", ["a.png", "b.mp4"], alone=True),
        "out": Case(["--out", "x"], "out", "x"),
        "method": Case(["--method", "blur8"], "method", "blur8"),
        "weights": Case(["--weights", "m.safetensors"], "weights", Path("m.safetensors")),
        "detector": Case(["--detector", "mtcnn"], "detector", "mtcnn"),
        "report": Case(["--report", "r.json"], "report", Path("r.json")),
        "boxes": Case(["--boxes", "b.csv"], "boxes", Path("b.csv")),
        "keep": Case(["--keep", "1,2,3,4", "--keep", "7"], "keep", KEPT),
        "review": Case(["--review", "r.html"], "review", Path("r.html")),
        "device": Case(["--device", "cpu"], "device", "cpu"),
        "every": Case(["--every", "3"], "every", 3),
        "mask_scale": Case(["--mask-scale", "2.5"], "enlarge", 2.5),
        "extent": Case(["--method", "swap", "--extent", "head"], "extent", "head"),
        "seed": Case(["--method", "swap", "--seed", "3"], "seed", 3),
        "strength": Case(["--method", "live", "--strength", "0.25"], "strength", 0.25),
        "preview": Case(["--preview"], "preview", True),
        "hold": Case(["--hold"], "hold", True),
        "keep_metadata": Case(["--keep-metadata"], "keep_metadata", True),
        "no_audio": Case(["--no-audio"], "audio", False),
        "overwrite": Case(["--overwrite"], "overwrite", True),
        "engine": Case(["--engine", "ray"], "engine", RayEngine),
        "workers": Case(["--engine", "ray", "--workers", "3"], "workers", 3),
    },
    "recover": {
        "file": Case(["c.png", "--boxes", "b.csv"], "file", Path("c.png"), alone=True),
        "out": Case(["--out", "x.png"], "out", Path("x.png")),
        "boxes": Case(["a.png", "--boxes", "c.csv"], "boxes", Path("c.csv"), alone=True),
        "device": Case(["--device", "cpu"], "device", "cpu"),
        "overwrite": Case(["--overwrite"], "overwrite", True),
    },
    "audit": {
        "method": Case(["blur8"], "method", "blur8", alone=True),
        "weights": Case(["modifier", "--weights", "m.safetensors"], "weights", Path("m.safetensors"), True),
        "root": Case(["--root", "x"], "root", Path("x")),
        "originals": Case(["--originals", "a", "--anonymized", "b"], "originals", Path("a"), True),
        "anonymized": Case(["--originals", "a", "--anonymized", "b"], "anonymized", Path("b"), True),
        "out": Case(["--out", "x.html"], "out", [Path("x.html"), Path("x.json")]),
        "seed": Case(["--seed", "3"], "seed", 3),
        "device": Case(["--device", "cpu"], "device", "cpu"),
        "threads": Case(["--threads", "3"], "threads", 3),
    },
    "data check": {
        "root": Case(["x"], "root", Path("x"), alone=True),
        "name": Case(["--as", "lfw"], "name", "lfw"),
    },
    "data download": {
        "name": Case(["jhmdb"], "name", "jhmdb", alone=True),
        "out": Case(["--out", "x"], "out", Path("x")),
    },
    "reproduce": {
        "profile": Case(["--profile", "laptop"], "profile", "laptop"),
        "out": Case(["--out", "x"], "out", Path("x")),
        "seed": Case(["--seed", "3"], "seed", 3),
        "faces": Case(["--faces", "lfw", "--faces", "casia"], "faces", (Path("lfw"), Path("casia"))),
        "exclude": Case(["--exclude", "names.txt"], "exclude", {"Ann_Example", "Bob_Example"}),
        "actions": Case(["--actions", "jhmdb"], "actions", Path("jhmdb")),
        "protocol": Case(["--protocol", "boxed"], "protocol", "boxed"),
        "detector": Case(["--detector", "cascade"], "face_finder", "cascade"),
        "folds": Case(["--folds", "all"], "folds", "all"),
        "start": Case(["--start", "identity"], "start", "identity"),
        "pretrained": Case(["--profile", "paper", "--pretrained", "imagenet"], "pretrained", "imagenet"),
        "device": Case(["--device", "cpu"], "device", "cpu of 1x1"),
        "threads": Case(["--threads", "3"], "threads", 3),
        "devices": Case(["--devices", "2"], "device", "cuda of 2x1"),
        "nodes": Case(["--nodes", "2"], "device", "cuda of 1x2"),
        "precision": Case(["--precision", "bfloat16"], "precision", "bfloat16"),
        "full": Case(["--full"], "full", True),
        "watch": Case(["--watch"], "watch", True),
        "verify": Case(["--verify", "x"], "verified", Path("x")),
    },
    "verify": {
        "root": Case(["--root", "x"], "root", Path("x")),
        "method": Case(["--method", "blur8"], "method", "blur8"),
        "folds": Case(["--folds", "1,3"], "folds", (1, 3)),
        "recognizer": Case(["--recognizer", "dlib"], "recognizer", "dlib"),
        "framing": Case(["--framing", "crop"], "framing", "crop"),
        "limit": Case(["--limit", "60"], "limit", 60),
        "retrain": Case(["--retrain", "20"], "retrain", 20),
        "json": Case(["--json", "x.json"], "json", Path("x.json")),
        "seed": Case(["--seed", "3"], "seed", 3),
        "device": Case(["--device", "cpu"], "device", "cpu"),
        "threads": Case(["--threads", "3"], "threads", 3),
        "weights": Case(["--weights", "m.safetensors"], "weights", Path("m.safetensors")),
    },
    "": {"version": Case(["--version"], "output", f"anonlib {anonlib.__version__}\n", alone=True)},
}


def parameters() -> Iterator[tuple[str, str]]:
    """Each command and each of its options and arguments, as typer knows them."""

    def walk(command: Any, path: str) -> Iterator[tuple[str, str]]:
        for parameter in command.params:
            yield path, parameter.name
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, f"{path} {name}".strip())

    return walk(typer.main.get_command(app), "")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What the library is called with; every call is replaced, and there seems to be a GPU."""
    found: dict[str, Any] = {}

    def anonymize_files(inputs: Any, out: Any, *, settings: Any, engine: Any, **others: Any) -> Report:
        found.update(asdict(settings), inputs=inputs, out=out, engine=type(engine), **others)
        found["workers"] = getattr(engine, "workers", None)
        return Report(settings=settings)

    def check(root: Path, name: str | None, **_: Any) -> Any:
        found.update(root=root, name=name)
        return types.SimpleNamespace(name="lfw", facts=[], faults=[])

    def download(entry: Any, out: Path, **_: Any) -> list[str]:
        found.update(name=entry.name, out=out)
        return []

    def start_processes(device: str, *, devices: int, nodes: int) -> str:
        return f"{device} of {devices}x{nodes}"

    def reproduce(*, profile: Any, **options: Any) -> None:
        training = profile.training
        found.update(options, profile=profile.name)
        found.update(pretrained=training.pretrained, precision=training.precision)
        found.update(face_finder=profile.data.face_finder, folds=profile.data.folds)

    def check_results(folder: Path) -> list[str]:
        found["verified"] = folder
        return []

    def recover_image(file: Path, out: Path | None, *, settings: Any, boxes: Path) -> Any:
        found.update(asdict(settings), file=file, out=out, boxes=boxes)
        return types.SimpleNamespace(lines=list)

    def run_audit(request: Any, *, device: str) -> None:
        found.update({name: getattr(request, name) for name in request.__dataclass_fields__}, device=device)

    def verify_method(root: Path, request: Any, *, device: str) -> None:
        found.update(asdict(request), root=root, device=device)

    def write_record(path: Path, *_: Any, **__: Any) -> None:
        found["json"] = path

    monkeypatch.chdir(tmp_path)
    Path("names.txt").write_text("Ann_Example\nBob_Example\n")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: found.update(threads=count))
    monkeypatch.setattr("anonlib.video.ray.find_spec", lambda name: object())
    monkeypatch.setattr("anonlib.video.anonymize_files", anonymize_files)
    monkeypatch.setattr("anonlib.video.recover_image", recover_image)
    monkeypatch.setenv("ANONLIB_PASSWORD", "open sesame")
    monkeypatch.setattr("anonlib.data.checks.check", check)
    monkeypatch.setattr("anonlib.data.download.download", download)
    monkeypatch.setattr("anonlib.training.processes.start_processes", start_processes)
    monkeypatch.setattr("anonlib.experiment.reproduce.reproduce", reproduce)
    monkeypatch.setattr(sys.modules["anonlib.cli.reproduce"], "_print_results", lambda results: None)
    monkeypatch.setattr("anonlib.experiment.records.check_results", check_results)
    monkeypatch.setattr("anonlib.experiment.records.describe_run", lambda folder: "")
    monkeypatch.setattr("anonlib.attack.audit.request.run_audit", run_audit)
    monkeypatch.setattr("anonlib.attack.audit.record.record", lambda *_, **__: {})
    monkeypatch.setattr("anonlib.attack.audit.report.write_page", lambda path, *_: found.update(out=[path]))
    monkeypatch.setattr("anonlib.attack.audit.record.write_record", lambda path, _: found["out"].append(path))
    monkeypatch.setattr(sys.modules["anonlib.cli.audit"], "_print_audit", lambda _: None)
    monkeypatch.setattr("anonlib.attack.verify.verify_method", verify_method)
    monkeypatch.setattr("anonlib.attack.verify.write_record", write_record)
    monkeypatch.setattr(sys.modules["anonlib.cli.verify"], "_print_verification", lambda *_: None)
    return found


@pytest.mark.parametrize(("command", "parameter"), list(parameters()))
def test_every_option_reaches_its_call(command: str, parameter: str, seen: dict[str, Any]) -> None:
    assert parameter in CASES.get(command, {}), f"a new option of `{command}`: add its case"
    case = CASES[command][parameter]
    before = [] if case.alone else BASE[command]
    if not case.alone:
        result = CliRunner().invoke(app, [*command.split(), *before])
        assert result.exit_code == 0, result.output
        assert seen.get(case.key) != case.value, "the value is the default: test another"
        seen.clear()
    result = CliRunner().invoke(app, [*command.split(), *before, *case.words])
    assert result.exit_code == 0, result.output
    assert {**seen, "output": result.output}[case.key] == case.value


def test_no_case_is_of_an_option_that_went() -> None:
    assert {(command, name) for command, names in CASES.items() for name in names} == set(parameters())

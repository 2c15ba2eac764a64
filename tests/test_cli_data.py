from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from anonlib.cli import app
from anonlib.data import download
from anonlib.errors import DatasetError


def call(*args: str) -> Result:
    return CliRunner().invoke(app, ["data", *args])


def test_the_list_names_size_terms_and_where_to_ask() -> None:
    lines = call("list").output.splitlines()
    assert [line.split()[0] for line in lines[::5]] == ["lfw", "casia-webface", "jhmdb", "daly"]
    text = "\n".join(lines)
    assert "website: http://www.cbsr.ia.ac.cn/english/CASIA-WebFace-Database.html" in text
    assert text.count("get:     by hand") == 2 and text.count("anonlib data download") == 2


def test_help_names_the_commands() -> None:
    text = call("--help").output
    assert all(f"  {command}  " in text for command in ("list", "check", "download"))


def test_a_partial_copy_ends_with_2_and_its_first_faults(tmp_path: Path) -> None:
    for n in range(9):
        (tmp_path / f"{n:07d}").mkdir()
        picture = tmp_path / f"{n:07d}" / "001.jpg"
        Image.new("RGB", (20, 20)).save(picture)
        picture.write_bytes(picture.read_bytes()[:-20])
    result = call("check", str(tmp_path))
    assert result.exit_code == 2
    assert f"{tmp_path} as casia-webface\n  9 people of 10,575\n" in result.stdout
    assert result.stderr.splitlines() == [
        "error: 9 people instead of 10,575",
        "error: 9 pictures instead of 494,414",
        "error: 0000000/001.jpg is empty or cut short",
        "error: 0000001/001.jpg is empty or cut short",
        "error: 0000002/001.jpg is empty or cut short",
        "error: and 6 more",
        "not complete: see data/README.md#casia",
    ]


def test_mistakes_take_one_line(tmp_path: Path) -> None:
    result = call("check", str(tmp_path / "no"))
    line = f"error: data root '{tmp_path}/no' is no folder: check the path\n"
    assert (result.exit_code, result.stderr) == (2, line)
    result = call("download", "vgg")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: data set 'vgg' is unknown: use one of lfw, casia-webface, jhmdb, daly\n",
    )


@pytest.mark.parametrize("name", ["casia-webface", "daly"])
def test_what_a_human_must_fetch_is_said(tmp_path: Path, name: str) -> None:
    result = call("download", name, "--out", str(tmp_path))
    assert result.exit_code == 2 and result.stdout == "" and list(tmp_path.iterdir()) == []
    assert "cannot be downloaded." in result.stderr and "http://" in result.stderr


def test_a_download_says_what_came_and_how_to_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def stand_in(entry: Any, root: Path, **_: Any) -> list[str]:
        seen.update(entry=entry.name, root=root)
        return ["splits: there already"]

    monkeypatch.setattr(download, "download", stand_in)
    result = call("download", "jhmdb", "--out", str(tmp_path))
    assert result.stdout == f"splits: there already\nNow: anonlib data check {tmp_path}\n"
    assert seen == {"entry": "jhmdb", "root": tmp_path} and "Terms: " in result.stderr
    monkeypatch.delenv("ANONLIB_DATA", raising=False)
    call("download", "jhmdb")
    assert seen["root"] == Path("datasets/jhmdb")
    monkeypatch.setenv("ANONLIB_DATA", str(tmp_path))
    call("download", "jhmdb")
    assert seen["root"] == tmp_path / "jhmdb"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "interrupted: the same command resumes"),
        (OSError(28, "No space left on device", "r/a.part"), 2, "error: 'r/a.part': the disk is f"),
        (DatasetError("no source of a works"), 2, "error: no source of a works"),
    ],
)
def test_interruptions_and_errors_end_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(download, "download", fail)
    result = call("download", "lfw", "--out", str(tmp_path))
    assert result.exit_code == code and result.stderr.splitlines()[-1].startswith(line)


def test_listing_does_not_wait_for_torch() -> None:
    code = (
        "import sys; from anonlib.cli import app; app(['data', 'list'], standalone_mode=False); "
        "sys.exit('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert run.returncode == 0, run.stderr

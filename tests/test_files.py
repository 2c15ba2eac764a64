from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from anonlib import files
from anonlib.errors import ResultsError
from anonlib.files import (
    check_writable,
    commit,
    first_process,
    hardware,
    peak_memory_gb,
    provenance,
    write_atomically,
)


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that holds `anonlib/files.py` and another project's `pyproject.toml`."""
    (tmp_path / "anonlib").mkdir()
    shutil.copy(files.__file__, tmp_path / "anonlib")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "thesis"\n')
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "all")
    monkeypatch.setattr(files, "__file__", str(tmp_path / "anonlib" / "files.py"))
    return tmp_path


def test_the_commit_is_that_of_this_project(checkout: Path):
    assert commit() == "unknown"  # of another project
    (checkout / "pyproject.toml").write_text('[project]\nname = "anonlib"\n')
    head = git(checkout, "rev-parse", "--short=10", "HEAD")
    assert commit() == f"{head}-dirty"
    git(checkout, "commit", "-q", "-a", "-m", "ours")
    assert commit() == git(checkout, "rev-parse", "--short=10", "HEAD")


@pytest.mark.parametrize("own", [False, True])
def test_the_commit_of_a_repository_around_site_packages_is_not_recorded(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, own: bool
):
    installed = checkout / "venv/lib/python3.11/site-packages"
    (installed / "anonlib").mkdir(parents=True)
    if own:  # a copy of the project without its repository
        (installed / "pyproject.toml").write_text('[project]\nname = "anonlib"\n')
    monkeypatch.setattr(files, "__file__", str(installed / "anonlib/files.py"))
    assert commit() == "unknown"


def test_a_gpu_is_recorded_only_if_it_was_used(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: f"GPU {device}")
    assert "GPU" not in hardware() and hardware().endswith(f"{torch.get_num_threads()} threads")
    assert "GPU" not in hardware("cpu") and hardware("cuda:1") == "GPU cuda:1"
    assert provenance(command="a", seed=1, device="cuda")["hardware"] == "GPU cuda"
    assert "GPU" not in provenance(command="a", seed=None)["hardware"]


def test_the_memory_of_a_process_is_unknown_on_windows(monkeypatch: pytest.MonkeyPatch):
    found = peak_memory_gb()
    assert found is None or 0.01 < found < 1000
    monkeypatch.setitem(sys.modules, "resource", None)
    assert peak_memory_gb() is None


def test_of_processes_that_train_together_the_first_one_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        write_atomically(tmp_path / f"{rank}.txt", b"")
        assert first_process() == (rank == "0")
    assert os.listdir(tmp_path) == ["0.txt"]
    monkeypatch.delenv("RANK")
    assert first_process()


def test_files_are_written_without_torch(tmp_path: Path):
    code = "import sys, anonlib.files; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_page_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "page.html")
    assert [*tmp_path.rglob("*")] == [tmp_path / "new"]
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "page.html"):
        with pytest.raises(ResultsError, match=f"could not write {path}: .* choose another --out"):
            check_writable(path)

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anonlib.errors import ResultsError
from anonlib.files import complete, own_part, sweep


def ledger() -> Callable[[int], list[int]]:
    """What the attempts at one file share."""
    told: list[int] = []

    def claim(inode: int) -> list[int]:
        told.append(inode)
        return told

    return claim


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["hard links", "none"])
def _links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system with hard links, or one that refuses them."""

    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    if request.param == "none":
        monkeypatch.setattr(os, "link", refuse)


pytestmark = pytest.mark.usefixtures("_links")


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "new/a.bin"
    with complete(out, overwrite=False, claim=ledger()) as file:
        file.write(b"whole")
        assert not out.exists() and len(names(tmp_path / "new")) == 1
    assert out.read_bytes() == b"whole" and names(tmp_path / "new") == ["a.bin"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_of_two_attempts_the_first_whole_file_stays(tmp_path: Path, overwrite: bool) -> None:
    out, claim = tmp_path / "a.bin", ledger()
    if overwrite:
        out.write_bytes(b"old")
    with complete(out, overwrite=overwrite, claim=claim) as late:
        late.write(b"late")
        with complete(out, overwrite=overwrite, claim=claim) as early:
            early.write(b"early")
            assert len([name for name in names(tmp_path) if name.endswith(".part")]) == 2
        made = out.stat().st_ino
    assert out.read_bytes() == b"early" and out.stat().st_ino == made
    assert names(tmp_path) == ["a.bin"]


def test_what_somebody_else_wrote_stays(tmp_path: Path) -> None:
    out = tmp_path / "a.bin"
    with (
        pytest.raises(ResultsError, match=r"a\.bin' exists: give --overwrite"),
        complete(out, overwrite=False, claim=ledger()) as file,
    ):
        file.write(b"ours")
        out.write_bytes(b"theirs")
    assert out.read_bytes() == b"theirs" and names(tmp_path) == ["a.bin"]


def test_a_link_in_the_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.bin").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ResultsError), complete(tmp_path / "a.bin", overwrite=False, claim=ledger()) as file:
        file.write(b"x")
    assert names(tmp_path) == ["a.bin"]


def test_an_attempt_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        complete(tmp_path / "a.bin", overwrite=True, claim=ledger()) as file,
    ):
        file.write(b"half")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_an_attempt_that_cannot_claim_puts_nothing_in_place(tmp_path: Path) -> None:
    def gone(inode: int) -> list[int]:
        raise ConnectionError("the run has ended")

    with pytest.raises(ConnectionError), complete(tmp_path / "a.bin", overwrite=True, claim=gone) as file:
        file.write(b"late")
    assert names(tmp_path) == []


def test_what_dead_attempts_left_is_swept_and_the_living_go_on(tmp_path: Path) -> None:
    with own_part(tmp_path) as (living, _):
        dead = living.with_name(".anonlib-0123456789abcdef0123456789abcdef.part")
        for path in (dead, tmp_path / ".other.part", tmp_path / "a.png"):
            path.write_bytes(b"x")
        sweep([tmp_path, tmp_path / "missing"])
        assert names(tmp_path) == sorted([living.name, ".other.part", "a.png"])
    assert names(tmp_path) == [".other.part", "a.png"]


def test_without_locks_nothing_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with own_part(tmp_path) as (living, _):
        sweep([tmp_path])
        assert living.exists()
    assert names(tmp_path) == []

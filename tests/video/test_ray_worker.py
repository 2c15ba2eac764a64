from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anonlib.errors import ConfigError
from anonlib.video import Models, Settings
from anonlib.video.ray import Ledger, Row, Worker
from tests.video.conftest import MASK_ALL


class Killed(BaseException):
    """A process that ends at this point."""


@pytest.fixture(autouse=True)
def _stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker changes its folder; the test's process comes back."""
    monkeypatch.chdir(Path.cwd())


def photo(path: Path) -> Path:
    Image.fromarray(np.full((16, 24, 3), 200, np.uint8)).save(path, format="png")
    return path


def worker(
    folder: Path,
    ledger: Ledger | None = None,
    *,
    load: Callable[..., Models] = lambda _: MASK_ALL,
    killed_at: str | None = None,
    overwrite: bool = False,
) -> Worker:
    """A worker whose process ends when it calls one of the ledger's methods, before the call."""
    kept = ledger or Ledger()

    def ask(method: str, *args: Any) -> Any:
        if method == killed_at:
            raise Killed
        return getattr(kept, method)(*args)

    probe = folder / "probe"
    probe.touch()
    return Worker(
        settings=Settings(overwrite=overwrite), folder=str(folder), probe=str(probe), ask=ask, load=load
    )


def row(source: str | Path, out: str | Path, index: int = 0, kind: str = "image") -> Row:
    task = json.dumps({"source": str(source), "out": str(out), "kind": kind})
    return {"index": index, "task": task}


def answer(done: Row) -> dict[str, Any]:
    return dict(json.loads(done["answer"]))


def test_models_are_loaded_once_for_many_files(tmp_path: Path) -> None:
    loaded = []

    def load(settings: Settings) -> Models:
        loaded.append(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
        return MASK_ALL

    work = worker(tmp_path, load=load)
    for index in range(3):
        source = photo(tmp_path / f"{index}.png")
        done = work(row(source, tmp_path / f"out/{index}.png", index))
        assert done["index"] == index and answer(done)["report"]["status"] == "done"
        assert answer(done)["report"]["faces"] == 1 and answer(done)["weights"] == {"x": "1"}
    assert loaded == [1]
    with Image.open(tmp_path / "out/2.png") as image:
        assert np.array(image).max() == 0


def test_names_are_relative_to_the_folder_of_the_run(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    report = answer(worker(tmp_path)(row("a.png", "b.png")))["report"]
    assert (report["input"], report["output"], report["status"]) == ("a.png", "b.png", "done")
    assert (tmp_path / "b.png").is_file()


def test_a_name_of_bytes_that_are_no_text_travels(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    photo(tmp_path / name)
    done = worker(tmp_path)(row(name, f"out/{name}"))
    done["answer"].encode("ascii")
    assert answer(done)["report"]["output"] == f"out/{name}"
    assert os.listdir(tmp_path / "out") == [name]


def test_a_bad_file_fails_in_the_words_of_the_local_engine(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    report = answer(worker(tmp_path)(row("a.png", "out/a.png")))["report"]
    assert report["status"] == "failed" and report["output"] == "out/a.png"
    assert report["warnings"][0].startswith("'a.png' is ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("point", ["claim", "done"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_worker_killed_at_the_end_is_repeated(tmp_path: Path, point: str, overwrite: bool) -> None:
    """Before its file is in place, or after it and before anybody knows."""
    ledger, out = Ledger(), tmp_path / "out/a.png"
    task = row(photo(tmp_path / "a.png"), out)
    with pytest.raises(Killed):
        worker(tmp_path, ledger, killed_at=point, overwrite=overwrite)(task)
    assert out.exists() == (point == "done")
    before = out.stat().st_ino if out.exists() else None
    report = answer(worker(tmp_path, ledger, overwrite=overwrite)(task))["report"]
    assert (report["status"], report["faces"]) == ("done", 1)
    assert before in (None, out.stat().st_ino) and os.listdir(out.parent) == ["a.png"]


def test_a_lost_answer_is_given_again_without_work(tmp_path: Path) -> None:
    ledger, task = Ledger(), row(photo(tmp_path / "a.png"), tmp_path / "b.png")

    def unexpected(settings: Settings) -> Models:
        raise AssertionError("nothing is left to be done")

    first = worker(tmp_path, ledger)(task)
    assert worker(tmp_path, ledger, load=unexpected)(task) == first
    ledger.forget(0)
    assert answer(worker(tmp_path, ledger)(task))["report"]["status"] == "done"


def test_a_file_that_kills_its_workers_is_given_up(tmp_path: Path) -> None:
    def deadly(settings: Settings) -> Models:
        raise Killed

    ledger, task = Ledger(), row(photo(tmp_path / "a.png"), tmp_path / "b.png")
    for _ in range(3):
        with pytest.raises(Killed):
            worker(tmp_path, ledger, load=deadly)(task)
    report = answer(worker(tmp_path, ledger, load=deadly)(task))["report"]
    assert report["status"] == "failed" and "3 workers died of it" in report["warnings"][0]


def test_what_all_files_would_meet_ends_the_run(tmp_path: Path) -> None:
    def unknown(settings: Settings) -> Models:
        raise ConfigError("method 'x' is unknown")

    def full(settings: Settings) -> Models:
        raise OSError(errno.ENOSPC, "No space left on device")

    task = row(photo(tmp_path / "a.png"), tmp_path / "b.png")
    assert answer(worker(tmp_path, load=unknown)(task)) == {"stop": "method 'x' is unknown"}
    stop = {"stop": "No space left on device", "errno": errno.ENOSPC}
    assert answer(worker(tmp_path, load=full)(task)) == stop


def test_a_machine_that_does_not_share_the_files_is_told(tmp_path: Path) -> None:
    work = worker(tmp_path)
    (tmp_path / "probe").unlink()
    stop = answer(work(row(photo(tmp_path / "a.png"), tmp_path / "b.png")))["stop"]
    assert "put inputs and outputs on a file system that they share" in stop
    assert not (tmp_path / "b.png").exists()

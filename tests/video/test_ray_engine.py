"""Two workers of a Ray that this machine runs for the test, beside the local engine."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from anonlib import anonymizers
from anonlib.cli import app
from anonlib.detection import Faces
from anonlib.errors import ConfigError
from anonlib.video import Models, Report, Settings, anonymize_files, ray as engine_module
from anonlib.video.ray import RayEngine, connected
from tests.video.conftest import FIND_NONE, make_video, picture

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    # Ray leaves its processes to a reaper of its own.
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]
HERE = sys.modules[__name__]
DEADLY = (24, 40)
"""Height and width of a picture that ends the process that looks at it."""


def load(diary: Path, deaths: int, settings: Settings, *, pause: float = 0.0) -> Models:
    """Everything is a face; a deadly picture ends so many processes, SIGKILL, and then is one."""
    with (diary / f"{os.getpid()}.loaded").open("a") as file:
        file.write("x")

    def detect(frames: Tensor) -> list[Faces]:
        height, width = frames.shape[2:]
        time.sleep(pause)
        dead = len(list(diary.glob("*.dead")))
        if (height, width) == DEADLY and dead < deaths:
            (diary / f"{dead}.dead").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        box = torch.tensor([[0.0, 0.0, width, height]])
        return [Faces(boxes=box, scores=torch.ones(1), landmarks=torch.zeros(1, 5, 2))] * len(frames)

    return Models(detector=detect, anonymizer=anonymizers.create("mask"), hashes={"x": "1"})


def photo(path: Path, index: int = 0, size: tuple[int, int] = (16, 24)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(index, *size)).save(path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of pictures, films, what is damaged and what is neither."""
    for index in range(6):
        photo(tmp_path / f"in/{index % 2}/{index}.png", index)
    make_video(tmp_path / "in/a.mp4", pts=range(6), size=(32, 48))
    make_video(tmp_path / "in/0/b.avi", codec="mpeg4", pts=range(4), size=DEADLY)
    (tmp_path / "in/damaged.jpg").write_bytes(b"\xff\xd8\xff broken")
    (tmp_path / "in/empty.mp4").touch()
    (tmp_path / "in/notes.txt").write_text("words")
    (tmp_path / "in/away.png").symlink_to("/nowhere")
    return tmp_path / "in"


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    """A folder in which workers write down that they load, and that they die."""
    (tmp_path / "diary").mkdir()
    return tmp_path / "diary"


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Two cores of Ray, which carries the models of this file by value."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'anonlib[ray]'")
    pytest.importorskip("ray.data", reason="Ray Data is not installed: pip install 'anonlib[ray]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        with connected(cores=2):
            ray.cloudpickle.register_pickle_by_value(HERE)
            yield ray
            ray.cloudpickle.unregister_pickle_by_value(HERE)
        gc.collect()


def locally(root: Path, out: Path, diary: Path, **options: Any) -> Report:
    settings = Settings(method="modifier-photo", device="cpu", **options)
    return anonymize_files([root], out, settings=settings, models=load(diary, 0, settings))


def on_ray(root: Path, out: Path, diary: Path, deaths: int = 0, **options: Any) -> Report:
    engine = RayEngine(workers=2, load=partial(load, diary, deaths))
    report = out.with_suffix(".json")
    settings = Settings(method="modifier-photo", device="cpu", **options)
    return anonymize_files([root], out, settings=settings, engine=engine, report=report)


def call(*words: str | Path) -> Any:
    """The command line's answer."""
    return CliRunner().invoke(app, ["anonymize", *map(str, words)])


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below, hidden ones too."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def told(report: Report, out: Path) -> list[dict[str, Any]]:
    """What a report says of each file, less its times and the name of the output folder."""
    files = [asdict(file) for file in report.files]
    for file in files:
        file["output"] = str(file["output"]).removeprefix(str(out))
        for key in ("seconds", "detection_seconds", "modification_seconds"):
            del file[key]
    return files


@pytest.mark.slow
def test_two_workers_do_what_one_process_does(ray: Any, root: Path, tmp_path: Path, diary: Path) -> None:
    there = on_ray(root, tmp_path / "there", diary)
    loaded = [path.read_text() for path in diary.iterdir()]
    assert 1 <= len(loaded) <= 2 and set(loaded) == {"x"}
    here = locally(root, tmp_path / "here", diary)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert told(there, tmp_path / "there") == told(here, tmp_path / "here")
    assert there.lines()[-1] == here.lines()[-1] == "8 done, 2 failed, 2 no media"
    assert there.weights == {"x": "1"} and len((tmp_path / "there.json").read_text()) > 1000


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_is_replaced(ray: Any, root: Path, tmp_path: Path, diary: Path) -> None:
    there = on_ray(root, tmp_path / "there", diary, deaths=2)
    assert len(list(diary.glob("*.dead"))) == 2
    here = locally(root, tmp_path / "here", diary)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert told(there, tmp_path / "there") == told(here, tmp_path / "here")


@pytest.mark.slow
def test_a_file_that_kills_every_worker_does_not_stop_the_rest(
    ray: Any, root: Path, tmp_path: Path, diary: Path
) -> None:
    there = on_ray(root, tmp_path / "there", diary, deaths=99)
    [bad] = [file for file in there.bad if file.input.endswith("b.avi")]
    assert "3 workers died of it" in bad.warnings[0] and len(there.bad) == 3
    here = locally(root, tmp_path / "here", diary)
    expected = contents(tmp_path / "here")
    del expected["0/b.avi.mp4"]
    assert contents(tmp_path / "there") == expected and len(here.bad) == 2


@pytest.mark.slow
def test_what_is_finished_is_skipped_and_what_is_missing_made(
    ray: Any, root: Path, tmp_path: Path, diary: Path
) -> None:
    on_ray(root, tmp_path / "out", diary)
    first = contents(tmp_path / "out")
    (tmp_path / "out/a.mp4").unlink()
    (tmp_path / "out/0/0.png").write_bytes(b"kept, whoever wrote it")
    (tmp_path / "out/.anonlib-dead.part").write_bytes(b"half")
    again = on_ray(root, tmp_path / "out", diary)
    assert again.lines()[-1] == "1 done, 2 failed, 7 skipped, 2 no media"
    assert contents(tmp_path / "out") == first | {"0/0.png": b"kept, whoever wrote it"}
    on_ray(root, tmp_path / "out", diary, overwrite=True)
    assert contents(tmp_path / "out") == first


def main(root: str, out: str, diary: str) -> None:
    """One slow worker on a Ray of its own, for the process that a test stops."""
    import ray

    ray.cloudpickle.register_pickle_by_value(HERE)
    engine = RayEngine(workers=1, load=partial(load, Path(diary), 0, pause=3.0))
    anonymize_files([root], out, settings=Settings(method="modifier-photo", device="cpu"), engine=engine)


def wait_until(true: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.1)


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc tells who lives")
@pytest.mark.skipif(
    not os.environ.get("ANONLIB_STRESS"),
    reason="two Rays at once want an idle machine: run it with ANONLIB_STRESS=1",
)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_is_gone_on_with(
    ray: Any, root: Path, tmp_path: Path, diary: Path, how: signal.Signals
) -> None:
    words = "import sys; from tests.video.test_ray_engine import main; main(*sys.argv[1:])"
    top, out = Path(__file__).parents[2], tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", words, str(root), str(out), str(diary)],
        cwd=top,
        env=os.environ | {"PYTHONPATH": str(top)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until(lambda: list(out.rglob("*.png")), 300)
        while process.poll() is None:  # as a user does whose first Ctrl-C met a callback of Ray
            process.send_signal(how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
        assert process.returncode != 0
    wait_until(lambda: not any(lives(int(path.stem)) for path in diary.glob("*.loaded")), 120)
    here = locally(root, tmp_path / "here", diary)
    expected, stopped = contents(tmp_path / "here"), contents(out)
    whole = {name: what for name, what in stopped.items() if not name.endswith(".part")}
    assert 0 < len(whole) < len(expected) and whole.items() <= expected.items()
    again = on_ray(root, out, diary)
    assert contents(out) == expected and len(again.bad) == len(here.bad) == 2


@pytest.mark.slow
def test_an_unknown_method_ends_the_run(ray: Any, root: Path, tmp_path: Path) -> None:
    settings = Settings(method="none-such", device="cpu")
    with pytest.raises(ConfigError, match="anonymizer 'none-such' is unknown"):
        anonymize_files([root], tmp_path / "out", settings=settings, engine=RayEngine(workers=1))


@pytest.mark.slow
def test_more_workers_than_cores_are_refused(ray: Any, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="workers 3: Ray has 2 cores"):
        anonymize_files([root], tmp_path / "out", engine=RayEngine(workers=3))


def test_what_is_finished_needs_no_ray(root: Path, tmp_path: Path, diary: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'anonlib[ray]'")
    locally(root, tmp_path / "out", diary)
    again = on_ray(root / "1", tmp_path / "out/1", diary)
    assert [file.status for file in again.files] == ["skipped"] * 3


def test_without_ray_the_mend_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "find_spec", lambda name: None)
    found = call(photo(tmp_path / "a.png"), "--engine", "ray")
    assert found.exit_code == 2
    assert found.stderr == "error: engine 'ray' is not installed: pip install 'anonlib[ray]'\n"


def test_workers_without_ray_are_refused(tmp_path: Path) -> None:
    found = call(photo(tmp_path / "a.png"), "--workers", "2")
    assert found.exit_code == 2 and "--workers goes with --engine ray" in found.stderr


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused before Ray starts is refused also where it is not installed."""
    monkeypatch.setattr(engine_module, "find_spec", lambda name: object())


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("source", ["-", "camera:0", "rtsp://127.0.0.1/door"])
def test_what_has_one_end_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="with --engine ray: a camera, a pipe or an address"):
        anonymize_files([source], tmp_path / "o.mp4", engine=RayEngine())


@pytest.mark.usefixtures("_installed")
def test_stdout_a_preview_and_loaded_models_are_refused(tmp_path: Path) -> None:
    source, engine = photo(tmp_path / "a.png"), RayEngine()
    with pytest.raises(ConfigError, match="'stdout' with --engine ray"):
        anonymize_files([make_video(tmp_path / "a.mp4", pts=range(2))], "-", engine=engine)
    with pytest.raises(ConfigError, match="leave --engine ray out"):
        anonymize_files([source], settings=Settings(method="modifier-photo", preview=True), engine=engine)
    with pytest.raises(ConfigError, match="models do not travel"):
        anonymize_files([source], models=FIND_NONE, engine=engine)
    with pytest.raises(ConfigError, match="workers 0"):
        RayEngine(workers=0)


@pytest.mark.parametrize(
    ("check", "message"), [({"stop": "full", "errno": 28}, "full"), ({"stop": "unknown"}, "unknown")]
)
def test_why_a_worker_stops_the_run_is_raised(check: dict[str, Any], message: str) -> None:
    expected: Callable[..., Exception] = OSError if "errno" in check else ConfigError
    with pytest.raises(expected, match=message):  # type: ignore[arg-type]
        engine_module.check_stop(check)
    engine_module.check_stop({"report": {}})

"""Whatever breaks, an output is whole or absent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anonlib import anonymizers
from anonlib.errors import ResultsError
from anonlib.files import complete, part_of
from anonlib.video import Models, Settings, anonymize_video
from anonlib.video.containers import CONTAINERS
from anonlib.video.reader import VideoReader
from anonlib.video.writer import VideoWriter
from tests.video.conftest import everything, frames_of, pixels

Make = Callable[..., Path]
SLOW_RUN = """
import sys, time, torch
from anonlib import anonymizers
from anonlib.detection import Faces
from anonlib.video import *
def slow(frames):
    time.sleep(float(sys.argv[3]))
    h, w = frames.shape[2:]
    return [Faces(boxes=torch.tensor([[0., 0, w, h]]), scores=torch.ones(1),
                  landmarks=torch.zeros(1, 5, 2))]
models = Models(detector=slow, anonymizer=anonymizers.create("mask"))
def tell(done, expected):
    print(done, flush=True)
anonymize_video(sys.argv[1], sys.argv[2], settings=Settings(every=1), models=models, on_frame=tell)
"""


def others(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name != "a.mp4")


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.bin"
    with complete(path) as file:
        file.write(b"new")
        file.flush()
        assert not path.exists() and part_of(path).read_bytes() == b"new"
    assert path.read_bytes() == b"new" and not part_of(path).exists()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_no_part(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), complete(path) as file:
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    part_of(path).write_bytes(b"a long half-written file")
    with complete(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with complete(path) as file:
        file.write(b"first")
        with pytest.raises(ResultsError, match="written by another run"), complete(path):
            pass
    assert path.read_bytes() == b"first"


def test_a_part_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"keep")
    part_of(tmp_path / "a.bin").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError), complete(tmp_path / "a.bin"):
        pass
    assert (tmp_path / "precious").read_bytes() == b"keep"


@pytest.mark.parametrize("after", [0, 5, 11])
@pytest.mark.parametrize("where", ["detector", "anonymizer"])
def test_a_model_that_fails_leaves_nothing(video: Make, tmp_path: Path, after: int, where: str) -> None:
    calls = [0]

    def failing(inner: Any) -> Any:
        def call(x: Any) -> Any:
            calls[0] += 1
            if calls[0] > after:
                raise RuntimeError("out of order")
            return inner(x)

        return call

    mask = anonymizers.create("mask")
    models = (
        Models(detector=failing(everything), anonymizer=mask)
        if where == "detector"
        else Models(detector=everything, anonymizer=failing(mask))
    )
    with pytest.raises(RuntimeError, match="out of order"):
        anonymize_video(video(), tmp_path / "out.mp4", settings=Settings(every=1), models=models)
    assert others(tmp_path) == []


def test_ctrl_c_leaves_nothing(video: Make, tmp_path: Path, mask_all: Models) -> None:
    def interrupt(done: int, _: int | None) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        anonymize_video(
            video(), tmp_path / "out.mp4", settings=Settings(every=1), models=mask_all, on_frame=interrupt
        )
    assert others(tmp_path) == []


class Full:
    """A disk with room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, content: bytes) -> int:
        self.room -= len(content)
        if self.room < 0:
            raise OSError(28, "No space left on device")
        return len(content)


@pytest.mark.parametrize("room", [0, 1000])
@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_a_full_disk_is_told(video: Make, mask_all: Models, room: int, suffix: str) -> None:
    with pytest.raises(OSError, match="No space left"), VideoReader(video()) as reader:
        sink: Any = Full(room)
        with VideoWriter(sink, CONTAINERS[suffix], reader) as writer:
            for picture in reader.pictures("yuv420p"):
                writer.write(picture)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_device_that_is_full_is_told(video: Make, mask_all: Models) -> None:
    with Path("/dev/full").open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        anonymize_video(video(), file, settings=Settings(every=1), models=mask_all)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_told(video: Make, tmp_path: Path, mask_all: Models) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(PermissionError):
        anonymize_video(video(), locked / "out.mp4", models=mask_all)


def test_an_output_below_a_file_is_told(video: Make, tmp_path: Path, mask_all: Models) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError):
        anonymize_video(video(), tmp_path / "file" / "out.mp4", models=mask_all)


@pytest.mark.slow
def test_a_killed_run_leaves_only_a_part_that_the_next_replaces(video: Make, tmp_path: Path) -> None:
    source, out = video(pts=range(60)), tmp_path / "out.mp4"
    command = [sys.executable, "-c", SLOW_RUN, str(source), str(out)]
    with subprocess.Popen([*command, "0.05"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while (line := process.stdout.readline()) and int(line) < 5:
            time.sleep(0)
        process.send_signal(signal.SIGKILL)
    assert others(tmp_path) == [".out.mp4.part"]
    subprocess.run([*command, "0"], check=True, stdout=subprocess.DEVNULL)
    assert others(tmp_path) == ["out.mp4"]
    assert len(frames_of(out)) == 60 and pixels(out).max() < 60

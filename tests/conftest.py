"""What every test shares: fixed seeds, one thread, and the folder of real data if there is one."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch

os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the repository (or at ANONLIB_SHARED); skips without it."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("ANONLIB_SHARED", default))
    if not (folder / "datasets").is_dir():
        pytest.skip(f"no real data: '{folder}/datasets' does not exist (set ANONLIB_SHARED)")
    return folder


ACTIONS = ("catch", "pour", "wave")
LENGTH, HEIGHT, WIDTH = 7, 48, 64


@pytest.fixture(scope="session")
def write_clip() -> Callable[..., None]:
    """Writes a video whose frame k is `level + 10 k` grey."""

    def write(path: Path, level: int, frames: int = LENGTH) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as video:
            stream = video.add_stream("mpeg4", rate=30)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.bit_rate = 4_000_000
            for k in range(frames):
                picture = np.full((HEIGHT, WIDTH, 3), level + 10 * k, np.uint8)
                video.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            video.mux(stream.encode())

    return write


def _boxes(clips: list[str], score: float | None) -> str:
    """A CSV of boxes that move by a pixel a frame; pixels and frames count from 1."""
    end = "" if score is None else f",{score}"
    rows = [
        f"{clip},x,{frame},{5 + frame},3,40,{HEIGHT}{end}" for clip in clips for frame in range(1, LENGTH + 1)
    ]
    return "\n".join([f"clip,class,frame,x1,y1,x2,y2{',score' if end else ''}", *rows]) + "\n"


@pytest.fixture
def small_jhmdb(tmp_path: Path, write_clip: Callable[..., None]) -> Path:
    """A JHMDB of three actions, drawn, in the official layout.

    Of each action clip A is for training and clip B for the test; seven frames of 48x64 pixels.
    """
    root = tmp_path / "jhmdb"
    (root / "splits").mkdir(parents=True)
    for number, action in enumerate(ACTIONS):
        for name in ("A", "B"):
            write_clip(root / "ReCompress_Videos" / action / f"{name}_{action}.avi", 40 * number)
        lines = f"A_{action}.avi 1\nB_{action}.avi 2\n"
        (root / "splits" / f"{action}_test_split1.txt").write_text(lines)
    (root / "boxes_train.csv").write_text(_boxes([f"A_{a}" for a in ACTIONS], 0.5))
    (root / "boxes_test.csv").write_text(_boxes([f"B_{a}" for a in ACTIONS], None))
    rows = [f"B_{a},{'train' if a == 'catch' else 'test'}" for a in ACTIONS]
    (root / "boxed_dev_split.csv").write_text("\n".join(["clip,part", *rows]) + "\n")
    return root

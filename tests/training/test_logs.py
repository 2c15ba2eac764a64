"""Losses and pictures that a training leaves on the disk."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from anonlib.config import TrainingConfig
from anonlib.training import logs, loop, train_adversarially
from anonlib.training.algorithm1 import Players
from anonlib.training.logs import Log, Pictures, before_and_after
from anonlib.types import ActionFrames, FaceImages

Maker = Callable[..., Players]


def rows(folder: Path) -> list[dict[str, float]]:
    with (folder / "losses.csv").open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    """What TensorBoard reads."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(folder), purge_orphaned_data=False)
    found.Reload()
    return [(event.step, event.value) for event in found.Scalars(name)]


def test_a_resumed_training_goes_on_with_its_log_and_doubles_no_row(
    make_players: Maker,
    faces: FaceImages,
    frames: ActionFrames,
    config: TrainingConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(loop, "SAVE_EVERY", 2)
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    config = replace(config, adversarial_steps=4, adversarial_lr_drop=1.0)

    def play(stop: int | None = None) -> loop.History:
        p, log = make_players(), Log(tmp_path / "logs")
        pictures = Pictures(tmp_path / "pictures", p.modifier, faces.images[:2], every=2, log=log)

        def look(step: int) -> None:
            pictures(step)
            if step == stop:
                raise KeyboardInterrupt

        return train_adversarially(
            p,
            faces,
            frames,
            config,
            seed=3,
            progress=False,
            checkpoint=tmp_path / "run.pt",
            report=log,
            look=look,
        )

    with pytest.raises(KeyboardInterrupt):
        play(stop=3)
    before = {path: path.read_bytes() for path in (tmp_path / "pictures").iterdir()}
    assert [row["step"] for row in rows(tmp_path / "logs")] == [0, 1, 2]  # 2 is not saved yet
    history = play()
    assert rows(tmp_path / "logs") == history
    assert [row["step"] for row in history] == [0, 1, 2, 3]
    expected = [(row["step"], pytest.approx(row["D clear"])) for row in history]
    assert scalars(tmp_path / "logs", "D_clear") == expected
    after = {path: path.read_bytes() for path in (tmp_path / "pictures").iterdir()}
    assert before == after and [p.name for p in sorted(after)] == ["faces-000000.png", "faces-000002.png"]


def test_without_tensorboard_the_csv_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logs, "find_spec", lambda name: None)
    log = Log(tmp_path)
    log({"step": 0, "a": 0.5})
    log({"step": 10, "a": 1e-9})
    assert (tmp_path / "losses.csv").read_text() == "step,a\n0,0.5\n10,1e-09\n"
    assert [p.name for p in tmp_path.iterdir()] == ["losses.csv"]


class Darker(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Any) -> Any:
        return x * self.factor


def test_pictures_show_faces_above_what_m_makes_of_them(tmp_path: Path):
    faces = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    faces[0, 0], faces[1, 1] = 200, 100
    pictures = Pictures(tmp_path, Darker(), faces, every=5)
    for step in range(7):
        pictures(step)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["faces-000000.png", "faces-000005.png"]
    found = np.asarray(Image.open(tmp_path / "faces-000005.png"))
    assert found.shape == (8, 8, 3)
    corners = [found[y, x].tolist() for y, x in ((0, 0), (0, 7), (7, 0), (7, 7))]
    assert corners == [[200, 0, 0], [0, 100, 0], [100, 0, 0], [0, 50, 0]]
    assert before_and_after(Darker(), faces.float() / 255).shape == (3, 8, 8)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from anonlib.cli import app
from anonlib.detection import Faces
from anonlib.video import recovering, settings as models_module
from anonlib.world.faces import synthetic_faces

PASSWORD = "gooseberry-7"
BOX = (60.0, 40.0, 140.0, 120.0)
"""The face in the picture; its region is 1.6 times as large."""


def call(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, args)])


@pytest.fixture(autouse=True)
def _known_face(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that finds the face, and the password in the environment."""

    def create(name: str, *, device: str, unsure: bool) -> Any:
        def detect(frames: torch.Tensor) -> list[Faces]:
            face = Faces(boxes=torch.tensor([BOX]), scores=torch.ones(1), landmarks=torch.zeros(1, 5, 2))
            return [face] * len(frames)

        return detect

    monkeypatch.setattr(models_module.detection, "create", create)
    monkeypatch.setenv("ANONLIB_PASSWORD", PASSWORD)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    face = synthetic_faces([2 * 10**9 + 7], images=1, size=128, seed=5).images[0]
    picture = np.full((180, 220, 3), 120, np.uint8)
    picture[16:144, 36:164] = face.movedim(0, 2).numpy()
    Image.fromarray(picture).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def error(photo: Path, other: Path) -> float:
    first, second = (np.array(Image.open(path).convert("RGB")).astype(float) for path in (photo, other))
    return float(np.abs(first - second)[16:144, 36:164].mean())


def test_the_password_restores_a_picture_and_stands_nowhere(photo: Path, monkeypatch: pytest.MonkeyPatch):
    folder = photo.parent
    options = ["--boxes", folder / "a.csv", "--report", folder / "r.json", "--review", folder / "r.html"]
    done = call("anonymize", photo, "--method", "fit", *options)
    assert done.exit_code == 0 and "(1 transformed)" in done.stderr
    hidden = folder / "a.anonymized.png"
    back = call("recover", hidden, "--boxes", folder / "a.csv")
    assert back.exit_code == 0 and "(1 recovered)" in back.stderr
    restored = error(photo, folder / "a.anonymized.recovered.png")
    monkeypatch.setenv("ANONLIB_PASSWORD", "another")
    wrong = call("recover", hidden, "--boxes", folder / "a.csv", "-o", folder / "wrong.png")
    assert wrong.exit_code == 0
    assert restored < 0.6 * error(photo, hidden) and restored < 0.6 * error(photo, folder / "wrong.png")
    written = b"".join(path.read_bytes() for path in folder.iterdir()) + (done.output + back.output).encode()
    assert PASSWORD.encode() not in written


def test_without_a_password_nothing_starts(photo: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ANONLIB_PASSWORD")
    monkeypatch.setattr(recovering.BoxesFile, "only", lambda boxes: None)
    for command in (["anonymize", photo, "--method", "fit"], ["recover", photo, "--boxes", "a.csv"]):
        result = call(*command)
        assert result.exit_code == 2 and "set the environment variable ANONLIB_PASSWORD" in result.stderr
    assert [path.name for path in photo.parent.iterdir()] == ["a.png"]


def test_what_cannot_be_recovered_is_refused_by_name(
    photo: Path, tmp_path: Path, write_clip: Callable[..., None]
):
    write_clip(tmp_path / "b.mp4", 50)
    (tmp_path / "c.txt").write_text("no picture")
    for name in ("b.mp4", "c.txt"):
        result = call("recover", tmp_path / name, "--boxes", "a.csv")
        assert result.exit_code == 2 and f"{name}' is no picture: only faces in pictures" in result.stderr
    result = call("recover", tmp_path / "no.png", "--boxes", "a.csv")
    assert result.exit_code == 2 and "is not there: check the name" in result.stderr
    result = call("recover", photo)
    assert result.exit_code == 2 and "a.png': recover needs --boxes FILE" in result.stderr
    result = call("recover", photo, "-o", photo, "--boxes", "a.csv")
    assert result.exit_code == 2 and "exists: give --overwrite" in result.stderr
    result = call("recover", photo, "--boxes", tmp_path / "no.csv")
    assert result.exit_code == 2 and "give a file of one input" in result.stderr

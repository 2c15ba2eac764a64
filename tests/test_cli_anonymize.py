from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from anonlib.cli import app
from anonlib.detection import Faces
from anonlib.errors import CheckpointError, ConfigError
from anonlib.video import settings as models_module


def call(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["anonymize", *map(str, args)])


@pytest.fixture(autouse=True)
def _whole_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that loads at once: the whole frame is a face."""
    import torch

    def create(name: str, *, device: str, unsure: bool) -> Any:
        def detect(frames: torch.Tensor) -> list[Faces]:
            height, width = frames.shape[2:]
            return [
                Faces(
                    boxes=torch.tensor([[0.0, 0, width, height]]),
                    scores=torch.ones(1),
                    landmarks=torch.zeros(1, 5, 2),
                )
            ] * len(frames)

        return detect

    monkeypatch.setattr(models_module.detection, "create", create)


@pytest.fixture
def photo(tmp_path: Path) -> Iterator[Path]:
    Image.fromarray(np.full((16, 24, 3), 200, np.uint8)).save(tmp_path / "a.png")
    yield tmp_path / "a.png"


def test_a_picture_is_written_beside_its_input(photo: Path) -> None:
    result = call(photo, "--method", "mask", "--device", "cpu")
    assert result.exit_code == 0, result.output
    out = photo.with_name("a.anonymized.png")
    assert result.stderr == f"{photo} -> {out}: 1 face in 1 frame\n"
    with Image.open(out) as image:
        assert np.array(image).max() == 0


def test_options_reach_the_report(photo: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    result = call(
        photo,
        "-o",
        tmp_path / "o.png",
        "--method",
        "blur8",
        "--detector",
        "mtcnn",
        "--every",
        3,
        "--mask-scale",
        2,
        "--hold",
        "--keep-metadata",
        "--no-audio",
        "--report",
        report,
    )
    assert result.exit_code == 0, result.output
    settings = json.loads(report.read_text())["settings"]
    assert settings == {
        "method": "blur8",
        "weights": None,
        "detector": "mtcnn",
        "device": "auto",
        "every": 3,
        "enlarge": 2,
        "extent": None,
        "seed": None,
        "recover": False,
        "strength": None,
        "hold": True,
        "audio": False,
        "keep_metadata": True,
        "overwrite": False,
        "preview": False,
        "keep": [],
    }


def test_a_bad_file_ends_in_exit_code_1_and_the_rest_is_done(photo: Path) -> None:
    (photo.parent / "b.mp4").write_bytes(b"")
    result = call(photo.parent, "--method", "mask", "-o", photo.parent / "out")
    assert result.exit_code == 1
    assert "b.mp4' is empty: fetch it again or delete it" in result.stderr
    assert result.stderr.splitlines()[-1] == "1 done, 1 failed"
    assert (photo.parent / "out" / "a.png").is_file()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["missing.mp4"], "'missing.mp4' is not there: check the name"),
        (["a.png", "--method", "magic"], "anonymizer 'magic' is unknown"),
        (["a.png", "--method", "unanonymized"], "hides nobody"),
        (["a.png", "--method", "modifier"], "anonymizer 'modifier' needs --weights FILE"),
        (["a.png", "--weights", "a.png"], "weights 'a.png' are for method 'modifier', 'ciagan'"),
        (["a.png", "--method", "mask", "--weights", "a.png"], "are for method 'modifier', 'ciagan'"),
        (["a.png", "--method", "modifier", "--weights", "a.png"], "weights a.png are missing or damaged"),
        (["a.png", "--method", "modifier", "--weights", "no"], "weights no are missing or damaged"),
        (
            ["a.png", "--method", "live", "--strength", "0.3"],
            "strength 0.3: use one of 0, 0.25, 0.5, 0.75, 1",
        ),
        (["a.png", "--method", "live", "--strength", "0"], "strength 0 hides nobody"),
        (["a.png", "-o", "a.png"], "is an input itself"),
        (["a.png", "-o", "a.avi", "--method", "mask"], "pictures are written as .jpg"),
    ],
)
def test_mistakes_are_one_line(
    photo: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    monkeypatch.chdir(photo.parent)
    result = call(*args)
    assert result.exit_code == 2 and message in result.stderr
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("error: ")


def test_every_refused_input_is_named_and_nothing_is_written(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two clear pictures whose outputs would replace them; formerly dropped without a word."""
    monkeypatch.chdir(photo.parent)
    Image.new("RGB", (16, 16)).save("b.png")
    result = call("a.png", "b.png", "missing.mp4", "-o", ".", "--method", "mask")
    assert result.exit_code == 2 and result.stdout == ""
    assert [line.split("'")[:2] for line in result.stderr.splitlines()] == [
        ["error: ", "missing.mp4"],
        ["error: ", "a.png"],
        ["error: ", "b.png"],
    ]
    assert sorted(path.name for path in photo.parent.iterdir()) == ["a.png", "b.png"]


def test_the_modifier_that_a_reader_trained_hides_faces(photo: Path, tmp_path: Path) -> None:
    from anonlib.config import ModifierConfig, to_dict
    from anonlib.networks import Modifier
    from anonlib.training.checkpoints import save_weights

    config = ModifierConfig(size=16, width=4, blocks=1)
    save_weights(tmp_path / "m.safetensors", Modifier(config), config=to_dict(config))
    report = tmp_path / "r.json"
    result = call(photo, "--method", "modifier", "--weights", tmp_path / "m.safetensors", "--report", report)
    assert result.exit_code == 0, result.output
    written = json.loads(report.read_text())
    assert written["settings"]["weights"] == str(tmp_path / "m.safetensors")
    assert "m.safetensors" in written["weights_sha256"]
    with Image.open(photo) as clear, Image.open(photo.with_name("a.anonymized.png")) as hidden:
        assert not np.array_equal(np.array(clear), np.array(hidden))


def test_a_modifier_that_reads_the_state_hides_faces_in_pictures_and_videos(
    photo: Path, tmp_path: Path, write_clip: Callable[..., None]
) -> None:
    from anonlib.config import ModifierConfig, to_dict
    from anonlib.networks import StateModifier
    from anonlib.training.checkpoints import save_weights

    config = ModifierConfig(size=32, width=4, blocks=1, reads="state")
    save_weights(tmp_path / "m.safetensors", StateModifier(config), config=to_dict(config))
    write_clip(tmp_path / "b.mp4", 60, frames=3)
    report = tmp_path / "r.json"
    options = ("--method", "modifier", "--weights", tmp_path / "m.safetensors", "--report", report)
    result = call(photo, tmp_path / "b.mp4", "-o", tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    assert [file["ways"] for file in json.loads(report.read_text())["files"]] == [
        {"redrawn": 1},
        {"redrawn": 3},
    ]
    with Image.open(tmp_path / "out" / "a.png") as hidden:
        assert np.array(hidden).shape == (16, 24, 3) and np.array(hidden).std() > 1


def test_a_stream_takes_weights_for_the_modifier_only(tmp_path: Path) -> None:
    from anonlib.video import anonymize_stream

    weights = tmp_path / "m.safetensors"
    with pytest.raises(CheckpointError, match=r"m\.safetensors are missing"):
        anonymize_stream([], method="modifier", weights=weights)
    for method in ("mask", lambda faces: faces):
        with pytest.raises(ConfigError, match="method 'modifier'"):
            anonymize_stream([], method=method, weights=weights)


def test_ctrl_c_is_130(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("anonlib.video.jobs.anonymize_image", interrupt)
    result = call(photo, "--method", "mask")
    assert result.exit_code == 130 and "the same command resumes" in result.stderr


def test_stdin_that_is_no_video_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(b"words" * 100)

    monkeypatch.setattr(
        "anonlib.video.opening.sys", type("S", (), {"stdin": Stdin, "platform": sys.platform})
    )
    result = call("-", "-o", "-", "--method", "mask")
    assert result.exit_code == 1 and "stdin holds no video" in result.stderr

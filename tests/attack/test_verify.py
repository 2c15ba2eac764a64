"""LFW in small: three folds of two people, each picture of a colour, and a face in its middle."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner, Result

from anonlib import assets as paths
from anonlib.attack import framing, recognizers, retrained, verify as verify_module
from anonlib.attack.framing import crop_before_and_after
from anonlib.attack.retrained import modified_people
from anonlib.attack.verify import (
    Request,
    balanced,
    command,
    compare,
    named_anonymizer,
    parse_folds,
    verify_method,
    write_record,
)
from anonlib.cli import app
from anonlib.config import ClassifierConfig, ModifierConfig, to_dict
from anonlib.data.lfw import LfwPair, lfw_pairs
from anonlib.detection import Faces
from anonlib.errors import ConfigError, FaceDatasetError
from anonlib.files import commit, hardware
from anonlib.geometry import CANONICAL_LANDMARKS
from anonlib.metrics.verification import Pairs
from anonlib.networks import Modifier, SphereFace
from anonlib.networks.dlib_resnet import DlibResNet
from anonlib.training.checkpoints import save_weights
from anonlib.types import FaceImages

PEOPLE = ("Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal")
PAIRS = "3\t2\n" + "".join(
    f"{a}\t1\t2\n{b}\t1\t2\n{a}\t1\t{b}\t1\n{a}\t2\t{b}\t2\n"
    for a, b in (("Ann", "Bob"), ("Cleo", "Dan"), ("Eve", "Finn"))
)


def find(frames: Tensor) -> list[Faces]:
    """A face in the middle of everything but black."""
    box = torch.tensor([[10.0, 10.0, 30.0, 30.0]])
    points = 10 + 20 * CANONICAL_LANDMARKS[None]
    one = Faces(boxes=box, scores=torch.ones(1), landmarks=points)
    return [one if frame.any() else one.above(2.0) for frame in frames]


def colours(faces: FaceImages) -> np.ndarray:
    """Recognises people by the colour in the middle, less grey."""
    middle = faces.images[:, :, 96, 96].double().numpy() - 128 + 1e-3
    unit: np.ndarray = middle / np.linalg.norm(middle, axis=1, keepdims=True)
    return unit


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANONLIB_CACHE", str(tmp_path / "cache"))
    for n, name in enumerate(PEOPLE):
        folder = tmp_path / "lfw" / name
        folder.mkdir(parents=True)
        hue = 2 * np.pi * n / len(PEOPLE) + np.array([0, 2.1, 4.2])
        for k in (1, 2):
            colour = (128 + (90 + 20 * k) * np.cos(hue)).clip(0, 255).astype(int).tolist()
            Image.new("RGB", (40, 40), tuple(colour)).save(folder / f"{name}_{k:04d}.png")
    (tmp_path / "lfw" / "pairs.txt").write_text(PAIRS)
    return tmp_path / "lfw"


@pytest.fixture
def by_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognizers, "create", lambda name, device: colours)
    monkeypatch.setattr(framing, "MtcnnDetector", lambda device: find)


@pytest.mark.usefixtures("by_colour")
def test_people_are_recognised_until_a_mask_hides_them(root: Path) -> None:
    found = verify_method(root, Request(method="mask", folds=(1, 2, 3)), progress=False)
    rows = {row.faces: row for row in found.comparisons}
    assert list(rows) == ["original", "modified", "modified_original"]
    assert (rows["original"].accuracy, rows["original"].eer, rows["original"].tar) == (1, 0, 1)
    assert (rows["modified"].accuracy, rows["modified"].eer, rows["modified"].tar) == (0.5, 0.5, 0)
    assert rows["modified"].within == rows["modified"].between == 1  # all alike
    assert rows["original"].within > 0.9 > rows["original"].between
    assert (found.pairs, found.left_out, found.pictures, found.found_again) == (12, 0, 12, 1)


@pytest.mark.usefixtures("by_colour")
def test_pairs_without_a_face_are_left_out_and_counted(root: Path) -> None:
    Image.new("RGB", (40, 40)).save(root / "Bob" / "Bob_0002.png")
    found = verify_method(root, Request(method="mask", folds=(1, 2, 3)), progress=False)
    assert (found.pairs, found.left_out, found.pictures) == (10, 2, 11)


def test_intervals_of_a_comparison_hold_its_figures() -> None:
    rng = np.random.default_rng(0)
    same = np.tile([True, False], 150)
    pairs = Pairs(first=np.arange(300), second=np.arange(300), same=same, fold=np.arange(300) // 60)
    row = compare("original", rng.normal(size=300) + same, pairs)
    for name in ("accuracy", "eer", "tar"):
        low, value, high = (getattr(row, name + end) for end in ("_lo", "", "_hi"))
        assert 0 <= low < value < high <= 1
    assert row.within - row.between == pytest.approx(1, abs=0.3)


def test_a_limit_takes_evenly_from_every_fold_and_kind() -> None:
    pairs = [
        LfwPair(("a", k), ("a" if same else "b", 99), fold)
        for fold in (6, 7)
        for same in (True, False)
        for k in range(10)
    ]
    few = balanced(pairs, 9)
    assert [(p.fold, p.same, p.first[1]) for p in few] == [
        (fold, same, k) for fold in (6, 7) for same in (True, False) for k in (0, 5)
    ]
    assert balanced(pairs, None) == balanced(pairs, 1000) == pairs


@pytest.mark.parametrize("text", ["0-3", "a-b", "", "10-6", "9-11", "1,,2", "-3", "1-2-3", "6 10"])
def test_folds_that_are_none_are_named(text: str) -> None:
    with pytest.raises(ConfigError, match=f"folds '{text}': give numbers from 1 to 10, as 6-10"):
        parse_folds(text)


def test_folds_may_be_mixed_and_repeated() -> None:
    assert parse_folds("9,1-3,2") == (1, 2, 3, 9)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"folds": (7,)}, r"folds \(7,\): give two or more, as 6-10"),
        ({"limit": 5}, "limit 5: 3 folds need 6 pairs or more"),
        ({"recognizer": "eye"}, "recognizer 'eye' is unknown"),
        ({"framing": "box"}, "framing 'box' is unknown"),
        ({"retrain": -1}, "retrain -1: use a number of steps"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(field: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Request(**{"method": "mask", "folds": (6, 7, 8), **field})  # type: ignore[arg-type]


def test_the_attacker_trains_on_nobody_of_the_test(root: Path) -> None:
    crop = partial(crop_before_and_after, framing="frame", detector=find, progress=False)
    faces = modified_people(root, partial(crop, anonymizer=lambda x: x * 0.5), (1, 2))
    assert faces.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]  # Eve, Finn, Gus and Hal
    eve = np.asarray(Image.open(root / "Eve" / "Eve_0001.png"))[20, 20]
    np.testing.assert_allclose(faces.images[0, :, 96, 96].numpy(), eve / 2, atol=1)
    left = modified_people(root, partial(crop, anonymizer=lambda x: x), (1, 2, 3))
    assert len(left) == 4


def test_an_attacker_with_nobody_to_train_on_is_named(root: Path) -> None:
    for name in ("Gus", "Hal"):
        (root / name / f"{name}_0002.png").unlink()
    with pytest.raises(FaceDatasetError, match="nobody is left to retrain D on"):
        crop = partial(crop_before_and_after, anonymizer=lambda x: x, framing="frame", detector=find)
        modified_people(root, crop, (1, 2, 3))


@pytest.fixture
def small_d(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small random D in the place of the one that ships."""
    config = ClassifierConfig(size=(16, 16), depth=4, width=4, features=8)
    path = tmp_path / "data" / "weights" / "recognizer.safetensors"
    save_weights(path, SphereFace(config, people=3), config=to_dict(config))
    monkeypatch.setenv("ANONLIB_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(framing, "MtcnnDetector", lambda device: find)
    return path


@pytest.mark.parametrize("framing_name", ["frame", "crop"])
@pytest.mark.parametrize("recognizer", ["sphereface", "dlib"])
def test_every_network_runs_on_the_chosen_device(
    root: Path, monkeypatch: pytest.MonkeyPatch, framing_name: str, recognizer: str
) -> None:
    devices: dict[str, str] = {}

    def watch(module: object, name: str, stand_in: Callable[..., object]) -> None:
        def called(*args: object, device: str = "cpu", **kwargs: object) -> object:
            devices[name] = device
            return stand_in(*args, device=device, **kwargs)

        monkeypatch.setattr(module, name, called)

    class Landmarks:
        def __init__(self, *, device: str) -> None:
            pass

        def __call__(self, pictures: Sequence[Tensor]) -> list[Tensor]:
            return [10 + 20 * CANONICAL_LANDMARKS for _ in pictures]

    class Dlib(DlibResNet):
        """Moves to the chosen device by name only, as a GPU is not everywhere."""

        def __init__(self, path: Path) -> None:
            torch.nn.Module.__init__(self)
            self.mean = torch.zeros(3)

        def to(self, device: str) -> Dlib:
            devices["dlib"] = device
            return self

        def forward(self, chips: Tensor) -> Tensor:
            return chips.flatten(1)[:, :128] - 0.5

    d = SphereFace(ClassifierConfig(size=(16, 16), depth=4, width=4, features=8), people=3)
    watch(framing, "MtcnnDetector", lambda device: find)
    watch(framing, "MtcnnLandmarks", Landmarks)
    watch(recognizers, "recognizing_classifier", lambda device: d)
    watch(retrained, "recognizing_classifier", lambda device: d)
    watch(verify_module, "trained_modifier", lambda profile, device: lambda faces: faces)
    watch(verify_module, "create", lambda name, weights, device, seed: lambda faces: faces * 0.5)
    monkeypatch.setattr(recognizers, "DlibResNet", Dlib)
    monkeypatch.setattr(recognizers, "model_file", lambda name: Path("none"))
    request = Request(method="modifier-photo", folds=(1, 2), framing=framing_name, recognizer=recognizer)
    verify_method(root, request, device="meta", progress=False)
    expected = {"MtcnnDetector", "create", "dlib" if recognizer == "dlib" else "recognizing_classifier"}
    assert set(devices) == expected | ({"MtcnnLandmarks"} if framing_name == "crop" else set())
    assert set(devices.values()) == {"meta"}


def test_m_that_the_reader_trained_is_verified_and_recorded(
    root: Path, small_d: Path, tmp_path: Path
) -> None:
    config, path, out = (
        ModifierConfig(size=16, width=4, blocks=1),
        tmp_path / "mine.safetensors",
        tmp_path / "r",
    )
    save_weights(path, Modifier(config), config=to_dict(config))
    request = Request(method="modifier", weights=path, folds=(1, 2, 3))
    found = verify_method(root, request, progress=False)
    write_record(out, root, request, found, device="cpu", seconds=1.0)
    record = json.loads(out.read_text())
    assert "--method modifier" in record["command"] and "--weights mine.safetensors" in record["command"]
    assert record["models"]["method"] == {
        "file": "mine.safetensors",
        "sha256": sha256(path.read_bytes()).hexdigest(),
    }
    assert record["weights"] == "mine.safetensors" and str(tmp_path) not in out.read_text()


def call(*args: str) -> Result:
    return CliRunner().invoke(app, ["verify", *args])


def test_the_command_prints_a_table_and_writes_a_record(root: Path, small_d: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "verify.json"
    result = call(
        "--root",
        str(root),
        "--method",
        "blur8",
        "--folds",
        "1-3",
        "--limit",
        "6",
        "--retrain",
        "2",
        "--json",
        str(out),
        "--device",
        "cpu",
    )
    assert result.exit_code == 0, result.output
    assert "by sphereface on 6 pairs of LFW, method blur8" in result.output
    rows = [line.split("  ")[0] for line in result.output.splitlines()]
    for name in ("original", "modified", "modified original", "modified retrained"):
        assert name in rows
    assert "Faces detected again after modification: 100.0% of" in result.output
    record = json.loads(out.read_text())
    assert record["command"] == (
        "anonlib verify --root lfw --method blur8 --folds 1-3 --recognizer sphereface "
        "--framing frame --seed 0 --limit 6 --retrain 2"
    )
    assert record["models"]["recognizer"]["sha256"] == sha256(small_d.read_bytes()).hexdigest()
    assert "method" not in record["models"] and record["folds"] == [1, 2, 3]
    assert len(record["comparisons"]) == 4 and record["versions"]["torch"] in torch.__version__
    assert (record["hardware"], record["commit"]) == (hardware("cpu"), commit())
    assert str(tmp_path) not in out.read_text()
    assert not any(name in out.read_text() for name in PEOPLE)


def test_the_same_request_gives_the_same_numbers(root: Path, small_d: Path) -> None:
    request = Request(method="blur16", folds=(1, 2, 3), retrain=2, seed=3)
    assert verify_method(root, request, progress=False) == verify_method(root, request, progress=False)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--method", "blurr"], "error: anonymizer 'blurr' is unknown"),
        (["--method", "mask", "--folds", "4-6"], "has folds 1 to 3, not [4, 5, 6]"),
        (["--method", "mask", "--folds", "0-3"], "error: folds '0-3'"),
    ],
)
def test_mistakes_take_one_line(root: Path, small_d: Path, args: list[str], message: str) -> None:
    result = call("--root", str(root), *args)
    assert result.exit_code == 2 and message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_missing_root_list_or_d_is_named(
    root: Path, small_d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = call("--root", str(tmp_path / "x"), "--method", "mask")
    assert missing.exit_code == 2 and "is no folder: check the path" in missing.stderr
    (root / "pairs.txt").unlink()
    assert "has no pairs.txt: fetch" in call("--root", str(root), "--method", "mask").stderr
    small_d.unlink()
    monkeypatch.setattr(paths, "_PLACES", ())  # nor in the repository
    assert "recognizer.safetensors' is not in" in (call("--root", str(root), "--method", "mask").stderr)


def test_a_root_is_recorded_by_its_name_alone() -> None:
    text = command(Path("/home/ann/lfw"), Request(method="mask", folds=(1, 3)))
    assert "--root lfw --method mask --folds 1,3 " in text and "ann" not in text


def test_the_shipped_modifier_is_an_anonymizer() -> None:
    faces = torch.rand(1, 3, 70, 50)
    assert named_anonymizer("modifier")(faces).shape == faces.shape


@pytest.mark.slow
def test_real_people_are_recognised_by_dlib_until_they_are_masked(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dlib")
    monkeypatch.setenv("ANONLIB_CACHE", str(tmp_path))
    root = shared / "datasets" / "lfw"
    assert len(balanced(lfw_pairs(root, (1, 2)), 20)) == 20
    found = verify_method(
        root, Request(method="mask", folds=(1, 2), recognizer="dlib", limit=20), progress=False
    )
    original, modified, _ = found.comparisons
    assert original.accuracy >= 0.9 and modified.accuracy <= 0.7
    assert found.found_again <= 0.2

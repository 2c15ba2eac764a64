from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import nn
from torchvision.models import WeightsEnum, resnet18

from anonlib.assets import shipped_weights
from anonlib.config import ClassifierConfig, DetectorConfig, ModifierConfig, Profile, TrainingConfig, to_dict
from anonlib.errors import ConfigError
from anonlib.networks import ActionDetector, Modifier, SphereFace
from anonlib.training.checkpoints import save_weights
from anonlib.training.start import (
    modifier_weights,
    starting_classifier,
    starting_detector,
    starting_modifier,
    trained_classifier,
    trained_modifier,
)
from anonlib.types import ActionFrames, FaceImages

TINY = Profile(
    name="tiny",
    modifier=ModifierConfig(size=16, width=4, blocks=1),
    classifier=ClassifierConfig(size=(16, 16), depth=4, width=4, features=8),
    detector=DetectorConfig(backbone="small", frame=(48, 64), width=4),
    training=TrainingConfig(faces=2, frames=2, classifier_steps=1, pretrain_steps=1),
)
OTHER = replace(
    TINY,
    modifier=replace(TINY.modifier, width=8),
    classifier=replace(TINY.classifier, width=8),
    detector=replace(TINY.detector, width=8),
)


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, nn.Module]:
    """A data folder with weights of the tiny networks, its D knowing six people."""
    torch.manual_seed(77)
    networks = {
        "M-start": Modifier(TINY.modifier),
        "D-start": SphereFace(TINY.classifier, people=6),
        "A-start": ActionDetector(TINY.detector),
    }
    for name, network in networks.items():
        save_weights(tmp_path / "weights" / f"{name}.safetensors", network, config=to_dict(network.config))
    monkeypatch.setenv("ANONLIB_DATA", str(tmp_path))
    return networks


def equal(network: nn.Module, other: nn.Module, *, but: str = "-") -> bool:
    own = other.state_dict()
    return all(torch.equal(v, own[k]) for k, v in network.state_dict().items() if k != but)


def classifier(profile: Profile, faces: FaceImages, **options: Any) -> SphereFace:
    given = {"seed": 0, "synthetic": True, "checkpoint": None, "progress": False, **options}
    return starting_classifier(profile, faces, **given)


def test_shipped_weights_fit_one_config_only():
    assert shipped_weights("M-start", TINY.modifier) is not None
    assert shipped_weights("M-start", OTHER.modifier) is None
    assert shipped_weights("portrait", TINY.modifier) is None


def test_people_whom_the_shipped_classifier_knows_need_no_training(
    faces: FaceImages, shipped: dict[str, nn.Module]
):
    d = classifier(TINY, faces)
    assert equal(d, shipped["D-start"], but="identities")
    assert torch.equal(d.identities, shipped["D-start"].identities[:4])


def test_more_people_than_it_knows_are_learned(faces: FaceImages, shipped: dict[str, nn.Module]):
    d = classifier(TINY, replace(faces, labels=faces.labels * 3))  # 0 to 9
    assert d.identities.shape == (10, 8)
    assert not equal(d, shipped["D-start"], but="identities")
    near = (d.identities[:6] - shipped["D-start"].identities).abs().max()
    assert near < 1e-2  # one step of Adam away from what it knew


def test_real_people_get_identities_of_their_own_over_the_shipped_layers(
    faces: FaceImages, shipped: dict[str, nn.Module]
):
    untrained = replace(TINY, training=replace(TINY.training, classifier_steps=0))
    d = classifier(untrained, faces, synthetic=False)
    assert equal(d, shipped["D-start"], but="identities")
    known = shipped["D-start"].identities
    assert torch.cdist(d.identities, known).min() > 0.1
    trained = classifier(TINY, faces, synthetic=False)
    assert not equal(trained, d)


def test_without_weights_the_classifier_is_trained_from_the_seed(faces: FaceImages):
    a, again, b = (classifier(OTHER, faces, seed=seed) for seed in (1, 1, 2))
    assert equal(a, again) and not equal(a, b)
    torch.manual_seed(1)
    assert not equal(a, SphereFace(OTHER.classifier, people=4))


def test_modifier_and_detector_start_from_shipped_weights(
    frames: ActionFrames, shipped: dict[str, nn.Module]
):
    assert equal(starting_modifier(TINY, seed=0), shipped["M-start"])
    a = starting_detector(TINY, frames, seed=0, checkpoint=None, progress=False)
    assert equal(a, shipped["A-start"])


def test_without_weights_the_modifier_is_random_and_the_detector_trained(frames: ActionFrames):
    torch.manual_seed(3)
    random = Modifier(OTHER.modifier)
    assert equal(starting_modifier(OTHER, seed=3), random)
    torch.manual_seed(3)
    fresh = ActionDetector(OTHER.detector)
    untrained = replace(OTHER, training=replace(OTHER.training, pretrain_steps=0))
    options: dict[str, Any] = {"seed": 3, "checkpoint": None, "progress": False}
    assert equal(starting_detector(untrained, frames, **options), fresh)
    assert not equal(starting_detector(OTHER, frames, **options), fresh)


def test_m_starts_as_it_is_asked_to(shipped: dict[str, nn.Module], tmp_path: Path):
    assert equal(starting_modifier(TINY, seed=0, start="identity"), shipped["M-start"])
    torch.manual_seed(5)
    random, redraw = Modifier(TINY.modifier), Modifier(TINY.modifier)
    assert equal(starting_modifier(TINY, seed=5, start="random"), random)
    path = tmp_path / "weights" / "M-redraw-start.safetensors"
    save_weights(path, redraw, config=to_dict(TINY.modifier))
    assert equal(starting_modifier(TINY, seed=0, start="redraw"), redraw)


@pytest.mark.parametrize(
    ("start", "profile", "message"),
    [
        ("redraw", TINY, "--start redraw: no weights M-redraw-start ship for the M of profile 'tiny'"),
        ("identity", OTHER, "--start identity: no weights M-start ship for the M of profile 'tiny'"),
        (
            "identity",
            replace(TINY, modifier=replace(TINY.modifier, size=32, reads="state")),
            "no weights M-start ship",
        ),
        ("asleep", TINY, "start 'asleep' is unknown: use identity, redraw or random"),
    ],
)
def test_a_start_that_there_is_not_is_refused(start: str, profile: Profile, message: str):
    with pytest.raises(ConfigError, match=message):
        starting_modifier(profile, seed=0, start=start)


def test_an_m_that_reads_the_state_starts_from_weights_of_its_own(tmp_path: Path):
    config = replace(TINY.modifier, size=32, reads="state")
    state = replace(TINY, modifier=config)
    assert modifier_weights(state) is None
    save_weights(tmp_path / "weights" / "M-state-start.safetensors", Modifier(config), config=to_dict(config))
    assert modifier_weights(state) is not None
    with pytest.raises(ConfigError, match="no weights M-start"):  # it does not return the face it is given
        modifier_weights(state, "identity")


def test_training_of_the_start_is_resumed(faces: FaceImages, tmp_path: Path):
    path = tmp_path / "d.pt"
    first = classifier(OTHER, faces, checkpoint=path)
    faces.images.zero_()  # would train to something else
    assert equal(classifier(OTHER, faces, checkpoint=path), first)


def test_the_anonymizer_and_its_opponent_are_loaded_whole(tmp_path: Path) -> None:
    modifier, opponent = Modifier(TINY.modifier), SphereFace(TINY.classifier, people=5)
    networks = {"M-state-trained": modifier, "D-state-trained": opponent}
    for name, network in networks.items():
        path = tmp_path / "weights" / f"{name}.safetensors"
        save_weights(path, network, config=to_dict(network.config))
    found = {"M-state-trained": trained_modifier(TINY), "D-state-trained": trained_classifier(TINY)}
    for name, loaded in found.items():
        expected = networks[name].state_dict()
        assert not loaded.training
        for key, value in loaded.state_dict().items():
            torch.testing.assert_close(value, expected[key])


def test_no_anonymizer_of_another_shape_ships() -> None:
    with pytest.raises(ConfigError, match="no weights M-state-trained ship for a network of this shape"):
        trained_modifier(TINY)


RESNET = replace(
    OTHER,
    detector=DetectorConfig(backbone="resnet18", frame=(64, 64), classes=3),
    training=replace(OTHER.training, pretrain_steps=0, pretrained="imagenet"),
)


def test_imagenet_weights_are_taken_checked_and_never_executed(
    frames: ActionFrames, monkeypatch: pytest.MonkeyPatch
):
    asked: dict[str, Any] = {}
    offered = resnet18().state_dict()

    def fetch(self: Any, **options: Any) -> dict[str, torch.Tensor]:
        asked.update(options, name=str(self))
        return offered

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fetch)
    detector = starting_detector(RESNET, frames, seed=0, checkpoint=None, progress=False)
    assert asked == {"check_hash": True, "weights_only": True, "name": "ResNet18_Weights.IMAGENET1K_V1"}
    body = detector.network.backbone.body.state_dict()
    assert torch.equal(body["layer4.1.conv2.weight"], offered["layer4.1.conv2.weight"])


def test_imagenet_weights_that_cannot_be_had_are_told(frames: ActionFrames, monkeypatch: pytest.MonkeyPatch):
    def unreachable(self: Any, **options: Any) -> None:
        raise URLError("no route")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", unreachable)
    with pytest.raises(ConfigError, match=r"resnet18.*pth cannot be downloaded .*put the file into"):
        starting_detector(RESNET, frames, seed=0, checkpoint=None, progress=False)

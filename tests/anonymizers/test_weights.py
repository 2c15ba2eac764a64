from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anonlib import assets as paths
from anonlib.anonymizers import create
from anonlib.anonymizers.learned import load_modifier
from anonlib.assets import data_path
from anonlib.config import ClassifierConfig, ModifierConfig, to_dict
from anonlib.errors import CheckpointError, ConfigError, FaceDatasetError
from anonlib.networks import Modifier, SphereFace, StateModifier
from anonlib.training.checkpoints import save_weights

TINY = ModifierConfig(size=32, width=4, blocks=1)
NAME = "modifier-photo"


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the shipped weights are looked for; nothing is there yet."""
    monkeypatch.setenv("ANONLIB_DATA", str(tmp_path))
    monkeypatch.setattr(paths, "_PLACES", ())
    return tmp_path / "weights" / "M-photo-start.safetensors"


def test_weights_come_back_in_float_whatever_they_were_saved_in(weights: Path):
    network = Modifier(TINY).half()
    save_weights(weights, network, config=to_dict(TINY))
    found = load_modifier()
    assert found.config == TINY and not found.training
    for name, value in network.state_dict().items():
        assert torch.equal(found.state_dict()[name], value.float()), name


def test_faces_of_any_size_are_modified_as_by_the_network(weights: Path):
    network = Modifier(TINY).eval()
    save_weights(weights, network, config=to_dict(TINY))
    hide, faces = create(NAME), torch.rand(3, 3, 32, 32)
    with torch.no_grad():  # in bfloat16 where the processor has it
        torch.testing.assert_close(hide(faces), network(faces), atol=0.05, rtol=0)
    assert hide(torch.rand(1, 3, 40, 28)).shape == (1, 3, 40, 28)
    assert hide(torch.rand(0, 3, 16, 16)).shape == (0, 3, 16, 16)


def test_missing_weights_are_named(weights: Path):
    with pytest.raises(FaceDatasetError, match=r"weights/M-photo-start\.safetensors"):
        create(NAME)


def test_damaged_weights_are_named(weights: Path):
    weights.parent.mkdir()
    weights.write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match=r"M-photo-start\.safetensors are missing or damaged"):
        create(NAME)


@pytest.mark.parametrize("config", [{**to_dict(TINY), "blocks": 2}, {"sides": 32}])
def test_weights_of_another_network_are_named(weights: Path, config: dict[str, int]):
    save_weights(weights, Modifier(TINY), config=config)
    with pytest.raises(CheckpointError, match=r"M-photo-start\.safetensors do not fit"):
        create(NAME)


def test_the_shipped_weights_are_there_and_small():
    path = data_path("weights", "M-photo-start.safetensors")
    assert path.stat().st_size <= 8_000_000 and isinstance(load_modifier(), StateModifier)
    out = load_modifier()(torch.rand(1, 3, 128, 128))
    assert out.shape == (1, 3, 128, 128) and torch.isfinite(out).all()


def test_a_modifier_that_the_reader_trained_is_read_with_its_config(tmp_path: Path):
    network, path = Modifier(TINY), tmp_path / "modifier.safetensors"
    save_weights(path, network, config=to_dict(network.config))
    hide, size = create("modifier", weights=path), network.config.size
    faces = torch.rand(2, 3, size, size)
    assert hide.size == size
    with torch.no_grad():  # in bfloat16 where the processor has it
        torch.testing.assert_close(hide(faces), network.eval()(faces), atol=0.05, rtol=0)


def test_weights_of_a_classifier_are_refused_with_the_file_to_use(tmp_path: Path):
    path, config = tmp_path / "modifier-classifier.safetensors", ClassifierConfig(size=(16, 16), depth=4)
    save_weights(path, SphereFace(config, people=2), config=to_dict(config))
    with pytest.raises(CheckpointError, match=rf"{path} do not fit.* use weights/modifier\.safetensors in"):
        create("modifier", weights=path)


def test_weights_that_are_missing_are_refused_by_name(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"none\.safetensors are missing or damaged.*train it again"):
        create("modifier", weights=tmp_path / "none.safetensors")


@pytest.mark.parametrize("name", ["mask", NAME])
def test_weights_for_another_method_are_refused(tmp_path: Path, name: str):
    with pytest.raises(ConfigError, match=r"weights '.*' are for method 'modifier', 'ciagan'"):
        create(name, weights=tmp_path / "modifier.safetensors")


def test_two_modifiers_at_once_are_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="alone, without another M"):
        create("modifier", Modifier(TINY), weights=tmp_path / "modifier.safetensors")

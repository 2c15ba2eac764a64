from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anonlib import assets as paths
from anonlib.anonymizers import create
from anonlib.anonymizers.learned import lite_modifier
from anonlib.assets import data_path
from anonlib.config import LiteModifierConfig, to_dict
from anonlib.errors import CheckpointError, FaceDatasetError
from anonlib.networks.lite_modifier import LiteModifier
from anonlib.training.checkpoints import save_weights

TINY = LiteModifierConfig(size=32, width=4, blocks=1, cells=8)
NAME = "modifier-lite"


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the shipped weights are looked for; nothing is there yet."""
    monkeypatch.setenv("ANONLIB_DATA", str(tmp_path))
    monkeypatch.setattr(paths, "_PLACES", ())
    return tmp_path / "weights" / "modifier-lite.safetensors"


def test_weights_come_back_in_float_whatever_they_were_saved_in(weights: Path):
    network = LiteModifier(TINY).half()
    save_weights(weights, network, config=to_dict(TINY))
    found = lite_modifier()
    assert found.config == TINY and not found.training
    for name, value in network.state_dict().items():
        assert torch.equal(found.state_dict()[name], value.float()), name


def test_faces_of_any_size_are_modified_as_by_the_network(weights: Path):
    network = LiteModifier(TINY).eval()
    save_weights(weights, network, config=to_dict(TINY))
    hide, faces = create(NAME), torch.rand(3, 3, 32, 32)
    with torch.no_grad():  # in bfloat16 where the processor has it
        torch.testing.assert_close(hide(faces), network(faces), atol=0.05, rtol=0)
    assert hide(torch.rand(1, 3, 40, 28)).shape == (1, 3, 40, 28)
    assert hide(torch.rand(0, 3, 16, 16)).shape == (0, 3, 16, 16)


def test_missing_weights_are_named(weights: Path):
    with pytest.raises(FaceDatasetError, match=r"weights/modifier-lite\.safetensors"):
        create(NAME)


def test_damaged_weights_are_named(weights: Path):
    weights.parent.mkdir()
    weights.write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match=r"modifier-lite\.safetensors are missing or damaged"):
        create(NAME)


@pytest.mark.parametrize("config", [{**to_dict(TINY), "blocks": 2}, {"sides": 32}])
def test_weights_of_another_network_are_named(weights: Path, config: dict[str, int]):
    save_weights(weights, LiteModifier(TINY), config=config)
    with pytest.raises(CheckpointError, match=r"modifier-lite\.safetensors do not fit"):
        create(NAME)


def test_the_shipped_weights_are_there_and_small():
    path = data_path("weights", "modifier-lite.safetensors")
    assert path.stat().st_size <= 8_000_000
    out = lite_modifier()(torch.rand(1, 3, 128, 128))
    assert out.shape == (1, 3, 128, 128) and torch.isfinite(out).all()

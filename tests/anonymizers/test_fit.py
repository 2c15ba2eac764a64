from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from anonlib.anonymizers import create
from anonlib.anonymizers.fit import FitAnonymizer, load_fit, password_bits
from anonlib.anonymizers.sessions import Session
from anonlib.config import FitConfig, to_dict
from anonlib.errors import CheckpointError, ConfigError, NumericError
from anonlib.networks.fit import FaceTransformer
from anonlib.training.checkpoints import save_weights

TINY = FitConfig(code=16, width=4)


def find(crops: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Finds a mesh in crops of 64 pixels, and nothing in others."""
    scores = torch.tensor([1.0 if crop.shape[1] == 64 else 0.0 for crop in crops])
    return torch.zeros(len(crops), 468, 3), scores


@pytest.fixture
def network() -> FaceTransformer:
    torch.manual_seed(0)
    return FaceTransformer(TINY)


@pytest.fixture
def crops() -> list[Tensor]:
    torch.manual_seed(1)
    return list(torch.rand(3, 3, 64, 60))


def test_a_text_is_always_the_same_bits():
    bits = torch.stack([password_bits(str(number), 8) for number in range(300)])
    assert torch.equal(bits.abs(), torch.ones(300, 8)) and 0.4 < (bits > 0).float().mean() < 0.6
    assert torch.equal(password_bits("gehört", 8), password_bits("gehört", 8))


def test_the_password_decides_and_recover_flips_it(network: FaceTransformer, crops: list[Tensor]):
    out = {
        word: torch.stack(FitAnonymizer(network, find=find, password=word).transform(crops)[0])
        for word in ("one", "two")
    }
    assert (out["one"] - out["two"]).abs().mean() > 1e-4
    back = FitAnonymizer(network, find=None, password="one", recover=True)
    assert torch.equal(back.password_for(crops[0]), -password_bits("one", 8))


def test_without_a_password_each_face_has_its_own(network: FaceTransformer, crops: list[Tensor]):
    method = FitAnonymizer(network, find=find, seed=3)
    chosen = torch.stack([method.password_for(face) for face in torch.rand(40, 3, 8, 8)])
    assert len(chosen.unique(dim=0)) > 20
    assert torch.equal(method(torch.stack(crops))[1], method(crops[1][None])[0])
    first, second = (method.session().replace(crops[:1], [0], [(0, 0)])[0] for _ in range(2))
    assert torch.equal(first, second)  # the seed was given


def test_a_crop_without_a_mesh_is_veiled(network: FaceTransformer, crops: list[Tensor]):
    session = FitAnonymizer(network, find=find, password="one").session()
    assert isinstance(session, Session)
    unknown = torch.rand(3, 40, 36)
    out = session.replace([*crops, unknown], [0, 1, 2, 3], [(0, 0)] * 4)
    assert session.counts == {"transformed": 3, "veiled": 1}
    assert out[3].shape == unknown.shape and out[3].std() < 0.5 * unknown.std()


def test_a_diverged_network_is_an_error(network: FaceTransformer, crops: list[Tensor]):
    with torch.no_grad():
        network.mean[0] = float("nan")
    with pytest.raises(NumericError, match="NaN or infinity for face 0"):
        FitAnonymizer(network, find=find, password="one").transform(crops)


def test_missing_and_foreign_passwords_are_refused(network: FaceTransformer):
    for options in ({"password": ""}, {"recover": True}):
        with pytest.raises(ConfigError, match="the password is missing or empty"):
            FitAnonymizer(network, find=None, **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a password is for method 'fit' alone, not for 'mask'"):
        create("mask", password="one")


def test_weights_come_back_and_foreign_ones_are_refused(tmp_path: Path, network: FaceTransformer):
    path, batch = tmp_path / "fit.safetensors", torch.rand(2, 3, 64, 64)
    save_weights(path, network, config=to_dict(TINY), bits=8)
    hidden = create("fit", weights=path, password="one")(batch)
    assert hidden.shape == batch.shape and not torch.equal(hidden, batch)
    assert load_fit(path).transformer.config == TINY
    save_weights(path, network, config={"size": 64})
    with pytest.raises(CheckpointError, match="do not fit FIT's transformer"):
        load_fit(path)

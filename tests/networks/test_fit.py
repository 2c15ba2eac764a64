from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from anonlib.config import FitConfig
from anonlib.errors import ConfigError
from anonlib.networks.fit import (
    PLANES,
    SIZE,
    FaceTransformer,
    FitCritics,
    PasswordReader,
    all_passwords,
    doubled,
    encoded,
    halved,
)

TINY = FitConfig(code=32, width=4)


@pytest.fixture
def network() -> FaceTransformer:
    torch.manual_seed(0)
    return FaceTransformer(TINY)


@pytest.fixture
def faces() -> Tensor:
    return torch.rand(4, 3, SIZE, SIZE)


PASSWORDS = torch.tensor([[1.0, -1, 1, 1, -1, -1, 1, -1], [-1, 1, 1, -1, 1, -1, -1, 1]])


def test_the_shipped_shape_fits_into_three_quarters_of_a_megabyte():
    count = sum(value.numel() for value in FaceTransformer(FitConfig()).state_dict().values())
    assert count < 730_000


@pytest.mark.parametrize("mode", [True, False])
def test_a_face_does_not_depend_on_its_batch(network: FaceTransformer, faces: Tensor, mode: bool):
    network.train(mode)
    passwords = PASSWORDS[[0, 1, 1, 0]]
    alone = torch.cat([network(faces[k : k + 1], passwords[k : k + 1]) for k in range(4)])
    torch.testing.assert_close(network(faces, passwords), alone, atol=1e-5, rtol=0)
    turned = network(faces.flip(0), passwords.flip(0)).flip(0)
    torch.testing.assert_close(turned, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("mode", [True, False])
def test_a_password_that_a_whole_batch_shares_acts(network: FaceTransformer, faces: Tensor, mode: bool):
    network.train(mode)
    first, second = (network(faces, password.expand(4, -1)) for password in PASSWORDS)
    assert (first - second).abs().mean() > 1e-3


def test_a_norm_after_the_first_layer_would_remove_a_shared_password(faces: Tensor):
    """The trap of the public code, from which T is free."""
    layer, norm = nn.Conv2d(11, 4, 7, padding=3, padding_mode="reflect"), nn.BatchNorm2d(4)
    planes = PASSWORDS[:, :, None, None].expand(-1, -1, SIZE, SIZE)
    shared = [norm(layer(torch.cat([faces, plane.expand(4, -1, -1, -1)], 1))) for plane in planes]
    torch.testing.assert_close(*shared, atol=1e-4, rtol=0)


def test_the_flipped_password_restores_whatever_the_weights(network: FaceTransformer, faces: Tensor):
    for details in (network.fine, network.coarse):
        nn.init.normal_(details[-1].weight, std=0.02)  # type: ignore[arg-type]
    faces, passwords = faces / 4 + 0.4, PASSWORDS[[0, 1, 0, 1]]
    hidden = network(faces, passwords)
    wrong = -passwords
    wrong[:, 2] *= -1
    torch.testing.assert_close(network(hidden, -passwords), faces, atol=1e-5, rtol=0)
    assert (network(hidden, wrong) - faces).abs().mean() > 0.3 * (hidden - faces).abs().mean() > 1e-3


def test_halving_keeps_everything(faces: Tensor):
    means, details = halved(faces)
    torch.testing.assert_close(means, 2 * nn.functional.avg_pool2d(faces, 2))
    torch.testing.assert_close(doubled(means, details), faces)
    torch.testing.assert_close(means.square().sum() + details.square().sum(), faces.square().sum())


def test_the_code_of_a_password_is_odd_and_two_codes_differ_in_four_planes():
    every = all_passwords(8)
    codes = encoded(every)
    assert codes.abs().eq(1).all() and torch.equal(encoded(-every), -codes)
    equal = ((codes @ codes.T) + PLANES) / 2
    assert equal.topk(2, 1).values[:, 1].max() <= PLANES - 4


def test_gradients_reach_every_weight(network: FaceTransformer, faces: Tensor):
    network(faces / 4 + 0.4, PASSWORDS[[0, 1, 0, 1]]).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_the_reader_sees_both_faces_and_critics_rate_each_kind(faces: Tensor):
    torch.manual_seed(0)
    reader, critics = PasswordReader(width=4), FitCritics(width=4).eval()
    assert reader(faces, faces).shape == (4, PLANES)
    assert not torch.equal(reader(faces, faces), reader(faces, 1 - faces))
    a, r = (critics(kind, faces) for kind in ("anonymized", "restored"))
    assert a.shape == (4, 8 * 8 + 4 * 4)
    assert torch.equal(a[:, 64:], r[:, 64:]) and not torch.equal(a[:, :64], r[:, :64])


def test_an_impossible_shape_is_refused():
    with pytest.raises(ConfigError, match="use 1 to 16 bits"):
        FitConfig(bits=17)

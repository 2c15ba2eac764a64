from __future__ import annotations

import pytest
import torch

from anonlib.config import LiveConfig
from anonlib.errors import ConfigError
from anonlib.networks.live import LiveNetwork, activations, face_network

TINY = LiveConfig(width=4, bottleneck=8, features=8)


@pytest.fixture
def network() -> LiveNetwork:
    torch.manual_seed(0)
    return LiveNetwork(TINY).eval()


def test_the_shipped_shapes_fit_into_0_8_megabytes():
    networks = LiveNetwork(LiveConfig()), face_network(1)
    assert sum(p.numel() for network in networks for p in network.parameters()) < 780_000


def test_face_target_and_strength_change_the_drawing(network: LiveNetwork):
    faces, targets, half = torch.rand(2, 3, 64, 64), torch.randn(2, 8), torch.full((2,), 0.5)
    drawn, mask = network(faces, targets, half)
    assert all(bool(((x > 0) & (x < 1)).all()) for x in (drawn, mask))
    for other in ((faces.flip(2), targets, half), (faces, -targets, half), (faces, targets, 2 * half)):
        assert (network(*other)[0] - drawn).abs().mean() > 1e-5


def test_a_face_does_not_depend_on_its_batch(network: LiveNetwork):
    inputs = torch.rand(3, 3, 64, 64), torch.randn(3, 8), torch.tensor([0.0, 0.5, 1.0])
    alone = [
        torch.cat(part) for part in zip(*[network(*(x[[k]] for x in inputs)) for k in range(3)], strict=True)
    ]
    torch.testing.assert_close(list(network(*inputs)), alone, atol=1e-5, rtol=0)


def test_gradients_reach_every_weight(network: LiveNetwork):
    drawn, mask = network(torch.rand(2, 3, 64, 64), torch.randn(2, 8), torch.rand(2))
    (drawn.square().sum() + mask.sum()).backward()
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in network.parameters())


def test_activations_end_in_the_feature_of_the_network():
    torch.manual_seed(0)
    judge, aligned = face_network(3, width=4, features=8).eval(), torch.rand(2, 3, 64, 48)
    *maps, descriptor = activations(judge, aligned)
    assert [tuple(m.shape[1:]) for m in maps] == [(4, 32, 24), (8, 16, 12), (16, 8, 6), (32, 4, 3)]
    torch.testing.assert_close(descriptor, torch.nn.functional.normalize(judge(aligned), dim=1))


def test_an_impossible_shape_is_refused():
    with pytest.raises(ConfigError, match="use a width that is a multiple of 4"):
        LiveConfig(width=6)

from __future__ import annotations

import pytest
import torch

from anonlib.config import CiaganConfig
from anonlib.errors import ConfigError
from anonlib.networks.ciagan import SIZE, CiaganGenerator

TINY = CiaganConfig(people=5, width=4, blocks=1)


@pytest.fixture
def network() -> CiaganGenerator:
    torch.manual_seed(0)
    return CiaganGenerator(TINY).eval()


def test_the_shipped_shape_fits_into_two_megabytes():
    count = sum(value.numel() for value in CiaganGenerator(CiaganConfig()).state_dict().values())
    assert count < 1_000_000


def test_the_wanted_person_and_the_conditions_change_the_picture(network: CiaganGenerator):
    seen = torch.rand(2, 6, SIZE, SIZE)
    faces = [network(seen, torch.tensor([k, k])) for k in (0, 3)]
    assert faces[0].shape == (2, 3, SIZE, SIZE)
    assert (faces[0] - faces[1]).abs().mean() > 1e-3 and (faces[0][0] - faces[0][1]).abs().mean() > 1e-3


def test_a_face_does_not_depend_on_its_batch(network: CiaganGenerator):
    seen, people = torch.rand(3, 6, SIZE, SIZE), torch.tensor([0, 1, 2])
    alone = torch.cat([network(seen[k : k + 1], people[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(network(seen, people), alone, atol=1e-4, rtol=0)


def test_gradients_reach_every_weight(network: CiaganGenerator):
    network.train()(torch.rand(2, 6, SIZE, SIZE), torch.tensor([0, 4])).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    first = network.identity[0].weight.grad
    assert (first.abs().sum(0) > 0).tolist() == [True, False, False, False, True]  # only whom it drew


def test_an_impossible_shape_is_refused():
    with pytest.raises(ConfigError, match="use two people or more, an even width"):
        CiaganConfig(width=5)

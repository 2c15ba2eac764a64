from __future__ import annotations

import pytest
import torch
from safetensors.torch import save

from anonlib.errors import CheckpointError
from anonlib.networks.center_face import CenterFace, decode, load_center_face


def test_the_shipped_network_has_the_layers_of_the_original():
    network = load_center_face()
    assert sum(value.numel() for value in network.parameters()) == 1_819_927
    assert network(torch.rand(2, 3, 64, 96)).shape == (2, 15, 16, 24)


def test_every_map_is_joined():
    """A change of one pixel changes places farther away than one scale alone could."""
    torch.manual_seed(0)
    network, picture = load_center_face(), torch.rand(1, 3, 128, 128, requires_grad=True)
    network(picture)[0, 0, 0, 0].backward()
    assert picture.grad[0, :, 120:, 120:].abs().max() > 0


def test_decoded_by_hand():
    """Row 2, column 3: the centre is 4 * (3.75, 2.5); height 8, width 16; a point at (1/4, 1/2)."""
    maps = torch.zeros(15, 4, 5)
    maps[1:, 2, 3] = torch.tensor([2.0, 4.0, 1, 1, *[0.5, 0.25] * 5])
    maps[1:3, 2, 3] = maps[1:3, 2, 3].log()
    maps[3:5, 2, 3] = torch.tensor([0.0, 0.25])
    found = decode(maps, torch.tensor([[2, 3]]))
    torch.testing.assert_close(found.boxes, torch.tensor([[7.0, 6.0, 23.0, 14.0]]))
    torch.testing.assert_close(found.landmarks, torch.tensor([11.0, 10.0]).expand(1, 5, 2))


def test_nowhere_is_nobody():
    found = decode(torch.zeros(15, 4, 5), torch.zeros(0, 2, dtype=torch.long))
    assert found.boxes.shape == (0, 4) and found.landmarks.shape == (0, 5, 2)


def test_foreign_weights_are_named(tmp_path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(save({"x": torch.zeros(1)}, metadata={"config": "{}"}))
    with pytest.raises(CheckpointError, match=r"bad\.safetensors are not CenterFace's: restore"):
        load_center_face(bad)


def test_the_port_can_be_trained():
    CenterFace()(torch.rand(1, 3, 32, 32)).square().sum().backward()

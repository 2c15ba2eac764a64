from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from anonlib.config import ClassifierConfig
from anonlib.networks import SphereFace
from anonlib.networks.sphereface import flip_averaged_features

TINY = ClassifierConfig(size=(16, 16), depth=4, width=4, features=8)


def convolution(inputs: int, outputs: int) -> int:
    """Weights, biases and the slopes of the PReLU behind it."""
    return inputs * outputs * 9 + outputs + outputs


@pytest.mark.parametrize("depth", [4, 10, 20])
def test_depth_counts_convolutions_and_four_of_them_halve_the_image(depth: int):
    with torch.device("meta"):
        network = SphereFace(ClassifierConfig(depth=depth), people=7)
        features = network(torch.zeros(2, 3, 112, 96))
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == depth
    assert sum(m.stride == (2, 2) for m in convolutions) == 4
    assert sum(isinstance(m, nn.PReLU) for m in network.modules()) == depth
    assert features.shape == (2, 512)
    assert network.identities.shape == (7, 512)


def test_sphereface_20_has_its_known_size():
    with torch.device("meta"):
        network = SphereFace(ClassifierConfig(), people=10_575)
    stages = (
        convolution(3, 64)
        + 2 * convolution(64, 64)
        + convolution(64, 128)
        + 4 * convolution(128, 128)
        + convolution(128, 256)
        + 8 * convolution(256, 256)
        + convolution(256, 512)
        + 2 * convolution(512, 512)
    )
    head = 512 * 7 * 6 * 512 + 512
    assert stages + head == 22_670_656
    assert sum(p.numel() for p in network.parameters()) == 22_670_656 + 10_575 * 512


def test_small_forms_use_the_same_layers():
    features = SphereFace(TINY, people=3)(torch.rand(5, 3, 16, 16))
    assert features.shape == (5, 8)
    wide = ClassifierConfig(size=(64, 48), depth=10, width=4, features=6)
    assert SphereFace(wide, people=3)(torch.rand(1, 3, 64, 48)).shape == (1, 6)


def test_the_network_normalises_its_input_itself():
    network = SphereFace(TINY, people=2)
    nn.init.zeros_(network.embed.bias)  # other biases start at zero
    grey = network(torch.full((1, 3, 16, 16), 0.5))
    torch.testing.assert_close(grey, torch.zeros(1, 8))


def test_a_face_alone_has_the_features_it_has_in_a_batch():
    network, faces = SphereFace(TINY, people=2).train(), torch.rand(3, 3, 16, 16)
    alone = torch.cat([network(face[None]) for face in faces])
    torch.testing.assert_close(network(faces), alone, atol=1e-6, rtol=1e-5)


class Corner(nn.Module):
    """Features by hand: the corner pixels of the first row."""

    def forward(self, aligned: Tensor) -> Tensor:
        return torch.stack([aligned[:, 0, 0, 0], aligned[:, 0, 0, -1], aligned[:, 1, 0, 0]], dim=1)


def test_flip_averaged_features_by_hand():
    face = torch.zeros(1, 3, 4, 4)
    face[0, 0, 0, 0], face[0, 0, 0, 3], face[0, 1, 0, 0] = 1.0, 3.0, 4.0
    # as it is (1, 3, 4), mirrored (3, 1, 0); the sum (4, 4, 4) at length one
    torch.testing.assert_close(flip_averaged_features(Corner(), face), torch.full((1, 3), 3**-0.5))


def test_flip_averaged_features_do_not_know_left_from_right():
    network, faces = SphereFace(TINY, people=2), torch.rand(4, 3, 16, 16)
    features = flip_averaged_features(network, faces)
    torch.testing.assert_close(features, flip_averaged_features(network, faces.flip(3)))
    torch.testing.assert_close(features.norm(dim=1), torch.ones(4))

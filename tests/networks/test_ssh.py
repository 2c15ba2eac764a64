from __future__ import annotations

import pytest
import torch

from anonlib.networks.ssh import Ssh, anchors


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Ssh(8).eval()


def test_every_prediction_has_an_anchor(network):
    places = anchors(64, 96)
    logits, boxes, landmarks = network(torch.rand(2, 3, 64, 96))
    assert len(places) == 2 * (8 * 12 + 4 * 6 + 2 * 3)
    assert logits.shape == (2, len(places))
    assert boxes.shape == (2, len(places), 4) and landmarks.shape == (2, len(places), 10)


@pytest.mark.parametrize("side", [12, 24, 48, 96, 192, 384])
def test_a_prediction_looks_at_its_anchor(network, side):
    """The logit's gradient is strongest near the anchor's centre, not at a transposed place."""
    picture = torch.rand(1, 3, 128, 256, requires_grad=True)
    places = anchors(128, 256)
    apart = (places - torch.tensor([176.0, 48.0, float(side)])).abs().sum(dim=1)
    index = int(apart.argmin())
    (pull,) = torch.autograd.grad(network(picture).logits[0, index], picture)
    strength = pull.abs().sum(dim=(0, 1))
    middle = (
        torch.tensor(
            [(strength.sum(0) * torch.arange(256.0)).sum(), (strength.sum(1) * torch.arange(128.0)).sum()]
        )
        / strength.sum()
    )
    assert (middle - places[index, :2]).norm() < 40


def test_a_picture_is_judged_by_itself(network):
    pictures = torch.rand(3, 3, 64, 64)
    together, alone = network(pictures), network(pictures[1:2])
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[1:2], b, atol=1e-5, rtol=1e-4)


def test_the_network_can_be_exported_to_other_runtimes(network):
    traced = torch.export.export(network, (torch.rand(1, 3, 64, 64),)).module()
    picture = torch.rand(1, 3, 64, 64)
    for a, b in zip(network(picture), traced(picture), strict=True):
        torch.testing.assert_close(a, b)


def test_nearly_nothing_is_a_face_before_training(network):
    assert network(torch.rand(1, 3, 64, 64)).logits.sigmoid().max() < 0.2

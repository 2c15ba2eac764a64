from __future__ import annotations

import torch

from anonlib.networks.compiled import compiled_if_possible
from anonlib.networks.skin import SIDE, SkinMask


def test_one_logit_a_pixel_and_a_batch_of_one_is_as_in_a_batch() -> None:
    torch.manual_seed(0)
    network = SkinMask().eval()
    crops = torch.rand(3, 4, SIDE, SIDE)
    with torch.no_grad():
        logits = network(crops)
        torch.testing.assert_close(network(crops[1:2]), logits[1:2], rtol=1e-4, atol=1e-5)
    assert logits.shape == (3, 1, SIDE, SIDE)


def test_it_has_between_100_000_and_300_000_parameters() -> None:
    assert 100_000 < sum(p.numel() for p in SkinMask().parameters()) < 300_000


def test_compiled_it_says_the_same() -> None:
    torch.manual_seed(0)
    network = SkinMask().eval()
    crops = torch.rand(2, 4, SIDE, SIDE)
    compiled = compiled_if_possible(network, crops[:1], threads=1)
    with torch.no_grad():
        torch.testing.assert_close(compiled(crops), network(crops), rtol=0.05, atol=0.05)


def test_it_learns_one_batch() -> None:
    torch.manual_seed(0)
    network = SkinMask()
    crops = torch.rand(2, 4, SIDE, SIDE)
    target = (crops[:, 3:] > 0.5).float()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(12):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(crops), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from anonlib.config import LiteModifierConfig
from anonlib.networks.compiled import Compiled
from anonlib.networks.lite_modifier import LiteModifier

BF16 = 0.05
"""Of values in [0, 1] after the layers of a network in bfloat16."""


class Two(nn.Module):
    """Two outputs of a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = self.layer(images)
        return x.sigmoid(), x.mean((2, 3))


def test_any_batch_comes_out_as_from_torch():
    network = LiteModifier(LiteModifierConfig(size=16, width=4, blocks=1, cells=4)).eval()
    compiled = Compiled(network, torch.rand(2, 3, 16, 16), threads=1)
    assert not list(compiled.parameters())
    for batch in (1, 2, 5):
        faces = torch.rand(batch, 3, 16, 16)
        with torch.no_grad():
            torch.testing.assert_close(compiled(faces), network(faces), atol=BF16, rtol=0)


def test_sides_left_free_and_several_outputs():
    network = Two().eval()
    compiled = Compiled(network, torch.rand(2, 3, 8, 8), free_sides=True, threads=1)
    for shape in ((1, 3, 8, 8), (2, 3, 12, 20)):
        images = torch.rand(shape)
        with torch.no_grad():
            for found, expected in zip(compiled(images), network(images), strict=True):
                torch.testing.assert_close(found, expected, atol=BF16, rtol=0)


def test_results_stay_when_the_network_runs_again():
    compiled = Compiled(nn.Conv2d(3, 2, 1), torch.rand(2, 3, 8, 8), threads=1)
    first = compiled(torch.zeros(1, 3, 8, 8))
    kept = first.clone()
    compiled(torch.ones(1, 3, 8, 8))
    assert torch.equal(first, kept)
    with pytest.raises(RuntimeError):
        compiled(torch.zeros(1, 3, 9, 9))  # sides are fixed unless left free

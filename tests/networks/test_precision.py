"""Half precision follows the weights as they are trained."""

from __future__ import annotations

import torch
from torch import nn

from anonlib.networks.precision import autocast


def outputs_before_and_after_a_step() -> tuple[torch.Tensor, torch.Tensor]:
    layer, x = nn.Linear(4, 4), torch.randn(8, 4)
    before = layer(x).detach().float()
    layer(x).float().square().sum().backward()
    with torch.no_grad():
        layer.weight -= layer.weight.grad
    return before, layer(x).detach().float()


def test_a_loop_inside_sees_the_weights_of_its_last_step():
    with autocast("bfloat16"):
        before, after = outputs_before_and_after_a_step()
    assert (before - after).abs().max() > 1


def test_it_is_bfloat16_or_nothing():
    x = torch.ones(1, 2)
    with autocast("bfloat16"):
        assert nn.Linear(2, 2)(x).dtype == torch.bfloat16
    with autocast("float32"):
        assert nn.Linear(2, 2)(x).dtype == torch.float32

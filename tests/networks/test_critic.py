from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import parametrize

from anonlib.losses import critic_loss
from anonlib.networks.critic import PatchCritic


def test_a_value_sees_a_patch_of_38_pixels():
    faces = torch.rand(1, 3, 96, 96, requires_grad=True)
    PatchCritic(width=4)(faces)[0, 0, 6, 6].backward()
    assert faces.grad is not None
    seen = faces.grad.abs().sum((0, 1)).nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [38, 38]
    assert (seen.amax(0) + seen.amin(0) + 1).tolist() == [104, 104]  # about pixel 52 = 6.5 * 8


def test_no_convolution_stretches_its_input():
    critic = PatchCritic(width=4)
    for _ in range(30):  # the power iteration settles
        critic(torch.rand(1, 3, 16, 16))
    convolutions = [m for m in critic.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 4 and all(map(parametrize.is_parametrized, convolutions))
    for layer in convolutions:
        norm = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2)
        assert abs(norm.item() - 1) < 0.05


def test_it_learns_to_tell_smooth_from_noisy():
    critic = PatchCritic(width=4)
    real, drawn = torch.rand(2, 3, 1, 1).expand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    optimizer = torch.optim.Adam(critic.parameters(), lr=2e-2)
    before = critic_loss(critic(real), critic(drawn)).item()
    for _ in range(30):
        loss = critic_loss(critic(real), critic(drawn))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.6 * before

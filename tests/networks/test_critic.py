from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from anonlib.losses import critic_loss, realism_loss
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


def test_critic_and_realism_by_hand():
    real, drawn = torch.tensor([1.0, 0.5]), torch.tensor([0.0, 0.2, 1.0, 0.0])
    assert critic_loss(real, drawn).item() == pytest.approx((0.25 / 2 + 1.04 / 4) / 2)
    assert realism_loss(drawn).item() == pytest.approx((1 + 0.64 + 0 + 1) / 4 / 2)


def test_a_critic_that_cannot_tell_pays_a_quarter():
    half = torch.full((2, 1, 3, 3), 0.5)
    assert critic_loss(half, half).item() == pytest.approx(0.25)


def test_critic_and_modifier_pull_drawn_faces_in_opposite_directions():
    drawn = torch.full((2,), 0.5, requires_grad=True)
    (by_critic,) = torch.autograd.grad(critic_loss(torch.ones(2), drawn), drawn)
    (by_modifier,) = torch.autograd.grad(realism_loss(drawn), drawn)
    torch.testing.assert_close(by_critic, -by_modifier)
    assert by_critic.gt(0).all()


def test_gradients_of_critic_and_realism_are_exact():
    real, drawn = torch.rand(2, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(critic_loss, (real, drawn))
    assert torch.autograd.gradcheck(realism_loss, (drawn,))

from __future__ import annotations

import pytest
import torch

from anonlib.losses import critic_loss, realism_loss


def test_by_hand():
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


def test_gradients_are_those_of_finite_differences():
    real, drawn = torch.rand(2, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(critic_loss, (real, drawn))
    assert torch.autograd.gradcheck(realism_loss, (drawn,))

from __future__ import annotations

import pytest
import torch

from recipes.real_faces import crowd_loss, identity_margin_loss

F64 = torch.float64


def test_the_margin_by_hand():
    original = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    modified = torch.tensor([[3.0, 4.0], [0.0, 5.0], [0.0, 1.0]])  # cosines 0.6, 0 and 1
    assert identity_margin_loss(modified, original).item() == pytest.approx(1.6 / 3)
    assert identity_margin_loss(modified, original, margin=0.5).item() == pytest.approx(0.6 / 3)
    assert identity_margin_loss(modified, original, margin=1.0).item() == pytest.approx(0, abs=1e-6)


def test_the_length_of_features_does_not_matter():
    a, b = torch.rand(2, 3, 5)
    torch.testing.assert_close(identity_margin_loss(9 * a, 0.1 * b), identity_margin_loss(a, b))
    torch.testing.assert_close(crowd_loss(a * torch.tensor([[1.0], [5.0], [0.2]])), crowd_loss(a))


def test_who_is_far_enough_is_left_alone():
    modified = torch.tensor([[0.0, 1.0]], requires_grad=True)
    identity_margin_loss(modified, torch.tensor([[1.0, 0.2]]), margin=0.5).backward()
    assert modified.grad is not None and not modified.grad.any()


def test_the_crowd_by_hand():
    at_right_angles = torch.tensor([[1.0, 0.0], [0.0, 7.0]])  # each at 45 degrees to the sum
    assert crowd_loss(at_right_angles).item() == pytest.approx(1 - 0.5**0.5)
    assert crowd_loss(torch.rand(1, 4)).item() == pytest.approx(0, abs=1e-6)
    opposed = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])  # no common direction
    assert crowd_loss(opposed).item() == 1


def test_gradients_are_those_of_finite_differences():
    modified = torch.randn(3, 4, dtype=F64, requires_grad=True)
    original = (modified + 0.5 * torch.randn(3, 4, dtype=F64)).detach()  # cosines above 0
    assert torch.autograd.gradcheck(lambda m: identity_margin_loss(m, original), (modified,))
    assert torch.autograd.gradcheck(crowd_loss, (modified,))

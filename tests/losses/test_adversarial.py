from __future__ import annotations

import pytest
import torch

from anonlib.losses import classifier_loss, modifier_loss


def test_the_classifier_adds_modified_and_clear_faces():
    modified, clear = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([0.5, 1.5])
    assert classifier_loss(modified, clear).item() == pytest.approx(3 + 1)
    assert classifier_loss(modified, clear, clear_weight=3.0).item() == pytest.approx(3 + 3)


def test_the_modifier_climbs_where_the_classifier_descends():
    on_modified = torch.tensor([1.0, 2.0], requires_grad=True)
    (for_d,) = torch.autograd.grad(classifier_loss(on_modified, torch.zeros(2)), on_modified)
    (for_m,) = torch.autograd.grad(modifier_loss(on_modified), on_modified)
    torch.testing.assert_close(for_d, torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(for_m, torch.tensor([-0.5, -0.5]))


def test_without_a_ceiling_eq_2_is_a_zero_sum_game_on_modified_faces():
    on_modified = torch.rand(5) * 20
    torch.testing.assert_close(
        modifier_loss(on_modified) + classifier_loss(on_modified, torch.zeros(5)), torch.tensor(0.0)
    )


def test_faces_beyond_the_ceiling_are_left_alone():
    on_modified = torch.tensor([1.0, 6.0, 8.0, 30.0], requires_grad=True)
    loss = modifier_loss(on_modified, ceiling=7.0)
    loss.backward()
    assert loss.item() == pytest.approx(-(1 + 6 + 7 + 7) / 4)
    torch.testing.assert_close(on_modified.grad, torch.tensor([-0.25, -0.25, 0.0, 0.0]))

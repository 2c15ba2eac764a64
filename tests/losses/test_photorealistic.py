from __future__ import annotations

import pytest
import torch

from anonlib.losses import photorealistic_loss


def test_by_hand():
    original = torch.tensor([0.0, 0.2, 0.4, 1.0]).reshape(1, 1, 2, 2)
    modified = torch.tensor([0.1, 0.2, 0.0, 0.5]).reshape(1, 1, 2, 2)
    assert photorealistic_loss(modified, original).item() == pytest.approx(1.0 / 4)
    assert photorealistic_loss(modified, original, weight=0.5).item() == pytest.approx(0.5 / 4)


def test_nothing_changed_costs_nothing_and_order_does_not_matter():
    a, b = torch.rand(2, 2, 3, 4, 4)
    assert photorealistic_loss(a, a).item() == 0
    torch.testing.assert_close(photorealistic_loss(a, b), photorealistic_loss(b, a))


def test_the_size_of_a_face_does_not_change_the_loss():
    a, b = torch.rand(2, 2, 3, 4, 4)
    larger = [x.repeat_interleave(2, 2).repeat_interleave(2, 3) for x in (a, b)]
    torch.testing.assert_close(photorealistic_loss(*larger), photorealistic_loss(a, b))


def test_it_pulls_every_pixel_towards_the_original_by_the_weight():
    modified = torch.tensor([[[[0.9, 0.1]]]], requires_grad=True)
    photorealistic_loss(modified, torch.full((1, 1, 1, 2), 0.5), weight=3.0).backward()
    torch.testing.assert_close(modified.grad, torch.tensor([[[[1.5, -1.5]]]]))

from __future__ import annotations

import pytest
import torch

from anonlib.metrics.image_quality import gradient_energy, l1_distance


def test_l1_by_hand_and_per_image():
    images = torch.zeros(2, 3, 2, 2)
    others = images.clone()
    others[1, 0, 0, 0] = 0.6  # one of twelve numbers of the second image
    torch.testing.assert_close(l1_distance(images, others), torch.tensor([0.0, 0.05]))


def test_l1_is_symmetric():
    a, b = torch.rand(2, 4, 3, 8, 8)
    torch.testing.assert_close(l1_distance(a, b), l1_distance(b, a))
    with pytest.raises(ValueError, match="differ in shape"):
        l1_distance(a, b[:, :, :4])


def test_gradient_energy_against_a_slow_reference():
    image = torch.rand(3, 5, 4)
    across = [
        (image[c, y, x + 1] - image[c, y, x]) ** 2 for c in range(3) for y in range(5) for x in range(3)
    ]
    down = [(image[c, y + 1, x] - image[c, y, x]) ** 2 for c in range(3) for y in range(4) for x in range(4)]
    expected = sum(across) / len(across) + sum(down) / len(down)
    torch.testing.assert_close(gradient_energy(image[None])[0], expected)


def test_gradient_energy_orders_flat_smooth_and_checkered():
    flat = torch.full((3, 8, 8), 0.5)
    ramp = torch.linspace(0, 1, 8).expand(3, 8, 8)
    checkered = ((torch.arange(8)[:, None] + torch.arange(8)) % 2).float().expand(3, 8, 8)
    energy = gradient_energy(torch.stack([flat, ramp, checkered]))
    torch.testing.assert_close(energy, torch.tensor([0.0, 1 / 49, 2.0]))

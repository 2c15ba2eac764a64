"""Attackers on FIT who have no password."""

from __future__ import annotations

import pytest
import torch

from anonlib.anonymizers.fit import load_fit, password_bits
from anonlib.attack import bit_by_bit, unlocked
from anonlib.config import FitConfig
from anonlib.metrics import total_variation
from anonlib.networks.fit import PLANES, FaceTransformer, all_passwords
from anonlib.world.faces import synthetic_faces


def test_every_password_is_tried_in_order():
    torch.manual_seed(0)
    network = FaceTransformer(FitConfig(code=16, width=4, bits=3))
    hidden, password = torch.rand(3, 64, 64), torch.tensor([[-1.0, 1, -1]])
    tried = unlocked(network, hidden)
    assert tried.shape == (8, 3, 64, 64)
    torch.testing.assert_close(tried[2], network(hidden[None], password)[0].detach())


@pytest.mark.slow
def test_nobody_needs_the_password_of_the_shipped_network():
    network = load_fit(password="any").transformer
    faces = synthetic_faces([2 * 10**9 + 7], images=1, size=64, seed=0).images.float() / 255
    password = password_bits("open sesame", 8)[None]
    with torch.inference_mode():
        hidden = network(faces, password)
    guess = all_passwords(8)[total_variation(unlocked(network, hidden[0])).argmin()]
    assert torch.equal(guess, -password[0])


def test_bits_are_found_one_after_the_other():
    class Stripes(FaceTransformer):
        """Every direction that is wrong adds an edge."""

        def turn(self, faces, directions):
            edges = torch.zeros(len(faces), 3, 2, 2 * PLANES)
            edges[..., ::2] = (directions != -SIGNS)[:, None, None, :]
            return edges

    SIGNS = torch.randint(2, (2, PLANES), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    network = Stripes(FitConfig(code=16, width=4))
    assert torch.equal(bit_by_bit(network, torch.zeros(2, 3, 4, 4), sweeps=1), -SIGNS)

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from anonlib.config import ModifierConfig
from anonlib.networks import StateModifier
from anonlib.networks.face_reader import FaceReader, Reading
from anonlib.networks.state_modifier import CODE, LARGEST, NOISE, fill, redrawn_region, state_bits

TINY = ModifierConfig(size=32, width=4, blocks=1, reads="state", state=6)
TOOL = (slice(None), slice(None), slice(14, 20), slice(4, 28))
"""Where the stub finds something in front of the head."""
HAIR = (slice(None), slice(None), slice(26, 31), slice(1, 5))
"""Where it finds a part of the head outside the ellipse."""


class Stub(nn.Module):
    """A reader that finds the same in every picture."""

    def __init__(self, state: Tensor) -> None:
        super().__init__()
        self.state = state
        self.head, self.front = torch.full((2, 1, 1, 32, 32), -30.0)
        self.head[..., 8:26, 8:24] = 30
        self.head[HAIR], self.front[TOOL] = 30, 30

    def forward(self, faces: Tensor) -> Reading:
        n = len(faces)
        parts = self.head.expand(n, -1, -1, -1), self.front.expand(n, -1, -1, -1)
        return Reading(*parts, self.state.expand(n, -1), torch.zeros(n, 5, 2))


def modifier(state: Tensor | None = None) -> StateModifier:
    """A random M; with a state its reader finds that in every picture."""
    network = StateModifier(TINY)
    nn.init.normal_(network.decoder[-1].weight, std=0.1)  # type: ignore[arg-type]
    if state is not None:
        network.reader = Stub(state)  # type: ignore[assignment]
    return network.eval()


@pytest.fixture
def faces() -> Tensor:
    return torch.rand(2, 3, 32, 32)


@torch.no_grad()
def test_outside_its_region_and_in_front_of_it_no_bit_changes(faces: Tensor):
    network, codes = modifier(torch.zeros(8)), torch.randn(2, CODE + TINY.state)
    colours, opacity = network.layer(faces, codes).split([3, 1], 1)
    out = network(faces, codes)
    kept = (opacity == 0).expand_as(out)
    assert torch.equal(out[kept], faces[kept])
    assert torch.equal(out[TOOL], faces[TOOL])
    assert torch.equal(out[..., :2, :2], faces[..., :2, :2])
    drawn = (opacity == 1).expand_as(out)
    assert torch.equal(out[drawn], colours[drawn]) and (out != faces)[drawn].float().mean() > 0.99
    assert drawn[:, :, 6:14, 10:22].all() and drawn[HAIR].all()


def test_a_head_at_the_border_of_the_crop_is_removed_up_to_it(faces: Tensor):
    whole, nothing = torch.ones(2, 1, 32, 32), torch.zeros(2, 1, 32, 32)
    seen, opacity = modifier().remove_head(faces, whole, nothing)
    assert not seen.any() and (opacity == 1).all()


@torch.no_grad()
def test_what_is_drawn_does_not_depend_on_a_removed_pixel(faces: Tensor):
    network, codes = modifier(torch.rand(8)), torch.randn(2, CODE + TINY.state)
    reading = network.reader(faces)
    _, opacity = network.remove_head(faces, reading.head.sigmoid(), reading.front.sigmoid())
    removed = (opacity > 1e-6).expand_as(faces)
    other = torch.where(removed, torch.rand_like(faces), faces)
    assert removed.float().mean() > 0.4
    assert torch.equal(network.layer(faces, codes), network.layer(other, codes))
    moved = torch.where(removed, faces, torch.rand_like(faces))
    assert not torch.equal(network.layer(faces, codes), network.layer(moved, codes))  # it does see the scene


def test_no_gradient_reaches_a_removed_pixel(faces: Tensor):
    network, codes = modifier(torch.rand(8)), torch.randn(2, CODE + TINY.state)
    reading = network.reader(faces)
    faces.requires_grad_()
    seen, opacity = network.remove_head(faces, reading.head.sigmoid(), reading.front.sigmoid())
    (gradient,) = torch.autograd.grad(network.draw(seen, reading.state, codes).square().sum(), faces)
    removed = (opacity > 1e-6).expand_as(faces)
    assert gradient[removed].abs().max() == 0
    assert (gradient[~removed] != 0).float().mean() > 0.9
    (gradient,) = torch.autograd.grad(network(faces, codes).square().sum(), faces)
    assert gradient[(opacity == 1).expand_as(faces)].abs().max() == 0


@torch.no_grad()
def test_the_state_passes_with_noise_and_clipped(faces: Tensor):
    state, quiet = torch.full((8,), 0.5), torch.randn(2, CODE + TINY.state)
    quiet[:, CODE:] = 0
    noisy = quiet + torch.cat([torch.zeros(2, CODE), torch.ones(2, TINY.state)], 1)
    assert not torch.equal(modifier_with(state)(faces, quiet), modifier_with(-state)(faces, quiet))
    torch.testing.assert_close(
        modifier_with(state)(faces, noisy), modifier_with(state + NOISE)(faces, quiet), atol=1e-5, rtol=0
    )
    far, farther = (modifier_with(state * 2 * LARGEST * k)(faces, quiet) for k in (1, 3))
    assert torch.equal(far, farther)
    unread = state + torch.tensor([0.0] * TINY.state + [1.0] * (8 - TINY.state))
    assert torch.equal(modifier_with(state)(faces, quiet), modifier_with(unread)(faces, quiet))


def modifier_with(state: Tensor) -> StateModifier:
    """The same random M for every state."""
    torch.manual_seed(5)
    return modifier(state)


@torch.no_grad()
def test_the_codes_decide_who_is_drawn(faces: Tensor):
    network = modifier()
    codes = network.draw_codes(2, torch.Generator().manual_seed(1))
    assert torch.equal(codes, network.draw_codes(2, torch.Generator().manual_seed(1)))
    assert all((network.people == code[:CODE]).all(1).any() for code in codes)
    assert torch.equal(network(faces, codes), network(faces, codes))
    assert not torch.equal(network(faces, codes), network(faces, codes.flip(0)))


@torch.no_grad()
def test_without_codes_the_global_generator_decides(faces: Tensor):
    network = modifier()
    torch.manual_seed(3)
    first, second = network(faces), network(faces)
    torch.manual_seed(3)
    assert torch.equal(network(faces), first) and not torch.equal(first, second)


@torch.no_grad()
def test_a_face_alone_is_modified_as_in_a_batch(faces: Tensor):
    network, codes = modifier(), torch.randn(2, CODE + TINY.state)
    alone = torch.cat([network.layer(*pair) for pair in zip(faces.split(1), codes.split(1), strict=True)])
    torch.testing.assert_close(network.layer(faces, codes), alone, atol=1e-5, rtol=0)


def test_gradients_reach_every_weight_but_the_reader_s(faces: Tensor):
    network = modifier().train()
    before = {name: value.clone() for name, value in network.reader.state_dict().items()}
    (network(faces) - 0.3).square().sum().backward()
    assert not network.reader.training
    for name, value in network.reader.state_dict().items():  # the statistics of batch norm too
        assert torch.equal(value, before[name]), name
    for name, p in network.named_parameters():
        assert p.requires_grad != name.startswith("reader."), name
        if p.requires_grad and name.endswith("weight"):
            assert p.grad is not None and p.grad.any(), name


def test_weights_hold_the_people_and_the_reader_and_no_region():
    names = StateModifier(TINY).state_dict()
    assert "people" in names and "region" not in names
    assert {f"reader.{name}" for name in FaceReader().state_dict()} <= set(names)


@pytest.mark.parametrize("size", [32, 64])
def test_the_region_is_an_ellipse_with_a_soft_edge(size: int):
    region = redrawn_region(size, (0.40, 0.50))[0, 0]
    assert (
        region[size // 2, size // 8 : -size // 8].min() == 1
        and region[size // 32 : -size // 8, size // 2].min() == 1
    )
    assert region[0, 0] == region[0, -1] == region[-1, 0] == region[-1, -1] == 0
    assert ((region > 0) & (region < 1)).any()
    torch.testing.assert_close(region, region.flip(1))


def test_a_hole_in_one_colour_is_filled_with_it():
    visible = (torch.rand(2, 1, 32, 32) > 0.3).float()
    visible[0, :, 4:28, 4:28] = 0
    colour = torch.tensor([0.2, -0.5, 0.9])[None, :, None, None].expand(2, 3, 32, 32)
    torch.testing.assert_close(fill(colour * visible, visible), colour, atol=1e-4, rtol=0)


def test_filling_keeps_what_is_visible_and_stays_in_its_range():
    visible = (torch.rand(2, 1, 32, 32) > 0.8).float()
    seen = torch.rand(2, 3, 32, 32) * visible
    filled = fill(seen, visible)
    shown = visible.bool().expand_as(seen)
    assert torch.equal(filled[shown], seen[shown])
    assert filled.min() >= 0 and filled.max() <= 1 + 1e-5 and (filled[~shown] > 0).all()
    assert not fill(torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)).any()


def test_bits_of_the_state_by_hand():
    assert state_bits([0.75], noise=0.25) == pytest.approx(math.log2(10) / 2)
    assert state_bits([0.0] * 8) == 0
    assert state_bits([1, 2]) == pytest.approx(state_bits([1]) + state_bits([2]))
    assert state_bits([1.0], noise=1.0) == pytest.approx(0.5)


@pytest.fixture(scope="module")
def large() -> StateModifier:
    """A random M for crops of 128 pixels."""
    torch.manual_seed(6)
    network = StateModifier(ModifierConfig(size=128, width=4, blocks=1, reads="state", region=(0.2, 0.3)))
    nn.init.normal_(network.decoder[-1].weight, std=0.1)  # type: ignore[arg-type]
    return network.eval()


@torch.no_grad()
def test_a_large_crop_is_read_at_64_pixels(large: StateModifier):
    faces = torch.rand(2, 3, 128, 128)
    small = large.reader(nn.functional.avg_pool2d(faces, 2))
    reading = large.read(faces)
    assert reading.head.shape == reading.front.shape == (2, 1, 128, 128)
    assert torch.equal(reading.state, small.state)
    assert torch.equal(reading.landmarks, 2 * small.landmarks)
    torch.testing.assert_close(nn.functional.avg_pool2d(reading.head, 2), small.head, atol=0.2, rtol=0.1)


@torch.no_grad()
def test_a_large_crop_changes_in_its_region_alone_and_does_not_show_what_was_there(large: StateModifier):
    faces, codes = torch.rand(2, 3, 128, 128), torch.randn(2, CODE + 8)
    none = torch.zeros(2, 1, 128, 128)
    seen, opacity = large.remove_head(faces, none, none)
    assert opacity[0, 0, 60, 64] == 1 and opacity[0, 0, 4].max() == opacity[0, 0, :, 4].max() == 0
    drawn = large.draw(seen, torch.zeros(2, 8), codes)
    assert drawn.shape == (2, 3, 128, 128)
    other = torch.where(opacity > 0, torch.rand_like(faces), faces)
    again, _ = large.remove_head(other, none, none)
    assert torch.equal(large.draw(again, torch.zeros(2, 8), codes), drawn)
    assert not torch.equal(large.draw(seen, torch.ones(2, 8), codes), drawn)

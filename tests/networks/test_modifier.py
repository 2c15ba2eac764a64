from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from anonlib.config import ModifierConfig
from anonlib.networks import Modifier
from anonlib.networks.blocks import InstanceNorm, ResidualBlock

TINY = ModifierConfig(size=16, width=4, blocks=1)


def convolution(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * outputs * kernel**2 + outputs


def test_paper_scale_has_the_published_size_and_nine_blocks():
    with torch.device("meta"):
        modifier = Modifier(ModifierConfig())
    blocks = [m for m in modifier.modules() if isinstance(m, ResidualBlock)]
    assert len(blocks) == 9
    # two strides down, two convolutions a block, two steps up, 7x7 at both ends, norms without
    # parameters
    expected = (
        convolution(3, 64, 7)
        + convolution(64, 128, 3)
        + convolution(128, 256, 3)
        + 9 * 2 * convolution(256, 256, 3)
        + convolution(256, 128, 3)
        + convolution(128, 64, 3)
        + convolution(64, 3, 7)
    )
    assert sum(p.numel() for p in modifier.parameters()) == expected == 11_378_179


def test_every_convolution_but_the_last_is_followed_by_instance_norm():
    modifier = Modifier(TINY)
    kinds = [m for m in modifier.modules() if isinstance(m, nn.Conv2d | nn.InstanceNorm2d)]
    assert [isinstance(m, nn.Conv2d) for m in kinds] == [True, False] * 7 + [True]
    assert not any(m.affine or m.track_running_stats for m in kinds[1::2])  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [16, 24])
def test_faces_keep_their_shape_and_range(size: int):
    modifier = Modifier(TINY)
    nn.init.normal_(modifier.decoder[-1].weight, std=5.0)  # drives the output to its ends
    out = modifier(torch.rand(2, 3, size, size))
    assert out.shape == (2, 3, size, size)
    assert out.min() >= 0 and out.max() <= 1
    assert out.max() - out.min() > 0.9


def test_zero_before_the_last_activation_is_mid_grey():
    modifier = Modifier(TINY)
    nn.init.zeros_(modifier.decoder[-1].weight)
    nn.init.zeros_(modifier.decoder[-1].bias)
    torch.testing.assert_close(modifier(torch.rand(1, 3, 16, 16)), torch.full((1, 3, 16, 16), 0.5))


@pytest.mark.parametrize("training", [True, False])
def test_a_face_alone_is_modified_as_in_a_batch(training: bool):
    modifier = Modifier(TINY).train(training)
    faces = torch.rand(3, 3, 16, 16)
    together = modifier(faces)
    alone = torch.cat([modifier(face[None]) for face in faces])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)


def test_every_pixel_of_a_residual_block_sees_its_input_unchanged():
    block = ResidualBlock(4)
    last = block.body[2]
    assert isinstance(last, nn.Conv2d)
    nn.init.zeros_(last.weight)
    x = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(block(x), x)


def test_gradients_reach_every_parameter_that_can_matter_and_the_faces():
    modifier = Modifier(TINY)
    faces = torch.rand(2, 3, 16, 16, requires_grad=True)
    modifier(faces).square().sum().backward()

    def moved(grad: Tensor | None) -> bool:
        return grad is not None and bool(grad.abs().max() > 0)

    assert moved(faces.grad)
    # a bias before instance norm is subtracted again
    assert all(moved(p.grad) for n, p in modifier.named_parameters() if n.endswith("weight"))
    assert moved(modifier.decoder[-1].bias.grad)


@pytest.mark.parametrize("batch", [1, 2])
def test_gradients_through_the_norm_are_those_of_the_formula(batch: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(batch, 6, 5, 5).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(batch, 6, 5, 5).contiguous(memory_format=torch.channels_last)
    ours, plain = x.clone().requires_grad_(), x.clone().requires_grad_()
    (InstanceNorm(6)(ours) * weight).sum().backward()
    variance, mean = torch.var_mean(plain, dim=(2, 3), correction=0, keepdim=True)
    ((plain - mean) / (variance + 1e-5).sqrt() * weight).sum().backward()
    assert ours.grad is not None and plain.grad is not None
    torch.testing.assert_close(ours.grad, plain.grad, atol=1e-5, rtol=1e-4)

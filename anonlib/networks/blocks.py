"""Layers that several networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm that keeps the channels-last layout, in which convolutions are fast on CPUs."""

    def forward(self, x: Tensor) -> Tensor:
        """Every channel of every image at mean 0 and variance 1; `(B, C, H, W)` kept."""
        y = super().forward(x)
        if len(x) == 1 and y.requires_grad:  # PyTorch 2.11 on CPUs misreads one image's gradient
            y.register_hook(torch.Tensor.contiguous)
        return y.contiguous(memory_format=torch.channels_last)


def instance_norm_layer(inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    """Convolution with reflected borders, instance norm and ReLU, for M."""
    return nn.Sequential(
        nn.ReflectionPad2d(kernel // 2),
        nn.Conv2d(inputs, outputs, kernel, stride=stride),
        InstanceNorm(outputs),
        nn.ReLU(inplace=True),
    )


def batch_norm_layer(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm and ReLU, for A and SSH."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with instance norm, added to their input; `(B, C, H, W)` kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            instance_norm_layer(channels, channels, 3),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The input plus its residual."""
        return x + self.body(x)

"""Face modifier M: the image transformation network of Johnson et al. with residual blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anonlib.config import ModifierConfig


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm that keeps the channels-last layout, in which convolutions are fast on CPUs."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns x with every channel of every image at mean 0 and variance 1."""
        y = super().forward(x)
        if len(x) == 1 and y.requires_grad:  # PyTorch 2.11 on CPUs misreads one image's gradient
            y.register_hook(torch.Tensor.contiguous)
        return y.contiguous(memory_format=torch.channels_last)


def convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    """A convolution with reflected borders, instance norm and ReLU."""
    return nn.Sequential(
        nn.ReflectionPad2d(kernel // 2),
        nn.Conv2d(inputs, outputs, kernel, stride=stride),
        InstanceNorm(outputs),
        nn.ReLU(inplace=True),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with instance norm, added to their input; `(B, C, H, W)` kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, channels, 3),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns x plus its residual."""
        return x + self.body(x)


class Modifier(nn.Module):
    """M: a face in, another face in the same pose, light and scene out.

    Implements Ren et al., section 4, Face Modification: nine residual blocks and instance norm at
    256x256, 11.378 million parameters with the defaults.
    Differs from the paper: the decoder enlarges by nearest neighbour before a 3x3 convolution
    where Johnson et al. use a transposed convolution of the same number of parameters, because
    the latter draws checkerboards.

    >>> sum(p.numel() for p in Modifier(ModifierConfig()).parameters())
    11378179
    """

    def __init__(self, config: ModifierConfig) -> None:
        super().__init__()
        self.config = config
        w = config.width
        self.encoder = nn.Sequential(
            convolution(3, w, 7), convolution(w, 2 * w, 3, stride=2), convolution(2 * w, 4 * w, 3, stride=2)
        )
        self.blocks = nn.Sequential(*[ResidualBlock(4 * w) for _ in range(config.blocks)])
        self.decoder = nn.Sequential(
            nn.Upsample(scale_factor=2),
            convolution(4 * w, 2 * w, 3),
            nn.Upsample(scale_factor=2),
            convolution(2 * w, w, 3),
            nn.ReflectionPad2d(3),
            nn.Conv2d(w, 3, 7),
        )

    def forward(self, faces: Tensor) -> Tensor:
        """Modifies faces.

        Args:
            faces: `(B, 3, S, S)` in [0, 1], S a multiple of 4.

        Returns:
            `(B, 3, S, S)` in [0, 1].
        """
        x = faces * 2 - 1  # (B, 3, S, S)
        x = self.encoder(x)  # (B, 4w, S/4, S/4)
        x = self.blocks(x)
        x = self.decoder(x)  # (B, 3, S, S)
        return (torch.tanh(x) + 1) / 2

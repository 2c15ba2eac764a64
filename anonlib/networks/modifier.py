"""Face modifier M, as in the paper."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anonlib.config import ModifierConfig
from anonlib.networks.blocks import ResidualBlock, instance_norm_layer


class Modifier(nn.Module):
    """M: turns a face into another face with the same pose, light and scene.

    Implements Ren et al., section 4, Face Modification: the network of Johnson et al. with nine
    residual blocks and instance norm at 256x256; 11.378 million parameters with the defaults.
    Differs from the paper: the decoder upsamples by nearest neighbour and then convolves 3x3.
    Johnson et al. use a transposed convolution with as many parameters, which draws checkerboards.

    >>> sum(p.numel() for p in Modifier(ModifierConfig()).parameters())
    11378179
    """

    def __init__(self, config: ModifierConfig, *, inputs: int = 3, outputs: int = 3, kernel: int = 7) -> None:
        """`kernel` is the width of the first and of the last convolution."""
        super().__init__()
        self.config = config
        w = config.width
        self.encoder = nn.Sequential(
            instance_norm_layer(inputs, w, kernel),
            instance_norm_layer(w, 2 * w, 3, stride=2),
            instance_norm_layer(2 * w, 4 * w, 3, stride=2),
        )
        self.blocks = nn.Sequential(*[ResidualBlock(4 * w) for _ in range(config.blocks)])
        self.decoder = nn.Sequential(
            nn.Upsample(scale_factor=2),
            instance_norm_layer(4 * w, 2 * w, 3),
            nn.Upsample(scale_factor=2),
            instance_norm_layer(2 * w, w, 3),
            nn.ReflectionPad2d(kernel // 2),
            nn.Conv2d(w, outputs, kernel),
        )

    def forward(self, faces: Tensor) -> Tensor:
        """Modified faces, `(B, 3, S, S)` in [0, 1] to the same; S is a multiple of 4."""
        x = faces * 2 - 1  # (B, 3, S, S)
        x = self.encoder(x)  # (B, 4w, S/4, S/4)
        x = self.blocks(x)
        x = self.decoder(x)  # (B, 3, S, S)
        return (torch.tanh(x) + 1) / 2

    def layer(self, faces: Tensor) -> Tensor:
        """What is pasted into the frame: all of the modified faces, `(B, 3, S, S)`."""
        return self(faces)

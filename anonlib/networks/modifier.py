"""Face modifier M, as in the paper (`Modifier`) and small enough for a CPU (`LiteModifier`)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.config import LiteModifierConfig, ModifierConfig
from anonlib.networks.blocks import ResidualBlock, instance_norm_layer

_RADII = (0.44, 0.49)
"""Half-axes of the veiled ellipse, as shares of the side."""
_FEATHER = 0.06
"""Width of the ellipse's soft edge, as a share of its radius."""


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


class LiteModifier(nn.Module):
    """M for real faces on a CPU.

    M sees only a grid of 12x12 cells of the head (`veil`), so it cannot pass on finer detail. A
    recogniser that is retrained on modified faces learns no more than the veiled faces hold. M
    draws facial features into the veiled area, and the adversarial loss makes them differ from
    the person's own. Hair and scene outside the area pass unchanged.

    Implements Ren et al., section 4, Face Modification.
    Differs from the paper: M sees a veiled head; M adds its output to this input; 128x128 pixels;
    fewer channels and blocks; every 2x2 pixels are folded into 12 channels (Shi et al., CVPR
    2016), so that convolutions cost a quarter.

    >>> network = LiteModifier(LiteModifierConfig(size=32, width=8, blocks=1, cells=4))
    >>> network(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 3, 32, 32])
    """

    mask: Tensor

    def __init__(self, config: LiteModifierConfig) -> None:
        super().__init__()
        self.config = config
        w = config.width
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            instance_norm_layer(12, w, 3),
            instance_norm_layer(w, 2 * w, 3, stride=2),
            instance_norm_layer(2 * w, 4 * w, 3, stride=2),
        )
        self.blocks = nn.Sequential(*[ResidualBlock(4 * w) for _ in range(config.blocks)])
        self.decoder = nn.Sequential(
            nn.Upsample(scale_factor=2),
            instance_norm_layer(4 * w, 2 * w, 3),
            nn.Upsample(scale_factor=2),
            instance_norm_layer(2 * w, w, 3),
            nn.ReflectionPad2d(1),
            nn.Conv2d(w, 12, 3),
            nn.PixelShuffle(2),
        )
        self.register_buffer("mask", veil_mask(config.size), persistent=False)

    def forward(self, faces: Tensor) -> Tensor:
        """Modified faces, `(B, 3, S, S)` in [0, 1] to the same; S is `config.size`."""
        seen = veil(faces, cells=self.config.cells, mask=self.mask) * 2 - 1  # (B, 3, S, S)
        x = self.encoder(seen)  # (B, 4w, S/8, S/8)
        x = self.decoder(self.blocks(x))  # (B, 3, S, S)
        return ((seen + x + 1) / 2).clamp(0, 1)

    def layer(self, faces: Tensor) -> Tensor:
        """What is pasted into the frame: all of the modified faces, `(B, 3, S, S)`."""
        return self(faces)


def veil(faces: Tensor, *, cells: int, mask: Tensor) -> Tensor:
    """Faces `(B, 3, S, S)` in [0, 1] with nothing finer than a grid of `cells` x `cells` in the mask.

    Where the mask, `(1, 1, S, S)` in [0, 1], is 0, they are unchanged; see `veil_mask`.
    """
    coarse = F.adaptive_avg_pool2d(faces, cells)
    coarse = F.interpolate(coarse, faces.shape[2:], mode="bilinear", align_corners=False)
    return mask * coarse + (1 - mask) * faces


def veil_mask(size: int) -> Tensor:
    """Where the head is in a face box enlarged 1.6x: `(1, 1, size, size)`, 1 in an ellipse, 0 outside.

    The ellipse holds the whole box before the enlargement, unless the border of the frame cut the
    enlarged box, which is then off centre.

    >>> mask = veil_mask(128)[0, 0]
    >>> mask[64, 64].item(), mask[0, 0].item(), mask[30, 30].item()
    (1.0, 0.0, 1.0)
    """
    line = (torch.arange(size) + 0.5) / size - 0.5
    y, x = torch.meshgrid(line, line, indexing="ij")
    away = ((x / _RADII[0]) ** 2 + (y / _RADII[1]) ** 2).sqrt()
    return ((1 + _FEATHER - away) / _FEATHER).clamp(0, 1)[None, None]

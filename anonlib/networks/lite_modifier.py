"""A face modifier for real faces on a CPU: what it reads of a head is coarse, what it draws is not.

The 128 pixels of a face go through the network as 64: every 2x2 block of pixels is a place with
twelve channels (Shi et al., CVPR 2016), so that its convolutions cost a quarter.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.config import LiteModifierConfig
from anonlib.networks.modifier import ResidualBlock, convolution

_RADII = (0.44, 0.49)
"""Of the veiled ellipse, in shares of the side: it holds the whole box before the enlargement."""
_FEATHER = 0.06


def veil_mask(size: int) -> Tensor:
    """Where a head is in a box that was enlarged 1.6x: 1 inside an ellipse, 0 outside.

    Returns:
        `(1, 1, size, size)` in [0, 1]; 1 on the whole box as it was before the enlargement. A
        box enlarged over the frame's border and cut there is not in the middle: the ellipse does
        not hold all of it.

    >>> mask = veil_mask(128)[0, 0]
    >>> mask[64, 64].item(), mask[0, 0].item(), mask[30, 30].item()
    (1.0, 0.0, 1.0)
    """
    line = (torch.arange(size) + 0.5) / size - 0.5
    y, x = torch.meshgrid(line, line, indexing="ij")
    away = ((x / _RADII[0]) ** 2 + (y / _RADII[1]) ** 2).sqrt()
    return ((1 + _FEATHER - away) / _FEATHER).clamp(0, 1)[None, None]


def veil(faces: Tensor, *, cells: int, mask: Tensor) -> Tensor:
    """Faces of which nothing finer than a grid of cells is left where the mask is 1.

    At its feathered edge detail fades out; where it is 0 the face stays as it is.

    Args:
        faces: `(B, 3, S, S)` in [0, 1].
        cells: of the grid, a side.
        mask: `(1, 1, S, S)` from `veil_mask`.

    Returns:
        `(B, 3, S, S)` in [0, 1].
    """
    coarse = F.adaptive_avg_pool2d(faces, cells)
    coarse = F.interpolate(coarse, faces.shape[2:], mode="bilinear", align_corners=False)
    return mask * coarse + (1 - mask) * faces  # nothing of a face is left where the mask is 1


class LiteModifier(nn.Module):
    """M for real faces: a face through a veil in, another face in the same pose and light out.

    The veil bounds what anybody can learn from the output: whoever retrains a recogniser on
    modified faces sees a function of the veiled ones. Inside it the network draws features that
    the adversarial loss keeps away from the person's own; outside, hair and scene pass.

    Implements Ren et al., section 4, Face Modification, in its role.
    Differs from the paper: M reads the head through a grid of cells; it adds to what it reads
    instead of drawing anew; pixels are shuffled into channels; 128 pixels a side, fewer channels
    and blocks.

    >>> from anonlib.config import LiteModifierConfig
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
            convolution(12, w, 3),
            convolution(w, 2 * w, 3, stride=2),
            convolution(2 * w, 4 * w, 3, stride=2),
        )
        self.blocks = nn.Sequential(*[ResidualBlock(4 * w) for _ in range(config.blocks)])
        self.decoder = nn.Sequential(
            nn.Upsample(scale_factor=2),
            convolution(4 * w, 2 * w, 3),
            nn.Upsample(scale_factor=2),
            convolution(2 * w, w, 3),
            nn.ReflectionPad2d(1),
            nn.Conv2d(w, 12, 3),
            nn.PixelShuffle(2),
        )
        self.register_buffer("mask", veil_mask(config.size), persistent=False)

    def forward(self, faces: Tensor) -> Tensor:
        """Modifies faces.

        Args:
            faces: `(B, 3, S, S)` in [0, 1], S as in the configuration.

        Returns:
            `(B, 3, S, S)` in [0, 1].
        """
        seen = veil(faces, cells=self.config.cells, mask=self.mask) * 2 - 1  # (B, 3, S, S)
        x = self.encoder(seen)  # (B, 4w, S/8, S/8)
        x = self.decoder(self.blocks(x))  # (B, 3, S, S)
        return ((seen + x + 1) / 2).clamp(0, 1)

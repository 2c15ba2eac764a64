"""A small network that tries to undo an anonymizer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anonlib.networks.blocks import ResidualBlock, instance_norm_layer


class Restorer(nn.Module):
    """Clear faces from modified ones, `(B, 3, H, W)` in [0, 1] to the same; H and W are multiples of 8,
    at least 16.

    Every 2x2 pixels are folded into 12 channels (Shi et al., CVPR 2016). The blocks work at an eighth of the
    resolution, where they see most of the face; a shortcut keeps detail that passed the method unchanged.

    Differs from the paper: the paper has no attacker that restores faces.

    >>> Restorer(width=4, blocks=1)(torch.rand(2, 3, 24, 16)).shape
    torch.Size([2, 3, 24, 16])
    """

    def __init__(self, *, width: int = 32, blocks: int = 4) -> None:
        super().__init__()
        self.fold = nn.PixelUnshuffle(2)
        self.near = nn.Sequential(nn.Conv2d(12, width, 3, padding=1), nn.ReLU(inplace=True))
        self.far = nn.Sequential(
            instance_norm_layer(width, 2 * width, 3, stride=2),
            instance_norm_layer(2 * width, 4 * width, 3, stride=2),
            *[ResidualBlock(4 * width) for _ in range(blocks)],
            nn.Upsample(scale_factor=4),
            nn.Conv2d(4 * width, width, 3, padding=1),
        )
        self.draw = nn.Sequential(
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, modified: Tensor) -> Tensor:
        """Restored faces."""
        near = self.near(self.fold(modified * 2 - 1))  # (B, w, H/2, W/2)
        drawn: Tensor = self.draw(torch.cat([near, self.far(near)], 1))  # (B, 3, H, W)
        return torch.sigmoid(drawn)

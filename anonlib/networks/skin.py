"""Which pixels of a face crop are the visible skin of the face, and which are something in front of it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.networks.blocks import batch_norm_layer

SIDE = 96
"""Side in pixels of the crop that the network takes."""
_WIDTHS = (16, 24, 48, 64)


class SkinMask(nn.Module):
    """A small U-Net (Ronneberger et al., MICCAI 2015) from an upright face crop to the skin of the face.

    Skin includes eyes, brows, lips, beard and glasses: all that a new face replaces. Hands, tools, hair over
    the face, hats and other heads are not skin.

    Differs from the paper: the paper has no such network; it replaces nothing pixel by pixel.

    >>> import torch
    >>> network = SkinMask().eval()
    >>> network(torch.rand(2, 4, 96, 96)).shape, sum(p.numel() for p in network.parameters())
    (torch.Size([2, 1, 96, 96]), 177804)
    """

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = _WIDTHS
        self.first = batch_norm_layer(16, a)
        self.second = nn.Sequential(batch_norm_layer(a, b, stride=2), batch_norm_layer(b, b))
        self.third = nn.Sequential(batch_norm_layer(b, c, stride=2), batch_norm_layer(c, c))
        self.fourth = nn.Sequential(
            batch_norm_layer(c, d, stride=2), batch_norm_layer(d, d), batch_norm_layer(d, d)
        )
        self.narrow = nn.ModuleList([nn.Conv2d(d, c, 1), nn.Conv2d(c, b, 1), nn.Conv2d(b, a, 1)])
        self.merge = nn.ModuleList([batch_norm_layer(n, n) for n in (c, b, a)])
        self.last = nn.Conv2d(a, 4, 3, padding=1)

    def forward(self, crops: Tensor) -> Tensor:
        """Logits `(B, 1, 96, 96)`; above 0 is skin.

        Args:
            crops: `(B, 4, 96, 96)` in [0, 1]: RGB, and the filled outline of the mesh.
        """
        x = F.pixel_unshuffle(crops - 0.5, 2)  # (B, 16, 48, 48)
        x = self.first(x)
        skips = [x]
        for stage in (self.second, self.third):
            skips.append(stage(skips[-1]))  # (B, 24, 24, 24), (B, 48, 12, 12)
        x = self.fourth(skips[-1])  # (B, 64, 6, 6)
        for narrow, merge, skip in zip(self.narrow, self.merge, reversed(skips), strict=True):
            x = F.interpolate(narrow(x), scale_factor=2.0, mode="nearest")
            x = merge(x + skip)
        return F.pixel_shuffle(self.last(x), 2)

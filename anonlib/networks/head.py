"""Two small networks for heads: one finds hair, skin and clothes, the other shades a drawn head.

Both look at a square frame that is aligned to the head (`anonlib.anonymizers.swap.head`).
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _Block(nn.Module):
    """A 3x3 convolution, then a separable one that is added to it; `(B, C, H, W)`."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.depthwise = nn.Conv2d(outputs, outputs, 3, 1, 1, groups=outputs, bias=False)
        self.pointwise = nn.Conv2d(outputs, outputs, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first_norm(self.first(x)))
        return F.relu(x + self.second_norm(self.pointwise(self.depthwise(x))))


class HeadNet(nn.Module):
    """A U-Net that also sees each pixel's place; `(B, inputs, side, side)` to `(B, outputs, side, side)`."""

    place: Tensor

    def __init__(self, *, inputs: int, outputs: int, side: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.side = side
        steps = list(pairwise(widths))
        self.down = nn.ModuleList([_Block(a, b, 2) for a, b in [(inputs + 2, widths[0]), *steps]])
        self.up = nn.ModuleList([_Block(a + b, a) for a, b in reversed(steps)])
        self.out = nn.Conv2d(widths[0], outputs, 3, 1, 1)
        centres = (torch.arange(side) + 0.5) * 2 / side - 1
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        self.register_buffer("place", torch.stack([x, y])[None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs at the resolution of the inputs."""
        x = torch.cat([x, self.place.expand(len(x), -1, -1, -1)], 1)
        kept = []
        for down in self.down:
            x = down(x)
            kept.append(x)
        for up, skipped in zip(self.up, kept[-2::-1], strict=True):
            x = up(torch.cat([F.interpolate(x, scale_factor=2.0), skipped], 1))
        return F.interpolate(self.out(x), scale_factor=2.0, mode="bilinear", align_corners=False)


def head_parser() -> HeadNet:
    """RGB minus 0.5 to logits of hair, skin, clothes and background, 96 pixels a side."""
    return HeadNet(inputs=3, outputs=4, side=96, widths=(12, 20, 32, 48, 48))


def head_shader() -> HeadNet:
    """Hair, skin, light from the right and from below, to the appearance of a head, 64 pixels a side.

    The seven outputs are log luma of hair relative to its mean, log RGB of skin relative to the face,
    cosine and sine of twice the angle of the strands, and log contrast of the strands.
    """
    return HeadNet(inputs=4, outputs=7, side=64, widths=(16, 24, 32))

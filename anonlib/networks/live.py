"""The network of live de-identification, at 64 pixels, and the maps of a face network that its loss compares.

Its critic is `networks.critic.PatchCritic`.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.config import ClassifierConfig, LiveConfig
from anonlib.networks.sphereface import SphereFace

SIZE = 64
"""Side in pixels of the aligned faces that the network reads and draws."""
_GROUPS = 4


def _norm(channels: int) -> nn.Module:
    return nn.GroupNorm(_GROUPS, channels)


class _Down(nn.Sequential):
    """A depth-wise separable convolution at half the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        each = nn.Conv2d(inputs, inputs, 3, stride=2, padding=1, groups=inputs)
        super().__init__(each, nn.Conv2d(inputs, outputs, 1), _norm(outputs), nn.LeakyReLU(0.2))


class _Up(nn.Module):
    """Twice the side by shuffled pixels, then a residual convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        grow = nn.Conv2d(inputs, 4 * outputs, 3, padding=1)
        self.grow = nn.Sequential(grow, _norm(4 * outputs), nn.LeakyReLU(0.2), nn.PixelShuffle(2))
        self.body = nn.Sequential(nn.Conv2d(outputs, outputs, 3, padding=1), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        x = self.grow(x)
        return x + self.body(x)


class LiveNetwork(nn.Module):
    """Draws a face again, less like the person of a target picture, and a mask of where to use the drawing.

    Implements Gafni, Wolf and Taigman, Live Face De-Identification in Video, ICCV 2019: encoder of depth-wise
    separable convolutions, bottleneck joined with the descriptor of a target picture, decoder with image and
    mask, one thin skip. These shapes are from memory; no public code was found. Differs from the paper: 64
    pixels instead of 128 or 256; group norm instead of instance norm, which removes the colour of the skin;
    the strength is one more number at the bottleneck, where the paper trains a network for each lambda.

    >>> network = LiveNetwork(LiveConfig(width=4, bottleneck=8, features=8))
    >>> drawn, mask = network(torch.rand(2, 3, 64, 64), torch.zeros(2, 8), torch.tensor([0.0, 1.0]))
    >>> drawn.shape, mask.shape
    (torch.Size([2, 3, 64, 64]), torch.Size([2, 1, 64, 64]))
    """

    def __init__(self, config: LiveConfig) -> None:
        super().__init__()
        self.config = config
        w = config.width
        widths = (w, 2 * w, 4 * w, 6 * w, 10 * w, 12 * w)
        self.first = nn.Conv2d(3, w, 3, padding=1)
        self.down = nn.ModuleList([_Down(a, b) for a, b in pairwise(widths)])  # to 2 pixels
        self.code = nn.Linear(widths[-1] * 4, config.bottleneck)
        self.join = nn.Linear(config.bottleneck + config.features + 1, 3 * w * 16)
        self.link = nn.Conv2d(4 * w, 1, 1)
        ups = ((3 * w, 3 * w), (3 * w, 2 * w), (2 * w + 1, w + w // 2), (w + w // 2, w))
        self.up = nn.ModuleList([_Up(a, b) for a, b in ups])  # to 64 pixels
        self.image, self.mask = (nn.Conv2d(w, outputs, 3, padding=1) for outputs in (3, 1))

    def forward(self, faces: Tensor, targets: Tensor, strengths: Tensor) -> tuple[Tensor, Tensor]:
        """Drawn faces `(B, 3, SIZE, SIZE)` and their masks `(B, 1, SIZE, SIZE)`, both in [0, 1].

        `faces` are aligned, `(B, 3, SIZE, SIZE)` in [0, 1]; `targets` are the `(B, features)` descriptors of
        length one; `strengths` `(B,)` are in [0, 1].
        """
        x, maps = self.first(faces * 2 - 1), []
        for layer in self.down:
            maps.append(x := layer(x))
        code = F.leaky_relu(self.code(x.flatten(1)), 0.2)
        spread = targets * self.config.features**0.5  # about unit variance, as the other numbers
        joined = torch.cat([code, spread, 2 * strengths[:, None] - 1], 1)
        x = F.leaky_relu(self.join(joined), 0.2).unflatten(1, (-1, 4, 4))
        x = self.up[1](self.up[0](x))
        x = torch.cat([x, self.link(maps[1]).tanh()], 1)  # 16x16, one channel
        x = self.up[3](self.up[2](x))
        return (self.image(x).tanh() + 1) / 2, self.mask(x).sigmoid()


def face_network(people: int, *, width: int = 12, features: int = 64, size: int = 48) -> SphereFace:
    """A face network, whose descriptors name the target and whose maps the loss compares.

    Implements the face network of Gafni et al. Differs from the paper: SphereFace-10 trained on drawn people
    instead of a ResNet-50 trained on VGGFace2. It sees 64 pixels in height and `size` in width.
    """
    return SphereFace(
        ClassifierConfig(size=(64, size), depth=10, width=width, features=features), people=people
    )


def activations(network: SphereFace, aligned: Tensor) -> list[Tensor]:
    """The maps at 1/2, 1/4, 1/8 and 1/16 of aligned faces, then the descriptor `(B, F)` of length one.

    Faces are `(B, 3, height, width)` in [0, 1] from `geometry.align_faces`.
    """
    x, maps = aligned * 2 - 1, []
    for layer in network.stages:
        if isinstance(layer, nn.Conv2d) and x.shape[1] != 3:  # the next stage begins
            maps.append(x)
        x = layer(x)
    return [*maps, x, F.normalize(network.embed(x.flatten(1)), dim=1)]

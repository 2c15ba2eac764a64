"""CIAGAN's generator and identity network, at 64 pixels.

Its critic is `networks.critic.PatchCritic` with six channels, the picture and its drawing.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from anonlib.config import CiaganConfig, ClassifierConfig
from anonlib.networks.blocks import InstanceNorm, ResidualBlock
from anonlib.networks.sphereface import SphereFace

SIZE = 64
"""Side in pixels of the pictures that the networks read and draw."""


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Module:
    """Convolution with reflected borders and spectral normalisation."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, padding_mode="reflect")
    nn.init.xavier_normal_(layer.weight)
    nn.init.constant_(layer.bias, 0.01)  # type: ignore[arg-type]
    return spectral_norm(layer)


class _Down(nn.Module):
    """Two convolutions beside a shortcut, at half the side; then instance norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        first, second = _convolution(inputs, outputs, 3), _convolution(outputs, outputs, 3)
        self.body = nn.Sequential(nn.ReLU(), first, nn.ReLU(), second)
        self.shortcut, self.norm = _convolution(inputs, outputs, 1), InstanceNorm(outputs, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.avg_pool2d(self.body(x) + self.shortcut(x), 2))


class _Up(nn.Module):
    """Two convolutions beside a shortcut, at twice the side; then instance norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        first, second = _convolution(inputs, outputs, 3), _convolution(outputs, outputs, 3)
        start = [InstanceNorm(inputs, affine=True), nn.ReLU(), nn.Upsample(scale_factor=2), first]
        self.body = nn.Sequential(*start, InstanceNorm(outputs, affine=True), nn.ReLU(), second)
        self.shortcut, self.norm = _convolution(inputs, outputs, 1), InstanceNorm(outputs, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.body(x) + F.interpolate(self.shortcut(x), scale_factor=2.0))


class CiaganGenerator(nn.Module):
    """Draws a wanted training person into the hole of a picture, in the pose of a drawing.

    Implements Maximov et al. (CIAGAN, CVPR 2020), the conditional generator with the identity branch, in the
    variant for 64 pixels. Differs from the paper: the public code's variant cannot run, because its last
    layer expects other channels; here it fits. Widths are `config.width` / 64 of that code's, and there are
    `config.blocks` residual blocks instead of 4.

    >>> network = CiaganGenerator(CiaganConfig(people=5, width=8, blocks=1))
    >>> network(torch.rand(2, 6, 64, 64), torch.tensor([0, 4])).shape
    torch.Size([2, 3, 64, 64])
    """

    def __init__(self, config: CiaganConfig) -> None:
        super().__init__()
        self.config = config
        w = config.width
        self.encoder = nn.Sequential(*[_Down(a, b) for a, b in pairwise((6, w, 2 * w, 4 * w, 4 * w))])
        layers: list[nn.Module] = []
        for a, b in pairwise((config.people, 4 * w, 4 * w, 4 * w, 4 * w, 8 * w, 8 * w, 8 * w)):
            layers += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
        layers.append(nn.Unflatten(1, (w // 2, 4, 4)))
        for a, b in pairwise((w // 2, w, 2 * w, 4 * w)):
            layers += [nn.Conv2d(a, b, 3, padding=1), nn.LeakyReLU(0.2), InstanceNorm(b)]
        self.identity = nn.Sequential(*layers)
        for layer in layers:
            if isinstance(layer, nn.Linear | nn.Conv2d):  # so that people differ from the start
                nn.init.kaiming_normal_(layer.weight, a=0.2)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.join = nn.Sequential(nn.Conv2d(8 * w, 4 * w, 3, padding=1), InstanceNorm(4 * w))
        self.blocks = nn.Sequential(*[ResidualBlock(4 * w) for _ in range(config.blocks)])
        ups = [_Up(a, b) for a, b in pairwise((4 * w, 4 * w, 2 * w, w, w // 2))]
        last = nn.Conv2d(w // 2, 3, 3, padding=1, padding_mode="reflect")
        nn.init.normal_(last.weight, std=0.01)  # at first the face is grey
        nn.init.constant_(last.bias, 0.5)  # type: ignore[arg-type]
        self.decoder = nn.Sequential(*ups, last)

    def forward(self, seen: Tensor, people: Tensor) -> Tensor:
        """Faces of the training people `(B,)`, counted from 0: `(B, 3, SIZE, SIZE)`, not clamped.

        `seen` is `(B, 6, SIZE, SIZE)` in [0, 1]: drawing, and picture with a hole.
        """
        code = F.one_hot(people, self.config.people).to(seen)
        x = torch.cat([self.encoder(seen), self.identity(code)], 1)  # (B, 8w, 4, 4)
        return self.decoder(self.blocks(self.join(x)))


def identity_network(people: int, *, width: int = 16) -> SphereFace:
    """The network that guides the generator. Its `identities` are the proxies of Proxy-NCA.

    Implements the identity discriminator of Maximov et al.; features are compared by Euclidean distance.
    Differs from the paper: the layers are those of SphereFace-10, not of ResNet-18; 128 features, not 1200.
    """
    config = ClassifierConfig(size=(SIZE, SIZE), depth=10, width=width, features=128)
    return SphereFace(config, people=people)

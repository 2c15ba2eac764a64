"""A critic (GAN discriminator) of real and modified pictures, for the pre-training of M."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchCritic(nn.Module):
    """Rates overlapping patches of 38x38 pixels, with spectral normalisation.

    Implements the PatchGAN discriminator of Isola et al., CVPR 2017. Differs from the paper: Ren et
    al. have no critic. CIAGAN's has fully connected layers that see the whole picture.

    >>> import torch
    >>> PatchCritic(width=8)(torch.rand(2, 3, 64, 64)).shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(self, *, width: int = 24, inputs: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for outputs in (width, 2 * width, 4 * width):
            layers.append(spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)))
            layers.append(nn.LeakyReLU(0.2))
            inputs = outputs
        layers.append(spectral_norm(nn.Conv2d(inputs, 1, 3, padding=1)))
        self.layers = nn.Sequential(*layers)

    def forward(self, faces: Tensor) -> Tensor:
        """One rating for each patch: `(B, inputs, S, S)` in [0, 1] to `(B, 1, S/8, S/8)`."""
        return self.layers(faces * 2 - 1)

"""Critic that tells photographs from modified faces, and its losses; ours, for realism on real faces."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchCritic(nn.Module):
    """Rates overlapping patches of 38x38 pixels, with spectral normalisation.

    Implements the PatchGAN discriminator of Isola et al., CVPR 2017. Differs from the paper: Ren et
    al. have no critic.

    >>> import torch
    >>> PatchCritic(width=8)(torch.rand(2, 3, 64, 64)).shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(self, *, width: int = 24) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for outputs in (width, 2 * width, 4 * width):
            layers.append(spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)))
            layers.append(nn.LeakyReLU(0.2))
            inputs = outputs
        layers.append(spectral_norm(nn.Conv2d(inputs, 1, 3, padding=1)))
        self.layers = nn.Sequential(*layers)

    def forward(self, faces: Tensor) -> Tensor:
        """One rating for each patch: `(B, 3, S, S)` in [0, 1] to `(B, 1, S/8, S/8)`."""
        return self.layers(faces * 2 - 1)


def critic_loss(real: Tensor, modified: Tensor) -> Tensor:
    """What the critic minimises: its output should be 1 for photographs and 0 for modified faces.

    Implements Mao et al. (LSGAN, ICCV 2017), Eq. (2), b = 1, a = 0.
    Differs from the paper: Ren et al. have no critic, only the L1 loss keeps faces realistic.

    Args:
        real: `(B, ...)` outputs for photographs.
        modified: `(B, ...)` outputs for modified faces.

    >>> critic_loss(torch.ones(2), torch.zeros(2)).item()
    0.0
    """
    return ((real - 1).square().mean() + modified.square().mean()) / 2


def realism_loss(modified: Tensor) -> Tensor:
    """What M minimises: the critic's `(B, ...)` outputs for modified faces should be 1.

    Implements Mao et al. (LSGAN, ICCV 2017), Eq. (2), c = 1. Differs from the paper: as above.

    >>> realism_loss(torch.zeros(2)).item()
    0.5
    """
    return (modified - 1).square().mean() / 2

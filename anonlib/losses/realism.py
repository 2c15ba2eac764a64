"""The least-squares game between M and a critic that tells drawn faces from photographed ones."""

from __future__ import annotations

from torch import Tensor


def critic_loss(real: Tensor, drawn: Tensor) -> Tensor:
    """What the critic minimises: 1 for photographs, 0 for what M drew.

    Implements Mao et al. (LSGAN, ICCV 2017), Eq. (2), b = 1, a = 0.
    Differs from the paper: Ren et al. have no critic; their L1 term alone keeps faces realistic.

    Args:
        real: `(B, ...)` values for photographs.
        drawn: `(B, ...)` values for modified faces.

    >>> import torch
    >>> critic_loss(torch.ones(2), torch.zeros(2)).item()
    0.0
    """
    return ((real - 1).square().mean() + drawn.square().mean()) / 2


def realism_loss(drawn: Tensor) -> Tensor:
    """What M minimises of it: its faces should count as photographs.

    >>> import torch
    >>> realism_loss(torch.zeros(2)).item()
    0.5
    """
    return (drawn - 1).square().mean() / 2

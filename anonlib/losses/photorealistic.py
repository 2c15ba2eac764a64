"""The photorealistic loss of Eq. (3)."""

from __future__ import annotations

from torch import Tensor


def photorealistic_loss(modified: Tensor, original: Tensor, *, weight: float = 1.0) -> Tensor:
    """lambda ||M(f) - f||_1, the mean over faces, channels and pixels.

    Implements Ren et al., Eq. (3). Differs from the paper: none; the norm is a mean over pixels,
    so that lambda does not depend on the size of a face.

    Args:
        modified: `(B, 3, H, W)` in [0, 1].
        original: `(B, 3, H, W)` in [0, 1].
        weight: lambda.

    Returns:
        A scalar; 0 when nothing was changed.

    >>> import torch
    >>> f = torch.zeros(1, 3, 2, 2)
    >>> photorealistic_loss(f + 0.5, f, weight=2.0).item()
    1.0
    """
    return weight * (modified - original).abs().mean()

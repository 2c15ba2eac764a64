"""How far a modified face differs from its original, and how much detail it has."""

from __future__ import annotations

from torch import Tensor


def l1_distance(images: Tensor, others: Tensor) -> Tensor:
    """Mean absolute difference of images `(B, 3, H, W)` in [0, 1] from others; `(B,)` in [0, 1].

    Implements Ren et al., Eq. (3), without its weight. Differs from the paper: a mean over pixels
    and channels instead of a sum, so that it does not grow with the image.

    >>> import torch
    >>> l1_distance(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.25))
    tensor([0.2500])
    """
    if images.shape != others.shape:
        raise ValueError(f"images {tuple(images.shape)} and {tuple(others.shape)} differ in shape")
    return (images - others).abs().mean(dim=(1, 2, 3))


def psnr(images: Tensor, others: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of images `(B, 3, H, W)` in [0, 1] to others, in dB; `(B,)`.

    >>> import torch
    >>> psnr(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.1))
    tensor([20.])
    """
    return -10 * (images - others).square().mean(dim=(1, 2, 3)).log10()


def gradient_energy(images: Tensor) -> Tensor:
    """Mean squared difference of horizontal neighbours plus that of vertical ones; `(B,)` in [0, 2].

    It is low for blurred faces, high for noise and checkerboards. Images are `(B, 3, H, W)` in
    [0, 1], at least two pixels a side.

    >>> import torch
    >>> gradient_energy(torch.tensor([0.0, 1.0]).expand(1, 3, 2, 2))
    tensor([1.])
    """
    across = images[..., :, 1:] - images[..., :, :-1]
    down = images[..., 1:, :] - images[..., :-1, :]
    return across.square().mean(dim=(1, 2, 3)) + down.square().mean(dim=(1, 2, 3))


def total_variation(images: Tensor) -> Tensor:
    """Mean absolute difference of horizontal neighbours plus that of vertical ones; `(B,)` in [0, 2].

    It is low for natural pictures, whose edges are few. Images are as for `gradient_energy`.

    >>> import torch
    >>> total_variation(torch.tensor([0.0, 0.5]).expand(1, 3, 2, 2))
    tensor([0.5000])
    """
    across, down = images.diff(dim=3).abs(), images.diff(dim=2).abs()
    return across.mean(dim=(1, 2, 3)) + down.mean(dim=(1, 2, 3))

"""What SSH and CenterFace share: checks of their settings, the size of their pictures, compilation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.errors import ConfigError
from anonlib.networks.compiled import compiled_if_possible

COARSEST = 32
"""Height and width of the pictures are multiples of this."""


def check_settings(*, threshold: float, longest: int) -> None:
    """Raises ConfigError if the threshold is not a probability, or `longest` is under 32 pixels."""
    if not 0 <= threshold <= 1:
        raise ConfigError(f"threshold {threshold}: use a number from 0 to 1")
    if longest < COARSEST:
        raise ConfigError(f"longest side {longest}: use {COARSEST} pixels or more")


def fast(network: nn.Module, *, device: str) -> nn.Module:
    """The network; on a CPU compiled for frames of any size."""
    if device != "cpu":
        return network
    example = torch.rand(2, 3, 2 * COARSEST, 3 * COARSEST)
    return compiled_if_possible(network, example, threads=1, free_sides=True, keep=True)


def sized(frames: Tensor, *, longest: int, enlarged: float = 1.0) -> tuple[Tensor, Tensor]:
    """Frames `(B, 3, H, W)` whose longer side is at most `longest` pixels.

    Smaller ones are enlarged up to `enlarged` times. They are padded right and below to multiples of 32. The
    second result, `(2,)`, is the width and height of one of their pixels in pixels of the frame.

    >>> small, scale = sized(torch.rand(1, 3, 100, 200), longest=100)
    >>> small.shape, scale
    (torch.Size([1, 3, 64, 128]), tensor([2., 2.]))
    >>> sized(torch.rand(1, 3, 100, 200), longest=960, enlarged=2.0)[0].shape
    torch.Size([1, 3, 224, 416])
    """
    height, width = frames.shape[2:]
    share = min(enlarged, longest / max(height, width))
    size = (max(1, round(height * share)), max(1, round(width * share)))
    if size != (height, width):
        frames = F.interpolate(frames, size, mode="bilinear", antialias=share < 1)
    below, right = (-side % COARSEST for side in size)
    return F.pad(frames, (0, right, 0, below)), torch.tensor([width / size[1], height / size[0]])

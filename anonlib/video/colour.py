"""Luma and chroma to RGB and back, by the matrix and the range that a frame names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

BT709, BT601, BT2020 = 1, 5, 9
_LUMA = {BT709: (0.2126, 0.0722), BT601: (0.299, 0.114), BT2020: (0.2627, 0.0593)}
_SAME = {1: BT709, 4: BT601, 5: BT601, 6: BT601, 9: BT2020, 10: BT2020}
_FULL = 2
_HD = 720


@dataclass(frozen=True, slots=True)
class Colour:
    """How bytes of luma and chroma stand for colours."""

    matrix: int = BT601
    """BT709, BT601 or BT2020."""
    full: bool = False
    """Whether luma takes 0 to 255 rather than 16 to 235."""

    def tint(self, differences: Tensor) -> Tensor:
        """What `(2, h, w)` uint8 blue and red differences add to red, green and blue."""
        forward, _ = _matrices(self)
        return torch.tensordot(forward[:, 1:], differences.float() - 128, dims=1)

    def to_rgb(self, luma: Tensor, tint: Tensor) -> Tensor:
        """`(h, w)` uint8 luma and a tint `(3, h, w)` to float RGB in [0, 1].

        >>> Colour().to_rgb(torch.tensor([[16, 235]]), torch.zeros(3, 1, 2))[0].tolist()
        [[0.0, 1.0]]
        """
        black, reach = (0, 255) if self.full else (16, 219)
        return (tint + (luma.float() - black) / reach).clamp_(0, 1)

    def to_luma(self, rgb: Tensor) -> Tensor:
        """`(3, h, w)` RGB in [0, 1] to luma `(h, w)`, not yet rounded."""
        _, backward = _matrices(self)
        return torch.tensordot(backward[0], rgb, dims=1) + (0 if self.full else 16)

    def to_differences(self, rgb: Tensor) -> Tensor:
        """`(3, h, w)` RGB in [0, 1] to blue and red differences `(2, h, w)`, not yet rounded."""
        _, backward = _matrices(self)
        return torch.tensordot(backward[1:], rgb, dims=1) + 128


def colour_of(*, matrix: int, full: bool | int, height: int) -> Colour:
    """The colours of a frame that names its matrix, or of one that does not.

    Without a name, players take BT.709 from 720 rows on and BT.601 below.

    Args:
        matrix: libav's number of the matrix; 2 says nothing.
        full: libav's number of the range (2 is full), or whether it is full.
        height: rows of the stored frame.

    >>> colour_of(matrix=2, full=0, height=1080) == Colour(BT709)
    True
    """
    unnamed = BT709 if height >= _HD else BT601
    return Colour(_SAME.get(matrix, unnamed), full is True or full == _FULL)


@lru_cache
def _matrices(colour: Colour) -> tuple[Tensor, Tensor]:
    """`(3, 3)` from bytes, less those of black, to RGB; and back."""
    red, blue = _LUMA[colour.matrix]
    luma = torch.tensor([red, 1 - red - blue, blue], dtype=torch.float64)
    by_blue = (torch.tensor([0.0, 0.0, 1.0]) - luma) / (2 * (1 - blue))
    by_red = (torch.tensor([1.0, 0.0, 0.0]) - luma) / (2 * (1 - red))
    steps = torch.tensor([255.0, 255.0, 255.0] if colour.full else [219.0, 224.0, 224.0])
    backward = torch.stack([luma, by_blue, by_red]) * steps[:, None]
    return torch.linalg.inv(backward).float(), backward.float()

"""Conversion between the stored luma and chroma of a video and RGB."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

BT709, BT601, BT2020 = 1, 5, 9
_LUMA = {BT709: (0.2126, 0.0722), BT601: (0.299, 0.114), BT2020: (0.2627, 0.0593)}
"""Share of red and blue in the luma."""
_SAME = {1: BT709, 4: BT601, 5: BT601, 6: BT601, 9: BT2020, 10: BT2020}
"""libav's numbers of the matrices."""
_FULL = 2
_HD = 720


@dataclass(frozen=True, slots=True)
class Colour:
    """Conversion between bytes of luma and chroma and RGB in [0, 1]."""

    matrix: int = BT601
    """BT709, BT601 or BT2020."""
    full: bool = False
    """Whether luma has the range 0 to 255 instead of 16 to 235."""
    bits: int = 8
    """Bits a value; with 10, values are four times as large."""

    def tint(self, chroma: Tensor) -> Tensor:
        """What chroma `(2, h, w)` adds to red, green and blue, `(3, h, w)`."""
        forward, _ = _matrices(self)
        return torch.tensordot(forward[:, 1:], chroma.float() - (1 << self.bits - 1), dims=1)

    def to_rgb(self, luma: Tensor, tint: Tensor) -> Tensor:
        """Luma `(h, w)` and a tint `(3, h, w)` to RGB.

        >>> Colour().to_rgb(torch.tensor([[16, 235]]), torch.zeros(3, 1, 2))[0].tolist()
        [[0.0, 1.0]]
        """
        reach = self.brightest if self.full else 219 << self.bits - 8
        return (tint + (luma.float() - self.black) / reach).clamp_(0, 1)

    @property
    def black(self) -> int:
        """The luma of black."""
        return 0 if self.full else 16 << self.bits - 8

    @property
    def brightest(self) -> int:
        """The largest value: 255 or 1023."""
        return (1 << self.bits) - 1

    def to_luma(self, rgb: Tensor) -> Tensor:
        """RGB `(3, h, w)` to luma `(h, w)`, not rounded."""
        _, backward = _matrices(self)
        return torch.tensordot(backward[0], rgb, dims=1) + self.black

    def to_chroma(self, rgb: Tensor) -> Tensor:
        """RGB `(3, h, w)` to chroma `(2, h, w)`, blue difference first, not rounded."""
        _, backward = _matrices(self)
        return torch.tensordot(backward[1:], rgb, dims=1) + (1 << self.bits - 1)


def colour_of(*, matrix: int, full: bool | int, height: int, bits: int = 8) -> Colour:
    """The colours of a frame by libav's numbers of its matrix and range (2 is full, as is True).

    If the frame does not name its matrix, players take BT.709 from 720 rows on and BT.601 below.

    >>> colour_of(matrix=2, full=0, height=1080) == Colour(BT709)
    True
    """
    unnamed = BT709 if height >= _HD else BT601
    return Colour(_SAME.get(matrix, unnamed), full is True or full == _FULL, bits)


@lru_cache
def _matrices(colour: Colour) -> tuple[Tensor, Tensor]:
    """`(3, 3)` from luma and chroma (minus their zeros) to RGB, and back."""
    red, blue = _LUMA[colour.matrix]
    luma = torch.tensor([red, 1 - red - blue, blue], dtype=torch.float64)
    by_blue = (torch.tensor([0.0, 0.0, 1.0]) - luma) / (2 * (1 - blue))
    by_red = (torch.tensor([1.0, 0.0, 0.0]) - luma) / (2 * (1 - red))
    steps = torch.tensor([219.0, 224.0, 224.0]) * (1 << colour.bits - 8)
    if colour.full:
        steps = torch.full((3,), float(colour.brightest))
    backward = torch.stack([luma, by_blue, by_red]) * steps[:, None]
    return torch.linalg.inv(backward).float(), backward.float()

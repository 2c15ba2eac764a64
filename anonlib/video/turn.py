"""How a stored frame is turned to stand upright: the eight ways a display matrix can ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from anonlib.video.picture import Corners


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """From the stored pixels to the upright picture: rows and columns change places, then flips."""

    transpose: bool = False
    """Whether stored rows are upright columns."""
    flip_x: bool = False
    """Whether left and right of the upright picture change places, after the transposition."""
    flip_y: bool = False
    """Whether top and bottom change places, after the transposition."""

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width upright of what is stored so, and the reverse."""
        return (width, height) if self.transpose else (height, width)

    def upright(self, pixels: Tensor) -> Tensor:
        """Stored pixels `(..., H, W)` as the upright picture."""
        if self.transpose:
            pixels = pixels.transpose(-1, -2)
        return pixels.flip(self._flips()) if self._flips() else pixels

    def stored(self, pixels: Tensor) -> Tensor:
        """Upright pixels `(..., H, W)` as they are stored; undoes `upright`."""
        if self._flips():
            pixels = pixels.flip(self._flips())
        return pixels.transpose(-1, -2) if self.transpose else pixels

    def stored_box(self, box: Corners, *, height: int, width: int) -> Corners:
        """Where a box of the upright picture, of that height and width, lies in storage.

        >>> Turn(transpose=True, flip_x=True).stored_box((0, 0, 2, 1), height=10, width=20)
        (0, 18, 1, 20)
        """
        x0, y0, x1, y1 = box
        if self.flip_x:
            x0, x1 = width - x1, width - x0
        if self.flip_y:
            y0, y1 = height - y1, height - y0
        return (y0, x0, y1, x1) if self.transpose else (x0, y0, x1, y1)

    def _flips(self) -> list[int]:
        return [-2] * self.flip_y + [-1] * self.flip_x


UPRIGHT = Turn()


def turn_of(matrix: Sequence[int] | None) -> Turn:
    """The turn nearest to what a display matrix asks for.

    Args:
        matrix: nine numbers `a b u c d v x y w`; the stored point (p, q) is shown at
            (a p + c q, b p + d q). None if there is none.

    >>> turn_of([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30])  # a quarter clockwise
    Turn(transpose=True, flip_x=True, flip_y=False)
    """
    if matrix is None:
        return UPRIGHT
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Turn(transpose=True, flip_x=c < 0, flip_y=b < 0)
    return Turn(flip_x=a < 0, flip_y=d < 0)

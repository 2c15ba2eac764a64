"""One frame or still picture: what the stream needs from it, and pictures that are arrays."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from anonlib.anonymizers.frames import Corners
from anonlib.errors import ImageError

LUMA = torch.tensor([0.299, 0.587, 0.114])
"""Share of red, green and blue in the brightness."""
_COLOURS = {1: 1, 2: 1, 3: 3, 4: 3}
"""Channels in all, and how many of them are colours; the rest is opacity."""


class Picture(Protocol):
    """What the stream needs from a frame.

    Boxes are whole pixels inside the picture. All crops are taken before the first paste, so that
    overlapping faces are cut from the original.
    """

    height: int
    width: int

    @property
    def time(self) -> float | None:
        """Seconds from the beginning; None for a still picture."""

    def small(self, longest: int) -> Tensor:
        """The whole picture for the detector, `(3, h, w)` float RGB in [0, 1], see `small_size`."""

    def grey(self, longest: int) -> Tensor:
        """Brightness `(h, w)` in [0, 1] at the size of `small`."""

    def crop(self, box: Corners, size: int | None = None) -> Tensor:
        """The current pixels of a box, `(3, y1 - y0, x1 - x0)` float RGB in [0, 1].

        If it is faster, the picture may resize them to `(3, size, size)`, with antialiasing.
        """

    def paste(self, box: Corners, face: Tensor) -> None:
        """Replaces the pixels of a box by a face of the size of the box, or of its crop."""


def small_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """Height and width scaled down so that the longer one is at most `longest`; never enlarged.

    >>> small_size(1080, 1920, 640), small_size(100, 50, 640), small_size(2, 4000, 640)
    ((360, 640), (100, 50), (1, 640))
    """
    scale = min(1.0, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


class ArrayPicture:
    """A picture in an array, changed in place: grey or RGB, with or without opacity, which stays.

    >>> picture = ArrayPicture(np.full((4, 6, 3), 255, np.uint8))
    >>> picture.paste((0, 0, 2, 1), torch.zeros(3, 1, 2))
    >>> picture.array[0, :, 0].tolist(), picture.crop((1, 0, 4, 2))[0].tolist()
    ([0, 0, 255, 255, 255, 255], [[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    """

    time: float | None = None

    def __init__(self, array: NDArray[Any], *, white: int | None = None) -> None:
        """Keeps the array, `(H, W, C)` uint8 or uint16; C is 3 for RGB, 1 for grey, one more with opacity.

        White is the value of full brightness if it is not the highest of the type: 4095 for 12 bits.

        Raises:
            ImageError: the array has another shape or type, or is empty or read-only.
        """
        known = array.ndim == 3 and array.shape[2] in _COLOURS and array.dtype in (np.uint8, np.uint16)
        if not known or not array.size:
            raise ImageError(
                f"frame of shape {array.shape} and type {array.dtype}: pass RGB as (H, W, 3) uint8"
            )
        if not array.flags.writeable:
            raise ImageError("frame is read-only: pass a copy of it")
        self.array = array
        self.height, self.width = array.shape[:2]
        self._colours = array[:, :, : _COLOURS[array.shape[2]]]
        self._white = white or int(np.iinfo(array.dtype).max)

    def eight_bits(self) -> NDArray[Any]:
        """The array as uint8, `(H, W, C)`; itself if it is already.

        >>> ArrayPicture(np.full((1, 1, 1), 4095, np.uint16), white=4095).eight_bits().tolist()
        [[[255]]]
        """
        return _eight_bits(self.array, self._white)

    def small(self, longest: int) -> Tensor:
        """The whole picture `(3, h, w)`, scaled down with antialiasing."""
        array = _eight_bits(self._colours, self._white)
        pixels = torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1)
        size = small_size(self.height, self.width, longest)
        if size != (self.height, self.width):
            pixels = F.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]
        return (pixels.float() / 255).expand(3, -1, -1).contiguous()

    def grey(self, longest: int) -> Tensor:
        """The brightness of `small`."""
        small = self.small(longest)
        return (LUMA @ small.flatten(1)).reshape(small.shape[1:])

    def crop(self, box: Corners, size: int | None = None) -> Tensor:
        """The current pixels of a box, a copy; never resized."""
        x0, y0, x1, y1 = box
        pixels = self._colours[y0:y1, x0:x1].transpose(2, 0, 1)
        values = np.divide(pixels, np.float32(self._white), dtype=np.float32, order="C")
        return torch.from_numpy(values).expand(3, -1, -1).contiguous()

    def paste(self, box: Corners, face: Tensor) -> None:
        """Replaces the colours of a box, rounded; a grey picture takes the brightness."""
        x0, y0, x1, y1 = box
        face = face.detach().cpu().float().clamp(0, 1)
        if self._colours.shape[2] == 1:
            face = torch.tensordot(LUMA, face, dims=1)[None]
        self._colours[y0:y1, x0:x1] = (face * self._white).round().permute(1, 2, 0).numpy()


def _eight_bits(array: NDArray[Any], white: int) -> NDArray[Any]:
    return array if array.dtype == np.uint8 else (array >> (white.bit_length() - 8)).astype(np.uint8)

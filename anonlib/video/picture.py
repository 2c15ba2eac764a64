"""A picture whose faces can be looked for, cut out and replaced, whatever holds its pixels."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from anonlib.errors import ImageError

Corners = tuple[int, int, int, int]
"""x0, y0, x1, y1 in whole pixels inside the picture, exclusive end."""


class Picture(Protocol):
    """What the stream asks of one frame of a video.

    All crops of a picture are taken before the first paste, so that faces that overlap are cut
    from the original.
    """

    @property
    def height(self) -> int:
        """Rows of pixels."""

    @property
    def width(self) -> int:
        """Columns of pixels."""

    def small(self, longest: int) -> Tensor:
        """The whole picture for the detector, `(3, h, w)` float RGB in [0, 1].

        The longer side is at most `longest`; the aspect is kept, see `small_size`. A picture is
        never enlarged.
        """

    def crop(self, box: Corners) -> Tensor:
        """Those pixels as they are now, `(3, y1 - y0, x1 - x0)` float RGB in [0, 1]."""

    def paste(self, box: Corners, face: Tensor) -> None:
        """Replaces those pixels, in place, by `(3, y1 - y0, x1 - x0)` float RGB in [0, 1]."""


@runtime_checkable
class Grey(Protocol):
    """A picture whose brightness is to be had without its colours, at less cost."""

    def grey(self, longest: int) -> Tensor:
        """Brightness `(h, w)` in [0, 1] at the size of `small`."""


@runtime_checkable
class Resizing(Protocol):
    """A picture that resizes faces while it cuts and replaces them, at less cost."""

    def crop_to(self, box: Corners, size: int) -> Tensor:
        """As `crop`, resized with antialiasing to `(3, size, size)`."""

    def paste_from(self, box: Corners, face: Tensor) -> None:
        """As `paste`, of a face `(3, size, size)` of any size."""


def small_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """Height and width of a picture reduced to `longest` pixels, each at least 1.

    >>> small_size(1080, 1920, 640), small_size(100, 50, 640), small_size(2, 4000, 640)
    ((360, 640), (100, 50), (1, 640))
    """
    scale = min(1.0, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


class RgbPicture:
    """A picture in an array of RGB bytes, changed in place.

    >>> picture = RgbPicture(np.full((4, 6, 3), 255, np.uint8))
    >>> picture.paste((0, 0, 2, 1), torch.zeros(3, 1, 2))
    >>> picture.array[0, :, 0].tolist(), picture.crop((1, 0, 4, 2))[0].tolist()
    ([0, 0, 255, 255, 255, 255], [[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    """

    def __init__(self, array: NDArray[Any]) -> None:
        """Keeps the array; pass a copy if the original is needed.

        Args:
            array: `(H, W, 3)` uint8 RGB, writable.

        Raises:
            ImageError: the array is of another shape or type, empty or read-only.
        """
        if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
            raise ImageError(
                f"frame of shape {array.shape} and type {array.dtype}: pass RGB as (H, W, 3) uint8"
            )
        if not array.flags.writeable:
            raise ImageError("frame is read-only: pass a copy of it")
        self.array = array

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self.array.shape[0])

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return int(self.array.shape[1])

    def small(self, longest: int) -> Tensor:
        """The whole picture `(3, h, w)`, reduced by bilinear interpolation with antialiasing."""
        pixels = torch.from_numpy(np.ascontiguousarray(self.array)).permute(2, 0, 1)
        size = small_size(self.height, self.width, longest)
        if size != (self.height, self.width):
            pixels = F.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]
        return pixels.float().contiguous() / 255

    def crop(self, box: Corners) -> Tensor:
        """Those pixels `(3, y1 - y0, x1 - x0)`, a copy."""
        x0, y0, x1, y1 = box
        pixels = np.ascontiguousarray(self.array[y0:y1, x0:x1].transpose(2, 0, 1))
        return torch.from_numpy(pixels).float() / 255

    def paste(self, box: Corners, face: Tensor) -> None:
        """Replaces those pixels, rounded to bytes."""
        x0, y0, x1, y1 = box
        pixels = (face.detach().cpu() * 255).round().clamp(0, 255).to(torch.uint8)
        self.array[y0:y1, x0:x1] = pixels.permute(1, 2, 0).numpy()

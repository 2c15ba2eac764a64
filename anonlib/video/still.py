"""A still picture of any depth as a picture whose faces can be replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from anonlib.errors import ImageError
from anonlib.video.picture import Corners, small_size

_COLOURS = {1: 1, 2: 1, 3: 3, 4: 3}
"""Channels of colour among so many; the rest is opacity."""


class StillPicture:
    """Grey or RGB, with or without opacity, 8 or 16 bits; opacity is left as it is.

    >>> picture = StillPicture(np.full((2, 2, 1), 65535, np.uint16))
    >>> picture.paste((0, 0, 1, 1), torch.zeros(3, 1, 1))
    >>> picture.array[0, :, 0].tolist(), picture.crop((0, 0, 2, 1)).shape
    ([0, 65535], torch.Size([3, 1, 2]))
    """

    def __init__(self, array: NDArray[Any]) -> None:
        """Keeps the array `(H, W, C)`, uint8 or uint16, of 1 to 4 channels."""
        self.array = array
        self._top = float(np.iinfo(array.dtype).max)
        self._colours = _COLOURS[array.shape[2]]

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self.array.shape[0])

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return int(self.array.shape[1])

    def small(self, longest: int) -> Tensor:
        """The whole picture `(3, h, w)`, reduced with antialiasing."""
        size = small_size(self.height, self.width, longest)
        whole = np.ascontiguousarray(self.array[:, :, : self._colours].transpose(2, 0, 1))
        if whole.dtype == np.uint16:
            whole = (whole >> 8).astype(np.uint8)
        pixels = torch.from_numpy(whole)
        if size != (self.height, self.width):
            pixels = F.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]
        return (pixels.float() / 255).expand(3, -1, -1).contiguous()

    def crop(self, box: Corners) -> Tensor:
        """Those pixels `(3, y1 - y0, x1 - x0)`, a copy."""
        x0, y0, x1, y1 = box
        pixels = self.array[y0:y1, x0:x1, : self._colours].astype(np.float32) / self._top
        return torch.from_numpy(pixels).permute(2, 0, 1).expand(3, -1, -1).contiguous()

    def paste(self, box: Corners, face: Tensor) -> None:
        """Replaces the colours of those pixels, rounded; grey takes the luma."""
        x0, y0, x1, y1 = box
        face = face.detach().cpu().clamp(0, 1)
        if self._colours == 1:
            face = torch.tensordot(torch.tensor([0.299, 0.587, 0.114]), face, dims=1)[None]
        pixels = (face.permute(1, 2, 0).numpy() * self._top + 0.5).astype(self.array.dtype)
        self.array[y0:y1, x0:x1, : self._colours] = pixels


def still_of(image: Image.Image, name: str | Path = "picture") -> StillPicture:
    """The pixels of a PIL image; what is wholly transparent loses its hidden colours.

    Palettes are looked up; CMYK and YCbCr become RGB.

    Raises:
        ImageError: its pixels have no fixed range.
    """
    if image.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I"):
        grey = np.array(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise ImageError(f"'{name}' holds more than 16 bits a pixel: save it with 8")
        return StillPicture(grey.astype(np.uint16)[:, :, None])
    if image.mode in ("F", "LAB", "HSV"):
        raise ImageError(f"'{name}' holds {image.mode} values, which cannot be read: save it as RGB")
    image = image.convert(_plain_mode(image))
    array = np.array(image)
    array = array[:, :, None] if array.ndim == 2 else array
    if array.shape[2] in (2, 4):
        array[array[:, :, -1] == 0] = 0
    return StillPicture(array)


def _plain_mode(image: Image.Image) -> str:
    grey = image.mode in ("1", "L", "LA", "La")
    return ("LA" if grey else "RGBA") if image.has_transparency_data else ("L" if grey else "RGB")


def image_of(picture: StillPicture) -> Image.Image:
    """The PIL image of a picture: L, LA, RGB, RGBA or I;16."""
    array = picture.array
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)

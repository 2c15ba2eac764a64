"""Reading pictures of every usual kind as 8-bit RGB, and refusing the unusable by name."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from anonlib.errors import ImageError

SMALLEST_IMAGE = 16
"""Pixels a picture must have a side to hold a face."""
LARGEST_IMAGE = 80_000_000
"""Pixels a picture may have in all; a small file may claim far more than memory holds."""

_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    MemoryError,
    OverflowError,
    struct.error,
    zlib.error,
)
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def read_image(path: str | Path) -> Tensor:
    """A picture as uint8 RGB `(3, H, W)`, upright.

    Turned as its EXIF orientation says. Grey becomes three equal channels; palettes are looked
    up; whatever is transparent is laid on white; 16 bits are scaled to 8 (65535 to 255).

    Raises:
        ImageError: the file is missing, empty, damaged, no picture, a picture of floating-point
            numbers (which have no fixed range), smaller than 16x16, or larger than 80 megapixels.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (20, 30), 7).save(f"{folder}/grey.png")
    ...     image = read_image(f"{folder}/grey.png")
    >>> image.shape, image.unique()
    (torch.Size([3, 30, 20]), tensor([7], dtype=torch.uint8))
    """
    path = Path(path)
    if not path.is_file():
        raise ImageError(f"'{path}' is no file: check the path")
    if path.stat().st_size == 0:
        raise ImageError(f"'{path}' is empty: fetch it again or delete it")
    try:
        pixels = _read(path)
    except _BOMBS as error:
        raise ImageError(f"'{path}' is too large: scale it down ({error})") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"'{path}' is no picture: use JPEG or PNG, or delete it") from error
    except _DAMAGED as error:
        raise ImageError(
            f"'{path}' is damaged or cut short: fetch it again or delete it ({error})"
        ) from error
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _read(path: Path) -> NDArray[np.uint8]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged metadata of a sound picture
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path) as picture:
            _check_size(path, picture.size)
            return _to_rgb(path, ImageOps.exif_transpose(picture))


def _check_size(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if min(size) < SMALLEST_IMAGE:
        raise ImageError(
            f"'{path}' has {width}x{height} pixels, too few for a face: "
            f"use {SMALLEST_IMAGE}x{SMALLEST_IMAGE} or more"
        )
    if width * height > LARGEST_IMAGE:
        raise ImageError(f"'{path}' is too large with {width}x{height} pixels: scale it down")


def _to_rgb(path: Path, picture: Image.Image) -> NDArray[np.uint8]:
    """Pixels `(H, W, 3)` uint8 of a picture of any mode."""
    if picture.mode == "F":
        raise ImageError(f"'{path}' holds floating-point numbers: save it with 8 bits a channel")
    if picture.mode.startswith("I"):
        return _from_16_bits(path, np.asarray(picture))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture)
    return np.array(picture.convert("RGB"))


def _from_16_bits(path: Path, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.min() < 0 or pixels.max() > 65535:
        raise ImageError(f"'{path}' holds more than 16 bits a pixel: save it with 8")
    grey = ((pixels.astype(np.int64) + 128) // 257).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)

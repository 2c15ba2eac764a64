"""Reads pictures of every usual format as 8-bit RGB, and resizes them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from anonlib.errors import ImageError
from anonlib.geometry import resize

SMALLEST_IMAGE = 16
"""Fewest pixels a side; a smaller picture holds no usable face."""
LARGEST_IMAGE = 80_000_000
"""Most pixels in all; a small file may claim more than memory holds."""


def read_image(path: str | Path) -> Tensor:
    """A picture as uint8 RGB `(3, H, W)`, turned as its EXIF orientation says.

    Grey becomes three equal channels. Palettes are looked up. Transparent pixels are laid on white.
    16 bits are scaled to 8 (65535 to 255).

    Raises:
        ImageError: the file is missing, empty, damaged, no picture, a picture of floating-point numbers
            (which have no fixed range), smaller than 16x16, or larger than 80 megapixels.

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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged metadata of a sound picture
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                _check_size(path, *picture.size)
                pixels = _to_rgb(path, ImageOps.exif_transpose(picture))
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"'{path}' is too large: scale it down ({error})") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"'{path}' is no picture: use JPEG or PNG, or delete it") from error
    except Exception as error:  # Pillow raises many kinds
        raise ImageError(
            f"'{path}' is damaged or cut short: fetch it again or delete it ({error})"
        ) from error
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def resize_picture(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A uint8 picture `(C, H, W)` at another height and width."""
    return resize(picture[None].float(), size)[0].round().clamp(0, 255).to(torch.uint8)


def _check_size(path: Path, width: int, height: int) -> None:
    if min(width, height) < SMALLEST_IMAGE:
        raise ImageError(
            f"'{path}' has {width}x{height} pixels, too few for a face: use "
            f"{SMALLEST_IMAGE}x{SMALLEST_IMAGE} or more"
        )
    if width * height > LARGEST_IMAGE:
        raise ImageError(f"'{path}' is too large with {width}x{height} pixels: scale it down")


def _to_rgb(path: Path, picture: Image.Image) -> NDArray[np.uint8]:
    """Pixels `(H, W, 3)` of a picture of any mode."""
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

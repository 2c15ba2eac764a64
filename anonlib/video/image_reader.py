"""Reads still pictures: upright, with the depth of their colours, and with notes on what was lost."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError
from PIL.ExifTags import Base

from anonlib.data.images import LARGEST_IMAGE
from anonlib.errors import ImageError
from anonlib.video.picture import ArrayPicture

_READ = ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF"]
_OTHER_VIEWS = ("MPO", "HEIF")
"""Formats whose further pictures are other views of the first, or bursts, and no animation."""
_GREY_16 = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_OTHER_BYTE = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBX", "RGBA")
    for order, other in (("L", "B"), ("B", "L"), ("N", "B" if np.little_endian else "L"))
}
"""Pillow's names for the high byte of 16-bit colours, and those that read the low byte instead."""
_DEPTHS = (10, 12, 14, 16)
"""Bits of a colour for which cameras and scanners use 16."""


def open_image(source: str | Path) -> Image.Image:
    """Opens a picture, whatever its name.

    Raises:
        ImageError: it is empty, no picture, too large, or a HEIC without the package that reads it.
    """
    if Path(source).stat().st_size == 0:
        raise ImageError(f"'{source}' is empty: fetch it again or delete it")
    image = Image.open(source, formats=_READ + _heif(source))
    pixels = image.width * image.height * getattr(image, "n_frames", 1)
    if pixels > LARGEST_IMAGE:
        image.close()
        raise ImageError(f"'{source}' is too large with {pixels} pixels in all: scale it down")
    return image


def _heif(source: str | Path) -> list[str]:
    """`HEIF` if the source is such a picture and can be read."""
    with open(source, "rb") as file:
        if not is_heic(file.read(32)):
            return []
    if find_spec("pillow_heif") is None:
        raise ImageError(f"'{source}' is a HEIC picture: pip install 'anonlib[heic]', or save it as JPEG")
    import pillow_heif

    pillow_heif.register_heif_opener()
    return ["HEIF"]


def is_heic(head: bytes) -> bool:
    """Whether the first 32 bytes are those of a HEIC picture.

    >>> is_heic(b"....ftypmif1....mif1heic"), is_heic(b"....ftypavif....mif1")
    (True, False)
    """
    brands = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
    return head[4:8] == b"ftyp" and head[8:12] in brands and not is_avif(head)


def is_avif(head: bytes) -> bool:
    """Whether the first 32 bytes are those of an AVIF picture or animation."""
    return head[4:8] == b"ftyp" and any(brand in head[8:] for brand in (b"avif", b"avis"))


def read_pages(image: Image.Image, source: str | Path) -> tuple[list[ArrayPicture], list[str]]:
    """Every picture in an open file, upright; and what was lost or assumed, in words.

    Raises:
        ImageError: the pixels have no fixed range, or 16-bit colours are stored plane by plane.
    """
    count, notes = getattr(image, "n_frames", 1), []
    if count > 1 and image.format in _OTHER_VIEWS:
        notes.append(f"{count - 1} further pictures in the file were left out")
        count = 1
    pages = [image] if count == 1 else ImageSequence.Iterator(image)
    arrays = [_array(page, source, notes) for page in pages]
    if _coded_bits(image) > 8:
        notes.append(f"{_coded_bits(image)} bits a colour became 8")
    white = _white([array for array in arrays if array.dtype == np.uint16], notes)
    return [ArrayPicture(a, white=white if a.dtype == np.uint16 else None) for a in arrays], notes


def picture_of(image: Image.Image, source: str | Path) -> ArrayPicture:
    """The pixels of a Pillow image, as grey or RGB; fully transparent pixels become black.

    Raises:
        ImageError: its pixels have no fixed range; names the source.
    """
    return ArrayPicture(_array(image, source, []))


def _array(image: Image.Image, source: str | Path, notes: list[str]) -> np.ndarray:
    """`(H, W, C)` uint8 or uint16, upright."""
    raw = _raw_mode(image)
    bits = getattr(image, "tag_v2", {}).get(258, (8,))
    if getattr(image, "tag_v2", {}).get(284) == 2 and len(bits) > 1 and max(bits) > 8:
        raise ImageError(
            f"'{source}' stores 16-bit colours plane by plane: save it with its colours together"
        )
    low = _low_bytes(image) if raw in _OTHER_BYTE else None
    if low is None and ";16" in raw and image.mode not in _GREY_16:
        notes.append("16 bits a colour became 8")
    upright = _upright(image)
    array = _pixels(upright, source)
    if low is not None:
        array = array.astype(np.uint16) << 8 | _pixels(_upright(low), source)
    if upright.has_transparency_data:
        array[array[:, :, -1] == 0] = 0
    return array


def _upright(image: Image.Image) -> Image.Image:
    """The image, turned as its EXIF orientation says; not a copy if it is upright."""
    image.load()
    turned = image.getexif().get(Base.Orientation, 1) != 1
    return ImageOps.exif_transpose(image) if turned else image


def _pixels(image: Image.Image, source: str | Path) -> np.ndarray:
    if image.mode in _GREY_16:
        grey = np.array(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise ImageError(f"'{source}' has more than 16 bits per pixel: save it with 8")
        return grey.astype(np.uint16)[:, :, None]
    if image.mode in ("F", "LAB", "HSV"):
        raise ImageError(f"'{source}' holds {image.mode} values, which cannot be read: save it as RGB")
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    mode += "A" * image.has_transparency_data
    array = np.array(image if image.mode == mode else image.convert(mode))
    return array[:, :, None] if array.ndim == 2 else array


def _raw_mode(image: Image.Image) -> str:
    """Pillow's name for the stored pixels; empty if they were decoded already."""
    tiles: list[Any] = getattr(image, "tile", [])
    args = tiles[0].args if tiles else ""
    return args if isinstance(args, str) else str(args[0]) if isinstance(args, tuple) else ""


def _low_bytes(image: Image.Image) -> Image.Image:
    """The same picture with the low bytes of its 16-bit colours, where Pillow reads the high ones."""
    low: Any = Image.open(cast(Any, image).filename, formats=[cast(str, image.format)])
    with suppress(EOFError):
        low.seek(image.tell())
    other = _OTHER_BYTE[_raw_mode(low)]
    low.tile = [
        tile._replace(args=other if isinstance(tile.args, str) else (other, *tile.args[1:]))
        for tile in low.tile
    ]
    return low


def _white(arrays: list[np.ndarray], notes: list[str]) -> int | None:
    """The brightest value of 16-bit pictures that hold fewer bits: 1023, 4095 or 16383; else None.

    >>> _white([np.array([[[4000]]], np.uint16)], [])
    4095
    """
    brightest = max((int(array.max()) for array in arrays), default=0)
    bits = next(bits for bits in _DEPTHS if brightest < 1 << bits)
    if not brightest or bits == 16:
        return None
    notes.append(f"the values of its 16 bits end at {brightest}: taken as {bits} bits")
    return (1 << bits) - 1


def _coded_bits(image: Image.Image) -> int:
    """Bits a colour of an AVIF or HEIC picture, which is read with 8."""
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8))
    if image.format != "AVIF":
        return 8
    with open(cast(Any, image).filename, "rb") as file:
        head = file.read(1 << 14)
    at = head.find(b"pixi")  # the box holds version and flags, the number of channels, and their bits
    return head[at + 9] if 0 < at < len(head) - 9 else 8


@contextmanager
def explained(source: str | Path) -> Iterator[None]:
    """Turns the many errors of Pillow on a damaged picture into ours."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata of an intact picture
            yield
    except (ImageError, FileNotFoundError, PermissionError):
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"'{source}' is too large: scale it down ({error})") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"'{source}' is not a picture that can be read: save it as JPEG or PNG") from error
    except Exception as error:
        raise ImageError(
            f"'{source}' is damaged or cut short: fetch it again or delete it ({error})"
        ) from error

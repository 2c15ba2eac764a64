"""Writes still pictures with the metadata to keep; PNG and TIFF with 16 bits a colour too."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageSequence
from PIL.PngImagePlugin import putchunk

from anonlib.errors import ImageError
from anonlib.video.picture import ArrayPicture
from anonlib.video.settings import Settings

FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".gif": "GIF",
}
"""The formats that can be written, by the suffix of the name."""
ANIMATED = ("PNG", "WEBP", "GIF")
MANY = (*ANIMATED, "TIFF")
"""The formats that hold several pictures."""
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
_EXIF, _GPS, _MAKER_NOTE = 0x8769, 0x8825, 0x927C
_KEPT_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
"""Description, make, model, software, date, artist, copyright."""
_LONGEST_VALUE = 2000
_PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
"""PNG's number of a kind of pixel, by its channels."""


def image_format(name: str | Path) -> str:
    """Pillow's name of the format that a file name asks for.

    >>> image_format("a.JPG")
    'JPEG'
    """
    suffix = Path(name).suffix.lower()
    if suffix not in FORMATS:
        raise ImageError(
            f"'{name}': pictures are written as {', '.join(FORMATS)}; give the output one of these suffixes"
        )
    return FORMATS[suffix]


def save_options(image: Image.Image, kind: str, settings: Settings, *, count: int) -> dict[str, Any]:
    """Pillow's options: colour profile, timing of `count` pictures, metadata if it is to be kept."""
    options = dict(_OPTIONS.get(kind, {}))
    grey_to_colour = kind == "WEBP" and not image.mode.startswith(("P", "RGB"))
    if image.info.get("icc_profile") and image.mode != "CMYK" and not grey_to_colour:
        options["icc_profile"] = image.info["icc_profile"]
    if count > 1 and kind in ANIMATED:
        options["loop"] = image.info.get("loop", 1 if kind == "GIF" else 0)
        options["duration"] = []
        for page in ImageSequence.Iterator(image):
            page.load()
            options["duration"].append(int(page.info.get("duration", 100)))
        if kind == "GIF":
            options["disposal"] = 2
    exif = kept_exif(image) if settings.keep_metadata and kind != "GIF" else None
    if exif:
        options["exif"] = exif
        if kind == "TIFF":
            del options["compression"]  # Pillow's compressing writer refuses nested EXIF data
    return options


def kept_exif(image: Image.Image) -> bytes | None:
    """The EXIF data that `keep_metadata` keeps: texts and numbers; None if there is none.

    Kept are description, camera, software, date, artist, copyright, exposure and place. Orientation
    is left out because the pixels are turned. Thumbnails, maker notes, sub-images and XMP are left
    out because they may hold a clear picture.
    """
    old = image.getexif()
    if not old:
        return None
    new = Image.Exif()
    new.update({tag: old[tag] for tag in _KEPT_TAGS if tag in old})
    for block in (_EXIF, _GPS):
        values = {
            tag: value
            for tag, value in old.get_ifd(block).items()
            if tag != _MAKER_NOTE and not (isinstance(value, (bytes, str)) and len(value) > _LONGEST_VALUE)
        }
        if values:
            new.get_ifd(block).update(values)
    return new.tobytes()


def save_pages(
    file: BinaryIO, pages: Sequence[ArrayPicture], kind: str, options: dict[str, Any]
) -> list[str]:
    """Writes pictures into an open file; returns what was lost, in words."""
    deep = any(page.array.dtype == np.uint16 for page in pages)
    coloured = any(page.array.dtype == np.uint16 and page.array.shape[2] > 1 for page in pages)
    if coloured and kind == "TIFF":
        return _save_deep_tiff(file, pages, options)
    if coloured and kind == "PNG" and len(pages) == 1:
        _save_deep_png(file, pages[0].array, options)
        return []
    first, *rest = [_savable(page, kind) for page in pages]
    if rest:
        options = options | {"save_all": True, "append_images": rest}
    first.save(file, format=kind, **options)
    return ["16 bits became 8"] if deep and first.mode != "I;16" else []


def image_of(picture: ArrayPicture) -> Image.Image:
    """The Pillow image of a picture: L, LA, RGB, RGBA or I;16; 16-bit colours become 8."""
    array = picture.array
    if array.shape[2] == 1:
        return Image.fromarray(array.squeeze(axis=2))
    return Image.fromarray(array if array.dtype == np.uint8 else picture.eight_bits())


def _savable(picture: ArrayPicture, kind: str) -> Image.Image:
    """The image in a mode that the format can hold."""
    image = image_of(picture)
    if image.mode == "I;16" and kind not in ("PNG", "TIFF"):
        image = Image.fromarray(picture.eight_bits().squeeze(axis=2))
    if kind == "JPEG" and image.mode in ("LA", "RGBA"):
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    if kind == "WEBP" and image.mode in ("L", "LA"):
        return image.convert("RGB" if image.mode == "L" else "RGBA")
    return image


def _save_deep_tiff(file: BinaryIO, pages: Sequence[ArrayPicture], options: dict[str, Any]) -> list[str]:
    import tifffile

    handle = tifffile.FileHandle(file, name="picture.tif")  # an open file without a name is refused
    with tifffile.TiffWriter(handle) as out:
        for page in pages:
            array = page.array.squeeze(axis=2) if page.array.shape[2] == 1 else page.array
            out.write(
                array,
                photometric="rgb" if array.ndim == 3 and array.shape[2] > 2 else "minisblack",
                extrasamples=["unassalpha"] if page.array.shape[2] in (2, 4) else None,
                planarconfig="contig" if array.ndim == 3 else None,
                compression="zlib",
                iccprofile=options.get("icc_profile"),
                software=False,
                metadata=None,
            )
    return ["its metadata was left out: a TIFF with 16-bit colours gets none"] if "exif" in options else []


def _save_deep_png(file: BinaryIO, array: np.ndarray, options: dict[str, Any]) -> None:
    height, width, channels = array.shape
    rows = array.astype(">u2").reshape(height, -1).view(np.uint8)
    above = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    lines = np.hstack([np.full((height, 1), 2, np.uint8), rows - above])  # 2: differences to the row above
    head = np.array([width, height], ">u4").tobytes() + bytes([16, _PNG_COLOURS[channels], 0, 0, 0])
    file.write(b"\x89PNG\r\n\x1a\n")
    putchunk(file, b"IHDR", head)
    if "icc_profile" in options:
        putchunk(file, b"iCCP", b"ICC Profile\0\0" + zlib.compress(options["icc_profile"]))
    if "exif" in options:
        putchunk(file, b"eXIf", options["exif"].removeprefix(b"Exif\0\0"))
    putchunk(file, b"IDAT", zlib.compress(lines.tobytes()))
    putchunk(file, b"IEND", b"")

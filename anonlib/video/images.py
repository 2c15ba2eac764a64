"""Still pictures without recognisable faces: read, anonymize, and write with the metadata to keep."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from anonlib.anonymizers.sessions import derived_seed
from anonlib.data.images import LARGEST_IMAGE
from anonlib.errors import ImageError
from anonlib.files import Opened, complete
from anonlib.video.picture import ArrayPicture
from anonlib.video.settings import FileReport, Models, Settings, load_models
from anonlib.video.stream import anonymize_pictures

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
_READ = ("JPEG", "PNG", "WEBP", "TIFF", "GIF")
_ANIMATED = ("PNG", "WEBP", "GIF")
_MANY = (*_ANIMATED, "TIFF")
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
_EXIF, _GPS, _MAKER_NOTE = 0x8769, 0x8825, 0x927C
_KEPT_TAGS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
"""Description, make, model, software, date, artist, copyright."""
_LONGEST_VALUE = 2000


def anonymize_image(
    source: str | Path,
    out: str | Path,
    *,
    settings: Settings | None = None,
    models: Models | None = None,
    opened: Opened = complete,
) -> FileReport:
    """Writes a picture in which every face is replaced, whole or not at all.

    The picture is turned as its EXIF orientation says. The colour profile is kept, other metadata
    only if the settings say so. All pictures of an animation and all pages are anonymized. 16-bit
    grey stays 16-bit (Pillow reads 16-bit colours as 8-bit).

    Args:
        source: JPEG, PNG, WebP, TIFF or GIF, whatever its name.
        out: a path with a suffix in `FORMATS`; replaced if it exists.
        models: loaded once for many files; by default those that the settings name.

    Raises:
        ImageError: the source is not a picture, damaged, or too large; or the output format
            cannot be written, or cannot hold several pictures.
        OSError: the output cannot be written. Nothing is left of it.
    """
    settings = settings or Settings()
    kind = image_format(out)
    report = FileReport(input=str(source), output=str(out), kind="image")
    start = perf_counter()
    with _explained(source), _opened(source) as image:
        pages = _pages(image, Path(source), kind, report)
        options = _save_options(image, kind, settings)
    models = models or load_models(settings)
    # The pages of a TIFF are unrelated pictures; those of an animation are tracked like a video.
    changed: list[ArrayPicture] = []
    for number, group in enumerate([pages] if kind in _ANIMATED else [[page] for page in pages]):
        changed += anonymize_pictures(
            group,
            detector=models.detector,
            anonymizer=models.anonymizer,
            every=settings.every if len(group) > 1 else 1,
            enlarge=settings.enlarge,
            hold=settings.hold,
            seed=derived_seed(settings.seed, number),
            tally=report,
        )
    first, *rest = [_savable(image_of(page), kind) for page in changed]
    if rest:
        options |= {"save_all": True, "append_images": rest}
    with opened(Path(out)) as file:
        first.save(file, format=kind, **options)
    report.seconds = perf_counter() - start
    return report


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


def picture_of(image: Image.Image, source: str | Path) -> ArrayPicture:
    """The pixels of a Pillow image, as grey or RGB; fully transparent pixels become black.

    Raises:
        ImageError: its pixels have no fixed range; names the source.
    """
    if image.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I"):
        grey = np.array(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise ImageError(f"'{source}' has more than 16 bits per pixel: save it with 8")
        return ArrayPicture(grey.astype(np.uint16)[:, :, None])
    if image.mode in ("F", "LAB", "HSV"):
        raise ImageError(f"'{source}' holds {image.mode} values, which cannot be read: save it as RGB")
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    array = np.array(image.convert(mode + "A" * image.has_transparency_data))
    array = array[:, :, None] if array.ndim == 2 else array
    if image.has_transparency_data:
        array[array[:, :, -1] == 0] = 0
    return ArrayPicture(array)


def image_of(picture: ArrayPicture) -> Image.Image:
    """The Pillow image of a picture: L, LA, RGB, RGBA or I;16."""
    return Image.fromarray(picture.array.squeeze(axis=2) if picture.array.shape[2] == 1 else picture.array)


def _opened(source: str | Path) -> Image.Image:
    if Path(source).stat().st_size == 0:
        raise ImageError(f"'{source}' is empty: fetch it again or delete it")
    image = Image.open(source, formats=_READ)
    pixels = image.width * image.height * getattr(image, "n_frames", 1)
    if pixels > LARGEST_IMAGE:
        image.close()
        raise ImageError(f"'{source}' is too large with {pixels} pixels in all: scale it down")
    return image


def _pages(image: Image.Image, source: Path, kind: str, report: FileReport) -> list[ArrayPicture]:
    """Every picture in the file, upright; of a JPEG with several views only the first."""
    count = getattr(image, "n_frames", 1)
    if count > 1 and image.format == "MPO":
        report.warnings.append(f"{count - 1} further pictures in the file were left out")
        count = 1
    if count > 1 and kind not in _MANY:
        raise ImageError(
            f"'{source}' holds {count} pictures, which {kind} cannot: "
            f"write it as {'.tif' if image.format == 'TIFF' else '.webp'}"
        )
    pages = [image] if count == 1 else ImageSequence.Iterator(image)
    return [picture_of(ImageOps.exif_transpose(page), source) for page in pages]


def _save_options(image: Image.Image, kind: str, settings: Settings) -> dict[str, Any]:
    """Pillow's options: colour profile, timing of an animation, metadata if it is to be kept."""
    options = dict(_OPTIONS.get(kind, {}))
    grey_to_colour = kind == "WEBP" and not image.mode.startswith(("P", "RGB"))
    if image.info.get("icc_profile") and image.mode != "CMYK" and not grey_to_colour:
        options["icc_profile"] = image.info["icc_profile"]
    if getattr(image, "n_frames", 1) > 1 and kind in _ANIMATED:
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


def _savable(image: Image.Image, kind: str) -> Image.Image:
    """The image in a mode that the format can hold."""
    if image.mode == "I;16" and kind not in ("PNG", "TIFF"):
        image = Image.fromarray((np.array(image) >> 8).astype(np.uint8))
    if kind == "JPEG" and image.mode in ("LA", "RGBA"):
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    if kind == "WEBP" and image.mode in ("L", "LA"):
        return image.convert("RGB" if image.mode == "L" else "RGBA")
    return image


@contextmanager
def _explained(source: str | Path) -> Iterator[None]:
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

"""What of a picture's metadata may stay: texts and numbers, never an embedded picture."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, BinaryIO

from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from anonlib.data.images import LARGEST_IMAGE
from anonlib.errors import ImageError
from anonlib.files import Opened, complete
from anonlib.video.settings import FileReport, Models, Settings, load_models
from anonlib.video.still import StillPicture, image_of, still_of
from anonlib.video.stream import Tally, anonymize_pictures

_EXIF, _GPS = 0x8769, 0x8825
_KEPT = (
    0x010E,
    0x010F,
    0x0110,
    0x0131,
    0x0132,
    0x013B,
    0x8298,  # description, make ... copyright
)
_MAKER_NOTE = 0x927C


def kept_exif(image: Image.Image) -> bytes | None:
    """The EXIF data that `keep_metadata` keeps; None if there is none.

    Description, camera, software, date, artist, copyright, how it was taken, and where. The
    orientation is left out: the pixels are turned. So is what may hold a picture: thumbnails,
    notes of the maker, sub-images, XMP.
    """
    old = image.getexif()
    if not old:
        return None
    new = Image.Exif()
    for tag in _KEPT:
        if tag in old:
            new[tag] = old[tag]
    taken = {k: v for k, v in old.get_ifd(_EXIF).items() if _is_short(v) and k != _MAKER_NOTE}
    places = {k: v for k, v in old.get_ifd(_GPS).items() if _is_short(v)}
    if taken:
        new.get_ifd(_EXIF).update(taken)
    if places:
        new.get_ifd(_GPS).update(places)
    return new.tobytes()


def _is_short(value: object) -> bool:
    """Whether it is a number or a text; a picture would be longer."""
    return not isinstance(value, (bytes, str)) or len(value) <= 2000


FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".gif": "GIF",
}
"""What is written, by the suffix of the name."""
_READ = ("JPEG", "PNG", "WEBP", "TIFF", "GIF")
_ANIMATED = ("PNG", "WEBP", "GIF")
_MANY = (*_ANIMATED, "TIFF")
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
    AttributeError,
    RuntimeError,
)
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}


def anonymize_image(
    source: str | Path,
    out: str | Path,
    *,
    settings: Settings | None = None,
    models: Models | None = None,
    opened: Opened = complete,
) -> FileReport:
    """Writes a picture in which every face is replaced, whole or not at all.

    It is turned as its EXIF orientation says. The colour profile is kept, other metadata is not
    unless the settings say so. Of an animation or several pages every one is anonymized. Depth
    is kept: 16-bit grey stays so (Pillow reads 16-bit colours as 8-bit).

    Args:
        source: JPEG, PNG, WebP, TIFF or GIF, whatever its name.
        out: a path whose suffix is in `FORMATS`; replaced if it exists.
        settings: `Settings()` by default.
        models: loaded before, for many files; by default those that the settings name.
        opened: opens the output.

    Raises:
        ImageError: the source is no picture, damaged, or too large; or the output's kind cannot
            be written, or cannot hold several pictures.
        OSError: the output cannot be written. Nothing is left of it.
    """
    settings = settings or Settings()
    kind = image_format(out)
    report = FileReport(input=str(source), output=str(out), kind="image")
    start = perf_counter()
    with _explained(source), _opened(source) as image:
        pages = _pages(image, Path(source), kind, report)
        options = _kept(image, kind, settings)
    models = models or load_models(settings)
    for group in [pages] if kind in _ANIMATED else [[page] for page in pages]:
        _replace(group, settings, models, report)
    with opened(Path(out)) as file:
        _save(file, [image_of(page) for page in pages], kind, options)
    report.seconds = round(perf_counter() - start, 3)
    return report


def image_format(name: str | Path) -> str:
    """Pillow's name of the kind of file that a name asks for.

    >>> image_format("a.JPG")
    'JPEG'
    """
    suffix = Path(name).suffix.lower()
    if suffix not in FORMATS:
        raise ImageError(
            f"'{name}': pictures are written as {', '.join(FORMATS)}; give the output a name that ends so"
        )
    return FORMATS[suffix]


def _opened(source: str | Path) -> Image.Image:
    if Path(source).stat().st_size == 0:
        raise ImageError(f"'{source}' is empty: fetch it again or delete it")
    image = Image.open(source, formats=_READ)
    pixels = image.width * image.height * getattr(image, "n_frames", 1)
    if pixels > LARGEST_IMAGE:
        image.close()
        raise ImageError(f"'{source}' is too large with {pixels} pixels in all: scale it down")
    return image


def _pages(image: Image.Image, source: Path, kind: str, report: FileReport) -> list[StillPicture]:
    """Every picture in the file, upright; of the further views of a JPEG only the first."""
    count = getattr(image, "n_frames", 1)
    if count > 1 and image.format == "MPO":
        report.warnings.append(f"{count - 1} further pictures in the file were left out")
        count = 1
    if count > 1 and kind not in _MANY:
        raise ImageError(
            f"'{source}' holds {count} pictures, which {kind} cannot: "
            f"write it as {'.tif' if image.format == 'TIFF' else '.webp'}"
        )
    if count == 1:
        return [still_of(ImageOps.exif_transpose(image), source)]
    return [still_of(ImageOps.exif_transpose(page), source) for page in ImageSequence.Iterator(image)]


def _replace(pages: list[StillPicture], settings: Settings, models: Models, report: FileReport) -> None:
    tally = Tally()
    for _ in anonymize_pictures(
        pages,
        detector=models.detector,
        anonymizer=models.anonymizer,
        every=settings.every if len(pages) > 1 else 1,
        enlarge=settings.enlarge,
        hold=settings.hold,
        tally=tally,
    ):
        pass
    report.count(tally)


def _kept(image: Image.Image, kind: str, settings: Settings) -> dict[str, Any]:
    """Options for saving: the colour profile, the pace of an animation, metadata if asked for."""
    options = dict(_OPTIONS.get(kind, {}))
    grey_to_colour = kind == "WEBP" and not image.mode.startswith(("P", "RGB"))
    if image.info.get("icc_profile") and image.mode != "CMYK" and not grey_to_colour:
        options["icc_profile"] = image.info["icc_profile"]
    if getattr(image, "n_frames", 1) > 1 and kind in _ANIMATED:
        options["loop"] = image.info.get("loop", 1 if kind == "GIF" else 0)
        options["duration"] = _durations(image)
    if settings.keep_metadata and kind != "GIF":
        exif = kept_exif(image)
        options |= {"exif": exif} if exif else {}
        if exif and kind == "TIFF":
            del options["compression"]  # Pillow's compressing writer refuses nested EXIF data
    return options


def _durations(image: Image.Image) -> list[int]:
    """Milliseconds that each picture of an animation is shown."""
    found = []
    for page in ImageSequence.Iterator(image):
        page.load()
        found.append(int(page.info.get("duration", 100)))
    return found


def _save(file: BinaryIO, images: list[Image.Image], kind: str, options: dict[str, Any]) -> None:
    first, *rest = [_savable(image, kind) for image in images]
    if rest:
        options |= {"save_all": True, "append_images": rest}
    if kind == "GIF":
        options |= {"disposal": 2} if rest else {}
    first.save(file, format=kind, **options)


def _savable(image: Image.Image, kind: str) -> Image.Image:
    """The image in a mode that the kind of file can hold."""
    if image.mode == "I;16" and kind not in ("PNG", "TIFF"):
        image = image_of(StillPicture((still_of(image).array >> 8).astype("uint8")))
    if kind == "JPEG" and image.mode in ("LA", "RGBA"):
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    if kind == "WEBP" and image.mode in ("L", "LA"):
        return image.convert("RGB" if image.mode == "L" else "RGBA")
    return image


@contextmanager
def _explained(source: str | Path) -> Iterator[None]:
    """What Pillow raises on a damaged picture as an error of ours."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata of a sound picture
            yield
    except (FileNotFoundError, PermissionError):
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"'{source}' is too large: scale it down ({error})") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"'{source}' is no picture that can be read: save it as JPEG or PNG") from error
    except _DAMAGED as error:
        raise ImageError(
            f"'{source}' is damaged or cut short: fetch it again or delete it ({error})"
        ) from error

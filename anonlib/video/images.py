"""Still pictures without recognisable faces: read, anonymize, and write with the metadata to keep."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from PIL import Image

from anonlib.anonymizers.sessions import derived_seed
from anonlib.errors import ImageError
from anonlib.files import Opened, complete
from anonlib.video.guide import UNGUIDED, Guide
from anonlib.video.image_reader import explained, open_image, read_pages
from anonlib.video.image_writer import ANIMATED, MANY, image_format, save_options, save_pages
from anonlib.video.picture import ArrayPicture
from anonlib.video.replacing import note_size
from anonlib.video.settings import FileReport, Models, Settings, load_models
from anonlib.video.stream import anonymize_pictures


def anonymize_image(
    source: str | Path,
    out: str | Path,
    *,
    settings: Settings | None = None,
    models: Models | None = None,
    opened: Opened = complete,
    guide: Guide = UNGUIDED,
) -> FileReport:
    """Writes a picture in which every face is replaced, whole or not at all.

    The picture is turned as its EXIF orientation says. The colour profile is kept, other metadata
    only if the settings say so. All pictures of an animation and all pages are anonymized. 16 bits a
    colour stay in PNG and TIFF; the report says where they become 8. Pictures with a side under 8
    pixels hold no face: their pixels are copied, and the report says so.

    Args:
        source: JPEG, PNG, WebP, TIFF, GIF, BMP, AVIF or, with the extra `heic`, HEIC, whatever its name.
        out: a path with a suffix in `FORMATS`; replaced if it exists.
        models: loaded once for many files; by default those that the settings name.

    Raises:
        VideoError: the boxes of the guide do not fit the source.
        ImageError: the source is not a picture, damaged, or too large; or the output format
            cannot be written, or cannot hold several pictures.
        OSError: the output cannot be written. Nothing is left of it.
    """
    settings = settings or Settings()
    kind = image_format(out)
    report = FileReport(input=str(source), output=str(out), kind="image")
    start = perf_counter()
    with explained(source), open_image(source) as image:
        pages, report.warnings = read_pages(image, source)
        _check_count(len(pages), image, source, kind)
        options = save_options(image, kind, settings, count=len(pages))
    report.warnings += [note for page in pages for note in note_size(page.height, page.width)]
    models = models or load_models(settings)
    # The pages of a TIFF are unrelated pictures; those of an animation are tracked like a video.
    changed: list[ArrayPicture] = []
    for number, group in enumerate([pages] if kind in ANIMATED else [[page] for page in pages]):
        changed += anonymize_pictures(
            group,
            detector=models.detector,
            anonymizer=models.anonymizer,
            every=settings.every if len(group) > 1 else 1,
            enlarge=settings.enlarge,
            hold=settings.hold,
            seed=derived_seed(settings.seed, number),
            tally=report,
            guide=guide,
        )
    guide.check_end(report.frames)
    with opened(Path(out)) as file:
        report.warnings += save_pages(file, changed, kind, options)
    report.warnings = list(dict.fromkeys(report.warnings))
    report.seconds = perf_counter() - start
    return report


def _check_count(count: int, image: Image.Image, source: str | Path, kind: str) -> None:
    if count > 1 and kind not in MANY:
        raise ImageError(
            f"'{source}' holds {count} pictures, which {kind} cannot: "
            f"write it as {'.tif' if image.format == 'TIFF' else '.webp'}"
        )

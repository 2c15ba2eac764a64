"""Showing the faces of a picture again that method `fit` hid, with the same password."""

from __future__ import annotations

import os
from pathlib import Path

from anonlib.anonymizers import FIT
from anonlib.errors import VideoError
from anonlib.video.boxes import BoxesFile
from anonlib.video.guide import Guide
from anonlib.video.images import anonymize_image
from anonlib.video.kinds import beside, kind_of
from anonlib.video.settings import FileReport, Settings


def recover_image(
    source: str | Path, out: str | Path | None = None, *, boxes: str | Path, settings: Settings | None = None
) -> FileReport:
    """Writes a picture in which the faces that `fit` hid are shown again.

    The password is that of the environment variable `settings.PASSWORD`. Nobody can tell whether it is right:
    a wrong one shows wrong faces. Where two faces overlap, or where a face was veiled, it is not restored.

    Args:
        source: a picture that `anonlib anonymize --method fit` wrote; JPEG loses some detail.
        out: by default `NAME.recovered.EXT` beside it.
        boxes: the boxes of that run. The new faces are not found at quite the same places, and a crop that
            differs by a few pixels is not restored.

    Raises:
        VideoError: the source is not there or no picture, the output exists, or the boxes do not fit.
        ImageError: the source is damaged.
        ConfigError: there is no password, or the boxes are not of one picture.
    """
    source = Path(source)
    out = beside(source, "image", "recovered") if out is None else Path(out)
    settings = settings or Settings(method=FIT, recover=True)
    if not source.is_file():
        raise VideoError(f"'{source}' is not there: check the name")
    if kind_of(source) != "image":
        raise VideoError(f"'{source}' is no picture: only faces in pictures can be recovered, not in videos")
    if os.path.lexists(out) and not settings.overwrite:
        raise VideoError(f"'{out}' exists: give --overwrite, or the output another name")
    guide = Guide(boxes=BoxesFile(Path(boxes)).only())
    return anonymize_image(source, out, settings=settings, guide=guide)

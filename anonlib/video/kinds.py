"""Whether a file holds a picture, a video or neither, and what its output is called."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from anonlib.errors import ImageError, VideoError
from anonlib.video.containers import CONTAINERS
from anonlib.video.image_reader import is_avif, is_heic
from anonlib.video.image_writer import FORMATS
from anonlib.video.opening import open_input

Kind = Literal["image", "video"]
KINDS: tuple[Kind, ...] = ("image", "video")
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\x00", b"MM\x00*", b"GIF87a", b"GIF89a")
_RAW = ".dng .cr2 .cr3 .nef .arw .raf .orf .rw2"
_OTHER_PICTURES = f".heic .heif .avif .bmp .jfif .jpe .jp2 .jxl .psd {_RAW}"
_OTHER_VIDEOS = ".avi .wmv .flv .mpg .mpeg .ts .m2ts .mts .3gp .ogv .mxf .vob .asf .y4m"
_PICTURES = {*FORMATS, *_OTHER_PICTURES.split()}
MEDIA = {*_PICTURES, *CONTAINERS, *_OTHER_VIDEOS.split()}
"""Suffixes of pictures and videos, also of those that are read but not written."""


def kind_of(path: Path) -> Kind | None:
    """Whether a file holds a picture, a video or neither, by its first bytes and not by its name.

    Raises:
        ImageError: the file is named like a picture and holds none, or one of a kind that cannot be read.
        VideoError: the file is named like a video and holds none, or one of a kind that cannot be read.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(32)
    suffix = path.suffix.lower()
    if suffix in _RAW.split():  # some look like a TIFF that holds a thumbnail only
        raise ImageError(f"'{path}' is a camera's raw file, which cannot be read: save it as TIFF or JPEG")
    if head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    if is_heic(head) or is_avif(head) or (head[:2] == b"BM" and head[6:10] == bytes(4)):
        return "image"
    if not head and suffix not in MEDIA:
        return None
    try:
        with open_input(path) as container:
            if container.streams.video:
                return "video"
    except VideoError as error:
        if head and suffix in _PICTURES:
            raise ImageError(
                f"'{path}' is not a picture that can be read: fetch it again, or save it as JPEG or PNG"
            ) from error
        if suffix in MEDIA:
            raise
        return None
    if suffix in MEDIA:
        raise VideoError(f"'{path}' holds no video: give a video or a picture")
    return None


def beside(source: Path, kind: Kind, word: str) -> Path:
    """The default output beside the input; a suffix that cannot be written becomes .mp4 or .png.

    >>> beside(Path("films/a.avi"), "video", "anonymized").as_posix()
    'films/a.anonymized.mp4'
    """
    return source.with_name(f"{source.stem}.{word}{_suffix(source, kind)}")


def mirrored(relative: Path, kind: Kind) -> Path:
    """The name in the output folder: that of the input, with another suffix if it cannot be written.

    >>> mirrored(Path("b/a.avi"), "video").as_posix(), mirrored(Path("a.JPG"), "image").name
    ('b/a.avi.mp4', 'a.JPG')
    """
    suffix = _suffix(relative, kind)
    return relative if suffix == relative.suffix else relative.with_name(relative.name + suffix)


def _suffix(source: Path, kind: Kind) -> str:
    if source.suffix.lower() in (FORMATS if kind == "image" else CONTAINERS):
        return source.suffix
    return ".png" if kind == "image" else ".mp4"

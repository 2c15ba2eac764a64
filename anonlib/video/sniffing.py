"""What a file holds, told by its first bytes and never by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from anonlib.errors import VideoError
from anonlib.video.images import FORMATS
from anonlib.video.opening import open_input
from anonlib.video.writer import CONTAINERS

Kind = Literal["image", "video", "other"]
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\x00", b"MM\x00*", b"GIF87a", b"GIF89a")
_HEIC = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
_MEDIA = {
    *FORMATS, *CONTAINERS, ".avi", ".wmv", ".flv", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".3gp",
    ".ogv", ".mxf", ".vob", ".asf", ".heic", ".heif", ".avif", ".bmp", ".jfif", ".jpe", ".y4m",
}  # fmt: skip
"""Suffixes that promise a picture or a video."""


def kind_of(path: Path) -> Kind:
    """What the file is: a picture, a video, or something else that is left alone.

    Raises:
        VideoError: the file promises a picture or a video by its name and holds none, or holds
            one of a kind that cannot be read.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(32)
    if head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC:
        raise VideoError(f"'{path}' is a HEIC or AVIF picture, which is not read: save it as JPEG")
    promised = path.suffix.lower() in _MEDIA
    if not head and not promised:
        return "other"
    try:
        with open_input(path) as container:
            return _known(path, bool(container.streams.video), promised)
    except VideoError:
        if promised:
            raise
        return "other"


def _known(path: Path, video: bool, promised: bool) -> Kind:
    if not video and promised:
        raise VideoError(f"'{path}' holds no video: give a film or a picture")
    return "video" if video else "other"

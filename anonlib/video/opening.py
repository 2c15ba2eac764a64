"""Opening the source of a video: a file, a pipe, a camera or a stream."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import InputContainer

from anonlib.errors import VideoError

Source = str | Path | BinaryIO
"""A path, `-` for stdin, `camera:0`, an address such as `rtsp://...`, or an open file."""

# Formats of libav that contain their own pictures. Formats that refer to other files (playlists,
# concat scripts) or that libav guesses from the name alone (text as video) are left out on purpose.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,asf,ogg,rm,mxf,nut,ivf,gxf,wtv,dv,"
    "h264,hevc,av1,obu,m4v,mpegvideo,mjpeg,yuv4mpegpipe,swf,nsv,dhav,vc1,cavsvideo,dirac,h263,"
    "roq,smk,bink,film_cpk,ea,4xm,idcin,fli,flic,mlv,r3d,ogv,f4v,amv,rpl,viv,vivo,nuv,ismv"
)
_CAMERAS = {
    "linux": ("v4l2", "/dev/video{}"),
    "darwin": ("avfoundation", "{}"),
    "win32": ("dshow", "video={}"),
}
"""By platform: libav's format for cameras, and the name of a camera by its number."""
_TIMEOUT = 30.0
"""Seconds to wait for a stream."""


def is_live(source: Source) -> bool:
    """Whether the source is a camera or a stream, which runs until it is stopped.

    >>> is_live("camera:0"), is_live("rtsp://host/door"), is_live("a.mp4")
    (True, True, False)
    """
    return isinstance(source, str) and (source.startswith("camera:") or "://" in source)


def title(source: Source) -> str:
    """The name of a source in messages.

    >>> title("-"), title("camera:0"), title(Path("films/a.mp4"))
    ('stdin', 'camera:0', 'films/a.mp4')
    """
    if source == "-":
        return "stdin"
    if isinstance(source, (str, Path)):
        return str(source)
    return str(getattr(source, "name", "stream"))


def open_input(source: Source) -> InputContainer:
    """Opens a source for reading.

    Raises:
        VideoError: it is missing, empty, not a video, or damaged at its beginning.
    """
    try:
        return _open(source)
    except FileNotFoundError as error:
        raise VideoError(f"'{title(source)}' is not there: check the name") from error
    except PermissionError as error:
        raise VideoError(f"'{title(source)}' may not be read: check its permissions") from error
    except (av.FFmpegError, OSError, ValueError, UnicodeError) as error:
        if is_live(source):
            reason = "does not answer: check that it is connected and not in use"
        elif source == "-":
            reason = "holds no video, or one with its index at the end (.mp4): give it as a file"
        else:
            reason = "is not a video, or is damaged at its beginning: fetch it again, or convert it to .mp4"
        name = "stdin" if source == "-" else f"'{title(source)}'"
        raise VideoError(f"{name} {reason}") from error


def _open(source: Source) -> InputContainer:
    options: dict[str, Any] = {"mode": "r", "metadata_errors": "replace"}
    if isinstance(source, str) and source.startswith("camera:"):
        kind, pattern = _CAMERAS.get(sys.platform, _CAMERAS["linux"])
        name = source.removeprefix("camera:")
        numbered = name.isdigit() or sys.platform == "win32"
        return av.open(pattern.format(name) if numbered else name, format=kind, **options)
    if is_live(source):
        return av.open(str(source), timeout=_TIMEOUT, **options)
    options["options"] = {"format_whitelist": _FORMATS}
    if source == "-":
        return av.open(Pipe(sys.stdin.buffer), **options)
    if not isinstance(source, (str, Path)):
        return av.open(source, **options)
    if os.path.getsize(source) == 0:
        raise VideoError(f"'{source}' is empty: fetch it again or delete it")
    options["options"]["protocol_whitelist"] = "file"
    return av.open(f"file:{os.path.abspath(source)}", **options)


class Pipe:
    """A stream that libav may read or write but not seek, such as stdin."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""
        return self._stream.read(size)

    def write(self, content: bytes) -> int:
        """Writes all bytes."""
        self._stream.write(content)
        return len(content)

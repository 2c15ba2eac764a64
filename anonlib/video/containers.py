"""The kinds of files that videos are written as, and which codec and pixel format each input gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from av import VideoFrame

from anonlib.errors import VideoError
from anonlib.video.conversion import bits_of, has_opacity
from anonlib.video.hdr import is_hdr, x265_params

_H264 = {"crf": "20", "preset": "superfast", "mbtree": "1", "rc-lookahead": "10", "a53cc": "0"}
_HEVC = {"crf": "20", "preset": "superfast"}
_VP9 = {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "7", "row-mt": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A file format and the codecs that are written into it, by libav's names."""

    format: str
    codec: str = "libx264"
    options: Mapping[str, str] = field(default_factory=lambda: dict(_H264))
    sound: str = "aac"
    """The codec for sound that cannot be copied."""


_MP4 = Container(format="mp4")
CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Container(format="mov"),
    ".mkv": Container(format="matroska"),
    ".webm": Container(format="webm", codec="libvpx-vp9", options=_VP9, sound="libopus"),
}
"""By the suffix of the output's name."""


def container_of(name: str | Path) -> Container:
    """The container that a file name asks for.

    >>> container_of("a.MKV").format
    'matroska'
    >>> container_of("a.avi")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    anonlib.errors.VideoError: 'a.avi': videos are written as .mp4, .m4v, .mov, .mkv, .webm; ...
    """
    suffix = Path(name).suffix.lower()
    if suffix not in CONTAINERS:
        raise VideoError(
            f"'{name}': videos are written as {', '.join(CONTAINERS)}; give the output one of these suffixes"
        )
    return CONTAINERS[suffix]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How the pictures of one video are written."""

    codec: str
    options: Mapping[str, str]
    pixel_format: str
    notes: list[str] = field(default_factory=list)
    """Notes for the report on what is lost, or kept in an unusual format."""


def encoding_for(container: Container, first: VideoFrame, name: str) -> Encoding:
    """The codec and pixel format nearest to a video's first frame, of those that faces can be written to.

    More than 8 bits a colour become 10 in HEVC. Opacity is kept in .webm (VP9) and .mov (ProRes 4444).

    Raises:
        VideoError: the video has a high dynamic range, which .webm cannot hold here; names the video.
    """
    format_name, bits = first.format.name, bits_of(first.format.name)
    notes = ["the colours of 4:2:2 became 4:2:0"] if "422" in format_name else []
    opaque = not has_opacity(format_name)
    if not opaque and container.format == "mov":
        notes = ["transparency is kept: written as ProRes 4444"]
        return Encoding(
            codec="prores_ks", options={"profile": "4444"}, pixel_format="yuva444p10le", notes=notes
        )
    if container.format == "webm":
        if is_hdr(first):
            raise VideoError(
                f"'{name}' has a high dynamic range, which .webm cannot hold here: give --out a name in .mp4"
            )
        if bits > 8:
            notes.append(f"{bits} bits a colour became 8")
        pixel_format = "yuv444p" if "444" in format_name and opaque else "yuv420p"
        if not opaque:
            notes.append("transparency is kept: written as VP9")
            pixel_format = "yuva420p"
        return Encoding(
            codec=container.codec, options=container.options, pixel_format=pixel_format, notes=notes
        )
    pixel_format = opaque_format(format_name, first.width, first.height)
    if bits == 8:
        return Encoding(
            codec=container.codec, options=container.options, pixel_format=pixel_format, notes=notes
        )
    kept = "10 bits a colour are kept" if bits == 10 else f"{bits} bits a colour became 10"
    notes.append(f"{kept}{', with the high dynamic range' if is_hdr(first) else ''}: written as HEVC")
    options = _HEVC | {"x265-params": f"log-level=error:{x265_params(first)}".rstrip(":")}
    return Encoding(codec="libx265", options=options, pixel_format=pixel_format, notes=notes)


def opaque_format(name: str, width: int, height: int) -> str:
    """The pixel format for H.264 or HEVC that is nearest to that of the input.

    4:2:0 chroma needs even sides. Odd sizes are written as 4:4:4, which loses no row.

    >>> opaque_format("yuv420p10le", 101, 50), opaque_format("yuvj420p", 100, 50)
    ('yuv444p10le', 'yuvj420p')
    """
    deep = "10le" if bits_of(name) > 8 else ""
    full = "j" if name.startswith("yuvj") else ""
    fine = (name.startswith("yuv") and "444" in name) or width % 2 or height % 2
    return f"yuv{full}{'444' if fine else '420'}p{deep}"

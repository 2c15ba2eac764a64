"""Pictures encoded into a container, with the stamps, turn and colours they were read with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import av
from av import AudioStream, Packet, VideoStream
from av.codec.context import Flags
from av.video.frame import PictureType

from anonlib.errors import VideoError
from anonlib.video.reader import VideoReader
from anonlib.video.sound import PLAYABLE_IN_MP4, CopiedTrack, EncodedTrack, Track
from anonlib.video.yuv import YuvPicture

_BUFFER = 1 << 20
_H264 = {"crf": "20", "preset": "veryfast", "a53cc": "0"}
_VP9 = {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "7", "row-mt": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A kind of file and what is written into it."""

    format: str
    """libav's name of the multiplexer."""
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=lambda: dict(_H264))
    sound: str = "aac"
    """The codec of sound that the container does not take as it is."""


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
    """The container that a name asks for.

    >>> container_of("a.MKV").format
    'matroska'
    >>> container_of("a.avi")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    anonlib.errors.VideoError: 'a.avi': videos are written as .mp4, .m4v, .mov, .mkv, .webm; ...
    """
    suffix = Path(name).suffix.lower()
    if suffix not in CONTAINERS:
        raise VideoError(
            f"'{name}': videos are written as {', '.join(CONTAINERS)}; give the output a name that ends so"
        )
    return CONTAINERS[suffix]


def pixel_format_for(container: Container, name: str, width: int, height: int) -> str:
    """The pixel format, one that faces can be written to, nearest to a frame's own.

    H.264 shares colour between 2x2 pixels only where both sides are even; odd sizes are written
    as yuv444p, so that no row is lost.

    >>> pixel_format_for(CONTAINERS[".mp4"], "yuv420p10le", 101, 50)
    'yuv444p'
    """
    if container.codec != "libx264":
        return "yuv444p" if "444" in name else "yuv420p"
    full = "j" if name.startswith("yuvj") else ""
    fine = name in ("yuv444p", "yuvj444p") or width % 2 or height % 2
    return f"yuv{full}{'444' if fine else '420'}p"


class VideoWriter:
    """Writes what a reader reads; use it in a `with` block, which completes the file."""

    def __init__(
        self, file: BinaryIO, container: Container, reader: VideoReader, *, keep_metadata: bool = False
    ) -> None:
        """Prepares the container; the encoder opens with the first picture.

        Args:
            file: where the bytes go; it need not seek for `matroska`.
            container: one of `CONTAINERS`.
            reader: whose stamps, turn, colours and sound are carried over.
            keep_metadata: whether titles, places and dates are too.
        """
        self._reader, self._kind, self._file = reader, container, file
        self._keep = keep_metadata
        self.warnings: list[str] = []
        self._stream: VideoStream | None = None
        self._tracks: dict[int, Track] = {}
        with _explained():
            self._container = av.open(cast(Any, file), "w", format=container.format, buffer_size=_BUFFER)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._finish()
            return
        try:
            self._container.close()
        except Exception:  # the file is thrown away, the first error tells why
            return

    def write(self, picture: YuvPicture) -> None:
        """Encodes the next picture, and passes on the sound up to it."""
        frame = picture.frame
        with _explained():
            if self._stream is None:
                self._stream = self._begin(picture)
            frame.pict_type = PictureType.NONE
            self._container.mux(self._stream.encode(frame))
            self._pass_on(frame.time + self._reader.offset)

    def _begin(self, picture: YuvPicture) -> VideoStream:
        frame, reader = picture.frame, self._reader
        options = dict(self._kind.options)
        stream = self._container.add_stream(self._kind.codec, rate=reader.rate, options=options)
        assert isinstance(stream, VideoStream) and frame.time_base is not None
        context = stream.codec_context
        context.width, context.height = frame.width, frame.height
        context.pix_fmt = frame.format.name
        context.time_base = frame.time_base
        context.thread_count = 0
        context.flags |= Flags.frame_duration
        context.color_range, context.colorspace = frame.color_range, frame.colorspace
        context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
        if reader.video.sample_aspect_ratio:
            context.sample_aspect_ratio = reader.video.sample_aspect_ratio
        if reader.matrix is not None:
            stream.set_display_matrix(reader.matrix)
        self._add_tracks()
        if self._keep:
            self._container.metadata.update(_texts(reader.container.metadata))
            stream.metadata.update(_texts(reader.video.metadata))
        return stream

    def _add_tracks(self) -> None:
        known = self._container.supported_codecs
        if self._kind.format == "mp4":
            known &= PLAYABLE_IN_MP4
        offset = self._reader.offset
        for sound in self._reader.audio:
            self._tracks[sound.index] = self._sound(sound, known, offset)
        for text in self._reader.subtitles:
            if text.codec_context and text.codec_context.name in self._container.supported_codecs:
                track = CopiedTrack(self._container, text, offset=offset)
                self._tracks[text.index] = track
            else:
                self.warnings.append("subtitles that the container does not take were left out")

    def _sound(self, sound: AudioStream, known: set[str], offset: float) -> Track:
        if sound.codec_context.name in known:
            return CopiedTrack(self._container, sound, offset=offset)
        return EncodedTrack(self._container, sound, self._kind.sound, offset=offset)

    def _pass_on(self, until: float | None) -> None:
        """Writes the packets of sound and subtitles up to a time of the input, or all."""
        packets = self._reader.packets
        while packets and (until is None or _time(packets[0]) <= until):
            packet = packets.popleft()
            track = self._tracks.get(packet.stream.index)
            if track is not None:
                track.write(packet)

    def _finish(self) -> None:
        with _explained():
            if self._stream is not None:
                if not self._reader.shortened:
                    self._pass_on(None)
                for track in self._tracks.values():
                    track.close()
                self._container.mux(self._stream.encode(None))
            self._container.close()


def _time(packet: Packet[Any]) -> float:
    assert packet.dts is not None and packet.time_base is not None
    return float(packet.dts * packet.time_base)


def _texts(metadata: dict[str, str]) -> dict[str, str]:
    """Metadata without what belongs to the old file's container and encoder."""
    dropped = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}
    return {k: v for k, v in metadata.items() if k.lower() not in dropped}


@contextmanager
def _explained() -> Iterator[None]:
    """libav's own errors, other than the system's, as errors of ours."""
    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError) and error.errno:
            raise OSError(error.errno, error.strerror) from error
        raise VideoError(f"the video could not be encoded: {error}") from error

"""Encodes pictures into a container, with the time stamps, turn, colours and sound of the input."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from fractions import Fraction
from typing import Any, BinaryIO, cast

import av
from av import AudioFrame, AudioStream, Packet, VideoStream
from av.codec.context import Flags
from av.container import OutputContainer
from av.stream import Stream
from av.video.frame import PictureType

from anonlib.errors import VideoError
from anonlib.video.containers import Container, encoding_for
from anonlib.video.hdr import left_out
from anonlib.video.opening import title
from anonlib.video.reader import VideoReader
from anonlib.video.yuv import YuvPicture

_BUFFER = 1 << 20
_PLAYABLE_IN_MP4 = frozenset({"aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus", "flac"})
"""Sound that players expect in .mp4; libav would write more."""
_OLD_CONTAINER = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}
"""Metadata that describe the input file and are wrong in the output."""


class VideoWriter(AbstractContextManager["VideoWriter"]):
    """Writes what a reader reads; the end of its `with` block closes the file."""

    def __init__(self, file: BinaryIO, container: Container, reader: VideoReader) -> None:
        """Opens the container; the encoder opens with the first picture. A pipe takes matroska only."""
        self._reader, self._kind = reader, container
        self._stream: VideoStream | None = None
        self._tracks: dict[int, _CopiedTrack | _EncodedTrack] = {}
        first = reader.first
        self._encoding = encoding_for(container, first, title(reader.source))
        self.warnings = [*self._encoding.notes, *left_out(first)]
        self.pixel_format = self._encoding.pixel_format
        """That of the pictures to write."""
        with _explained():
            self._container = av.open(cast(Any, file), "w", format=container.format, buffer_size=_BUFFER)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Writes what the encoders still hold and the remaining sound, and closes the container."""
        if error is not None:
            with suppress(Exception):  # the file is thrown away, and the first error is the one to report
                self._container.close()
            return
        with _explained():
            if self._stream is not None:
                if not self._reader.settings.preview:
                    self._pass_on(math.inf)
                for track in self._tracks.values():
                    track.close()
                self._container.mux(self._stream.encode(None))
            self._container.close()

    def write(self, picture: YuvPicture) -> None:
        """Encodes the next picture, and writes the sound up to it."""
        frame = picture.frame
        with _explained():
            if self._stream is None:
                self._stream = self._begin(picture)
            frame.pict_type = PictureType.NONE
            self._container.mux(self._stream.encode(frame))
            self._pass_on(frame.time + self._reader.offset)

    def _begin(self, picture: YuvPicture) -> VideoStream:
        """Opens the encoder with the properties of the first picture, and adds all streams."""
        frame, reader = picture.frame, self._reader
        codec = self._encoding.codec
        stream = self._container.add_stream(codec, rate=reader.rate, options=dict(self._encoding.options))
        assert isinstance(stream, VideoStream) and frame.time_base is not None
        context = stream.codec_context
        context.width, context.height = frame.width, frame.height
        context.pix_fmt = frame.format.name
        if codec == "libx265" and self._kind.format in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # QuickTime plays no other
        context.time_base = frame.time_base
        context.thread_count = 0
        context.flags |= Flags.frame_duration
        context.color_range, context.colorspace = frame.color_range, frame.colorspace
        context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
        if reader.video.sample_aspect_ratio:
            context.sample_aspect_ratio = reader.video.sample_aspect_ratio
        if reader.matrix is not None:
            stream.set_display_matrix(reader.matrix)
        if self.pixel_format == "yuva420p":
            stream.metadata["alpha_mode"] = "1"
        self._add_tracks()
        self._add_chapters()
        if reader.settings.keep_metadata:
            self._container.metadata.update(_texts(reader.container.metadata))
            stream.metadata.update(_texts(reader.video.metadata))
        return stream

    def _add_tracks(self) -> None:
        container, offset = self._container, self._reader.offset
        known = container.supported_codecs
        playable = known & _PLAYABLE_IN_MP4 if self._kind.format == "mp4" else known
        for sound in self._reader.audio:
            if sound.codec_context.name in playable:
                self._tracks[sound.index] = _CopiedTrack(container, sound, offset)
            else:
                self._tracks[sound.index] = _EncodedTrack(container, sound, offset, self._kind.sound)
        for text in self._reader.subtitles:
            if text.codec_context and text.codec_context.name in known:
                self._tracks[text.index] = _CopiedTrack(container, text, offset)
            else:
                self.warnings.append("subtitles that the container does not take were left out")

    def _add_chapters(self) -> None:
        """Keeps where chapters begin; their titles only with the other metadata."""
        reader = self._reader
        chapters = [] if reader.settings.preview else reader.container.chapters()
        for chapter in chapters:
            base = chapter["time_base"]
            shift = round(reader.offset / base) if base else 0
            chapter["start"], chapter["end"] = chapter["start"] - shift, chapter["end"] - shift
            if not reader.settings.keep_metadata:
                chapter["metadata"] = {}
        if chapters:
            self._container.set_chapters(chapters)
            kept = "kept" if reader.settings.keep_metadata else "kept without their titles"
            self.warnings.append(f"its {len(chapters)} chapters are {kept}")

    def _pass_on(self, until: float) -> None:
        """Writes the packets of sound and subtitles up to a time of the input."""
        packets = self._reader.packets
        while packets and _time(packets[0]) <= until:
            packet = packets.popleft()
            if track := self._tracks.get(packet.stream.index):
                track.write(packet)


class _CopiedTrack:
    """Sound or subtitles copied packet by packet, their clock set back by `offset` seconds."""

    def __init__(self, container: OutputContainer, template: Stream, offset: float) -> None:
        self._container, self._offset = container, offset
        self._stream = container.add_stream_from_template(template, opaque=True)
        self._last: int | None = None
        _keep_language(self._stream, template)

    def write(self, packet: Packet[Any]) -> None:
        """Writes the packet with a time stamp later than that of the one before."""
        if packet.dts is None or packet.time_base is None:
            return
        shift = round(self._offset / packet.time_base)
        dts = packet.dts - shift
        if self._last is not None and dts <= self._last:
            dts = self._last + 1
        pts = packet.dts if packet.pts is None else packet.pts
        packet.dts, packet.pts, self._last = dts, max(dts, pts - shift), dts
        packet.stream = self._stream
        self._container.mux(packet)

    def close(self) -> None:
        """Every packet was written at once."""


class _EncodedTrack:
    """Sound decoded and encoded again, for containers that do not take it as it is."""

    def __init__(self, container: OutputContainer, template: AudioStream, offset: float, codec: str) -> None:
        self._container, self._offset = container, offset
        rate = 48000 if codec == "libopus" else template.rate
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, AudioStream)
        self._stream, context = stream, stream.codec_context
        context.layout = "mono" if template.channels == 1 else "stereo"
        context.time_base = Fraction(1, rate)
        context.bit_rate = 128_000
        _keep_language(stream, template)
        self._resampler = av.AudioResampler(context.format, context.layout, rate)

    def write(self, packet: Packet[Any]) -> None:
        """Encodes the sound of a packet; a damaged packet is left out."""
        try:
            frames = cast(list[AudioFrame], packet.decode())
        except (av.FFmpegError, ValueError):
            return
        for frame in frames:
            if frame.pts is not None and frame.time_base is not None:
                frame.pts -= round(self._offset / frame.time_base)
            self._encode(frame)

    def close(self) -> None:
        """Encodes what the resampler and the encoder still hold."""
        self._encode(None)
        self._container.mux(self._stream.encode(None))

    def _encode(self, frame: AudioFrame | None) -> None:
        for part in self._resampler.resample(frame):
            self._container.mux(self._stream.encode(part))


def _keep_language(stream: Stream, template: Stream) -> None:
    """Copies the language and whether the track is the default one; titles are not kept."""
    if language := template.metadata.get("language"):
        stream.metadata["language"] = language
    stream.disposition = template.disposition


def _time(packet: Packet[Any]) -> float:
    assert packet.dts is not None and packet.time_base is not None
    return float(packet.dts * packet.time_base)


def _texts(metadata: dict[str, str]) -> dict[str, str]:
    return {key: text for key, text in metadata.items() if key.lower() not in _OLD_CONTAINER}


@contextmanager
def _explained() -> Iterator[None]:
    """Turns libav's errors into ours, except those of the system such as a full disk."""
    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError) and error.errno:
            raise OSError(error.errno, error.strerror) from error
        raise VideoError(f"the video could not be encoded: {error}") from error

"""Sound and subtitles carried over: copied where the container takes them, else encoded anew."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Protocol, cast

import av
from av import AudioFrame, AudioStream, Packet
from av.audio.codeccontext import AudioCodecContext
from av.container import OutputContainer
from av.stream import Stream

PLAYABLE_IN_MP4 = frozenset({"aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus", "flac"})
"""Sound that players expect in .mp4; libav would write more."""


class Track(Protocol):
    """One stream of sound or subtitles on its way to the output."""

    def write(self, packet: Packet[Any]) -> None:
        """Takes one packet of the input."""

    def close(self) -> None:
        """Writes what is left."""


class CopiedTrack:
    """Packets passed on as they are, their clock set back by `offset` seconds."""

    def __init__(self, container: OutputContainer, template: Stream, *, offset: float) -> None:
        self._container, self._offset = container, offset
        self._stream = container.add_stream_from_template(template, opaque=True)
        self._last: int | None = None
        name_language(self._stream, template)

    def write(self, packet: Packet[Any]) -> None:
        """Muxes the packet, with a time later than that of the one before."""
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
        """Nothing is held back."""


class EncodedTrack:
    """Sound decoded and encoded anew, for containers that do not take it as it is."""

    def __init__(
        self, container: OutputContainer, template: AudioStream, codec: str, *, offset: float
    ) -> None:
        self._container, self._offset = container, offset
        rate = 48000 if codec == "libopus" else template.rate
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, AudioStream)
        self._stream = stream
        context: AudioCodecContext = self._stream.codec_context
        context.layout = "mono" if template.channels == 1 else "stereo"
        context.time_base = Fraction(1, rate)
        context.bit_rate = 128_000
        name_language(self._stream, template)
        self._resampler = av.AudioResampler(context.format, context.layout, rate)

    def write(self, packet: Packet[Any]) -> None:
        """Encodes what the packet holds; what is damaged is left out."""
        try:
            frames = cast(list[AudioFrame], packet.decode())
        except (av.FFmpegError, ValueError):
            return
        for frame in frames:
            if frame.pts is not None and frame.time_base is not None:
                frame.pts -= round(self._offset / frame.time_base)
            for part in self._resampler.resample(frame):
                self._container.mux(self._stream.encode(part))

    def close(self) -> None:
        """Encodes what is left in the resampler and the encoder."""
        for part in self._resampler.resample(None):
            self._container.mux(self._stream.encode(part))
        self._container.mux(self._stream.encode(None))


def name_language(stream: Stream, template: Stream) -> None:
    """Keeps the language, which tells several tracks apart, and whether the track is the default.

    Titles are not kept.
    """
    language = template.metadata.get("language")
    if language:
        stream.metadata["language"] = language
    stream.disposition = template.disposition

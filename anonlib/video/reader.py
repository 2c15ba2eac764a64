"""Reads a video: its pictures in order, upright and with time stamps, and the sound beside them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from itertools import chain
from typing import Any, cast

import av
import numpy as np
from av import AudioStream, Packet, VideoFrame, VideoStream
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.codeccontext import VideoCodecContext

from anonlib.data.images import LARGEST_IMAGE
from anonlib.errors import VideoError
from anonlib.video.conversion import Converter
from anonlib.video.opening import Source, is_live, open_input, title
from anonlib.video.settings import PREVIEW_SECONDS, Settings
from anonlib.video.yuv import STEPS, YuvPicture, turn_of

LATEST_START = 10.0
"""Seconds. If a clock starts later than this, or is that of a broadcast, it is set back to zero."""
_BROADCASTS = ("mpegts", "mpeg")  # their clocks may start at any time
_MOST_ERRORS = 100
_MISSING_SECONDS = 1.0
_UNUSUAL_RATE = 240
_READS_OPACITY = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_READ_ERRORS = (av.FFmpegError, OSError, ValueError)


class VideoReader(AbstractContextManager["VideoReader"]):
    """An open video; use it in a `with` block.

    While pictures are read, the packets of sound and subtitles between them collect in `packets`.
    """

    def __init__(
        self, source: Source, settings: Settings | None = None, *, stop: threading.Event | None = None
    ) -> None:
        """Opens the video and decodes its first picture; setting `stop` ends a camera or a stream.

        The settings say whether sound, subtitles and the whole length are read.

        Raises:
            VideoError: no picture of it can be decoded.
        """
        self.source, self.settings = source, settings or Settings()
        self._stop, self._left = stop or threading.Event(), False
        self.container = open_input(source)
        self.packets: deque[Packet[Any]] = deque()
        self.damaged = 0
        """Number of damaged pictures and packets."""
        self.broken = False
        """Whether the file ended with an error."""
        self.changes: Iterable[str] = ()
        """What was changed to make all pictures alike, in words; complete after the last picture."""
        length, start = self.container.duration, self.container.start_time or 0
        self._promised = (start + length) / av.time_base if length else 0.0
        self._errors, self._arrived, self._end = 0, 0, 0.0
        self._last: int | None = None
        try:
            self.video = self._choose_video()
            self.audio = [s for s in self.container.streams.audio if self.settings.audio and _is_sound(s)]
            subtitles = self.container.streams.subtitles if self.settings.keep_metadata else ()
            self.subtitles: list[SubtitleStream] = list(subtitles)
            self._decoder = _decoder_of(self.video)
            self._counted = self.video.frames if self.container.format.name == "avi" else 0
            self._frames = self._decode()
            self.first = self._first()
            start_time = min(self.first.time or 0.0, start / av.time_base)
            broadcast = self.container.format.name in _BROADCASTS or is_live(source)
            self.offset = start_time if broadcast or start_time > LATEST_START else 0.0
            """Seconds that are subtracted from every time stamp."""
            matrix: Any = self.first.side_data.get("DISPLAYMATRIX")
            self.matrix = (
                None if matrix is None else cast(list[int], np.frombuffer(matrix, np.int32).tolist())
            )
            """The display matrix, nine numbers, if there is one."""
        except BaseException:
            self.container.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._left = True
        self.container.close()

    @property
    def rate(self) -> Fraction:
        """Frames per second as the file says, or 25."""
        rate = self.video.average_rate or self.video.guessed_rate
        return rate if rate and 0 < rate <= _UNUSUAL_RATE else Fraction(25)

    @property
    def expected(self) -> int | None:
        """The number of pictures as the file says, if it does."""
        if self.video.frames:
            return self.video.frames
        length = self.container.duration
        return round(length / av.time_base * self.rate) if length else None

    def pictures(self, pixel_format: str) -> Iterator[YuvPicture]:
        """Every intact picture in order, with rising time stamps.

        Frames of another format than `pixel_format`, one of `STEPS`, or of another size than the
        first, and interlaced ones, are converted; `changes` says so.
        """
        assert pixel_format in STEPS
        turn, start = turn_of(self.matrix), self.first.time or 0.0
        converter = Converter(self.first.width, self.first.height, pixel_format)
        self.changes = converter.changes
        for frame in converter(chain([self.first], self._frames)):
            if self.settings.preview and (frame.time or 0.0) - start >= PREVIEW_SECONDS:
                return
            self._stamp(frame)
            yield YuvPicture(frame, turn)

    def problems(self) -> list[str]:
        """Damage that was found, in words; complete after the last picture."""
        found = [f"{self.damaged} damaged parts were found"] if self.damaged else []
        stopped = self._stop.is_set() or self.settings.preview
        if not stopped and (self.broken or self._is_short()):
            found.append("the file ends early; the intact part is kept")
        return found

    def left_out(self) -> list[str]:
        """The kinds of streams that are not read, with their number."""
        kept = {self.video.index, *(s.index for s in [*self.audio, *self.subtitles])}
        dropped = [s.type or "unknown" for s in self.container.streams if s.index not in kept]
        if "data" in dropped and "mov" in self.container.format.name and self.container.chapters():
            dropped.remove("data")  # the chapters themselves, which are kept
        return [f"{dropped.count(kind)} {kind}" for kind in sorted(set(dropped))]

    def _choose_video(self) -> VideoStream:
        """The largest video stream, without covers and thumbnails."""
        unwanted = Disposition.attached_pic | Disposition.timed_thumbnails
        streams = [
            s for s in self.container.streams.video if s.codec_context and not s.disposition & unwanted
        ]
        if not streams:
            raise VideoError(f"'{title(self.source)}' holds no video: give a video or a picture")
        chosen = max(streams, key=lambda s: s.width * s.height)
        chosen.thread_type = "AUTO"
        chosen.thread_count = 2
        return chosen

    def _first(self) -> VideoFrame:
        for frame in self._frames:
            return frame
        pipe = ", or as a file if it is an .mp4 with its index at the end" if self.source == "-" else ""
        raise VideoError(f"'{title(self.source)}' holds no picture that can be decoded: fetch it again{pipe}")

    def _decode(self) -> Iterator[VideoFrame]:
        """Intact frames, in the order in which they are shown."""
        for packet in self._demux():
            if packet.stream.index == self.video.index:
                yield from self._frames_of(packet)
            elif packet.dts is not None:
                self.packets.append(packet)
        yield from self._frames_of(None)

    def _frames_of(self, packet: Packet[Any] | None) -> Iterator[VideoFrame]:
        try:
            frames = self._decoder.decode(packet)
        except EOFError:
            return
        except _READ_ERRORS:
            self.damaged += 1
            return
        for frame in frames:
            if frame.is_corrupt or not 0 < frame.width * frame.height <= LARGEST_IMAGE:
                self.damaged += 1
            else:
                yield frame

    def _demux(self) -> Iterator[Packet[Any]]:
        """Packets of the chosen streams; continues after errors, up to a limit."""
        streams: list[Stream] = [self.video, *self.audio, *self.subtitles]
        while self._errors < _MOST_ERRORS and not self._is_over():
            try:
                for packet in self.container.demux(*cast(Any, streams)):
                    if self._is_over():
                        return
                    if packet.size:  # a packet without content ends a stream
                        self._note(packet)
                        yield packet
                return
            except EOFError:
                return
            except BlockingIOError:  # a camera without a new picture
                continue
            except _READ_ERRORS:
                self._errors += 1
                self.broken = True
                if is_live(self.source):
                    return

    def _is_over(self) -> bool:
        return self._left or self._stop.is_set()

    def _note(self, packet: Packet[Any]) -> None:
        """Records what arrived, to tell later whether the file is complete."""
        self.broken = False
        self.damaged += packet.is_corrupt
        self._arrived += packet.stream.index == self.video.index
        if packet.dts is not None and packet.time_base is not None:
            end = packet.dts + (packet.duration or 0)
            self._end = max(self._end, float(end * packet.time_base))

    def _is_short(self) -> bool:
        """Whether much less arrived than the file says."""
        if self._counted:
            return self._arrived < self._counted - max(2, self._counted // 50)
        return not is_live(self.source) and self._end < self._promised - _MISSING_SECONDS

    def _stamp(self, frame: VideoFrame) -> None:
        """Gives the frame a later time stamp than the frame before."""
        base = frame.time_base or self.video.time_base or Fraction(1, 1000)
        step = max(1, round(1 / (self.rate * base)))
        pts = frame.pts
        if pts is None:
            pts = 0 if self._last is None else self._last + step
        else:
            pts -= round(self.offset / base)
        if self._last is not None and pts <= self._last:
            pts = self._last + 1
        frame.pts, frame.time_base, self._last = pts, base, pts
        frame.duration = frame.duration or step


def _is_sound(stream: AudioStream) -> bool:
    return bool(stream.codec_context) and stream.rate > 0 and stream.channels > 0


def _decoder_of(video: VideoStream) -> VideoCodecContext:
    """The stream's own decoder; for VP8 and VP9 with opacity the one that reads opacity."""
    other = _READS_OPACITY.get(video.codec_context.name)
    texts = {key.lower(): text for key, text in video.metadata.items()}
    if other is None or texts.get("alpha_mode") != "1" or other not in av.codecs_available:
        return video.codec_context
    return cast(VideoCodecContext, av.CodecContext.create(other, "r"))

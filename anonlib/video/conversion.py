"""Converts decoded frames to one size and format, without interlacing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import av
from av import VideoFrame
from av.filter import Graph
from av.video.reformatter import VideoReformatter

_INTERLACED = "interlaced pictures were made whole (bwdif)"
_BLACK = "transparency was laid on black: name the output .webm or .mov to keep it"


class Converter:
    """Turns decoded frames into frames of one size and pixel format, with their time stamps.

    Interlaced frames become whole ones. A frame of another size is fitted in, with black borders. A frame
    with opacity is laid on black if the pixel format has none.
    """

    def __init__(self, width: int, height: int, pixel_format: str) -> None:
        self.width, self.height, self.pixel_format = width, height, pixel_format
        self.changes: dict[str, None] = {}
        """What was changed, in words, each once."""
        self._opacity = has_opacity(pixel_format)
        self._key: tuple[Any, ...] = ()
        self._colours: dict[str, int] = {}
        self._graph: Graph | None = None
        self._interlaced = False
        self._scaler = VideoReformatter()

    def __call__(self, decoded: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
        """The frames in order; one that is interlaced comes out after the next one was read."""
        for frame in decoded:
            yield from self._whole(frame)
        yield from self._rest()

    def _whole(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        self._interlaced |= frame.interlaced_frame
        key = (frame.width, frame.height, frame.format.name, self._interlaced)
        if key != self._key:
            yield from self._rest()
            self._key, self._graph, self._colours = key, self._new_graph(frame), _colours(frame)
        if self._graph is None:
            yield self._reformatted(frame)
        else:
            self._graph.vpush(frame)
            yield from self._pulled(self._graph)

    def _rest(self) -> Iterator[VideoFrame]:
        """The frames that are still in the filters."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._pulled(self._graph)
        self._graph, self._key = None, ()

    def _pulled(self, graph: Graph) -> Iterator[VideoFrame]:
        while True:
            try:
                frame = graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            for name, value in self._colours.items():  # filters forget them
                setattr(frame, name, value)
            yield self._reformatted(frame)

    def _new_graph(self, frame: VideoFrame) -> Graph | None:
        """The filters that a frame needs; None if it needs none."""
        filters: list[tuple[str, str]] = []
        if self._interlaced:
            self.changes[_INTERLACED] = None
            filters.append(("bwdif", "mode=send_frame:deint=interlaced"))
        if not self._opacity and has_opacity(frame.format.name):
            self.changes[_BLACK] = None
            filters += [
                ("format", f"yuva{self.pixel_format[3:].removeprefix('j')}"),
                ("premultiply", "inplace=1"),
            ]
        if (frame.width, frame.height) != (self.width, self.height):
            size = f"{self.width}:{self.height}"
            self.changes[
                f"its size changes in the middle: all pictures were fitted into {size.replace(':', 'x')}"
            ] = None
            filters += [
                ("scale", f"{size}:force_original_aspect_ratio=decrease:force_divisible_by=2"),
                ("pad", f"{size}:(ow-iw)/2:(oh-ih)/2"),
            ]
        if not filters:
            return None
        graph = Graph()
        nodes = [
            graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
            )
        ]
        nodes += [graph.add(name, options) for name, options in filters]
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes).configure()
        return graph

    def _reformatted(self, frame: VideoFrame) -> VideoFrame:
        """The frame in the pixel format, with its time stamps; itself if nothing needs to change."""
        if frame.format.name == self.pixel_format:
            if all(plane.line_size > 0 for plane in frame.planes):
                return frame
            frame = self._scaler.reformat(frame, format="rgb24")  # its rows are stored from bottom to top
        full = "JPEG" if self.pixel_format.startswith("yuvj") else None
        # with several threads, swscale now and then writes wrong rows into 10-bit planes
        out = self._scaler.reformat(
            frame, self.width, self.height, self.pixel_format, dst_color_range=full, threads=1
        )
        out.pts, out.duration = frame.pts, frame.duration
        if frame.time_base is not None:
            out.time_base = frame.time_base
        return out


def _colours(frame: VideoFrame) -> dict[str, int]:
    """What a frame says of its colours that is also true of its copy in another format."""
    names = ["color_primaries", "color_trc"]
    if frame.format.name.startswith("yuv") and not frame.format.name.startswith("yuvj"):
        names += ["colorspace", "color_range"]
    return {name: int(getattr(frame, name)) for name in names}


def has_opacity(pixel_format: str) -> bool:
    """Whether a pixel format of libav says how opaque each pixel is.

    >>> has_opacity("yuva420p"), has_opacity("yuv420p"), has_opacity("argb")
    (True, False, True)
    """
    return any(part.is_alpha for part in av.VideoFormat(pixel_format).components)


def bits_of(pixel_format: str) -> int:
    """Bits a colour of a pixel format.

    >>> bits_of("yuv420p"), bits_of("yuva444p12le")
    (8, 12)
    """
    return max(part.bits for part in av.VideoFormat(pixel_format).components)

"""A decoded frame as a picture: faces are cut from luma and chroma and written back there.

The frame is never converted as a whole, so what lies outside the faces stays as it was, to the
bit, and costs nothing.
"""

from __future__ import annotations

import threading

import numpy as np
import torch
import torch.nn.functional as F
from av import VideoFrame
from av.video.reformatter import VideoReformatter
from torch import Tensor

from anonlib.errors import VideoError
from anonlib.video.colour import colour_of
from anonlib.video.picture import Corners, small_size
from anonlib.video.turn import UPRIGHT, Turn

STEPS = {"yuv420p": 2, "yuvj420p": 2, "yuv444p": 1, "yuvj444p": 1}
"""Pixel formats that faces can be written to, and the pixels that share a chroma value a side."""


class YuvPicture:
    """One frame of a video, upright, changed in place.

    A chroma value is shared by 2x2 pixels; one that touches a box belongs to it.
    """

    def __init__(self, frame: VideoFrame, turn: Turn = UPRIGHT) -> None:
        """Takes the frame over; pixels that a decoder still needs are copied first.

        Args:
            frame: 8 bits, of a format in `STEPS`.
            turn: how the frame is turned to stand upright.

        Raises:
            VideoError: the frame has another pixel format.
        """
        if frame.format.name not in STEPS:
            raise VideoError(
                f"frame of pixel format '{frame.format.name}': convert it to yuv420p first"
            )
        frame.make_writable()
        self.frame = frame
        self._turn = turn
        self._step = STEPS[frame.format.name]
        self._planes = [_pixels(frame, index) for index in range(3)]
        self._colour = colour_of(
            matrix=frame.colorspace,
            full=frame.format.name.startswith("yuvj") or frame.color_range,
            height=frame.height,
        )

    @property
    def height(self) -> int:
        """Rows of the upright picture."""
        return self._turn.size(self.frame.height, self.frame.width)[0]

    @property
    def width(self) -> int:
        """Columns of the upright picture."""
        return self._turn.size(self.frame.height, self.frame.width)[1]

    def small(self, longest: int) -> Tensor:
        """The whole picture `(3, h, w)` for the detector, each pixel a mean of those it covers."""
        height, width = self._turn.size(*small_size(self.height, self.width, longest))
        rgb = _scaler().reformat(
            self.frame, width, height, "rgb24", interpolation="AREA",
            src_colorspace=self._colour.matrix, dst_color_range="JPEG", threads=1,
        )  # fmt: skip
        pixels = torch.from_numpy(rgb.to_ndarray()).permute(2, 0, 1)
        return self._turn.upright(pixels).float().contiguous() / 255

    def grey(self, longest: int) -> Tensor:
        """Brightness `(h, w)`, each value a mean of the luma it covers."""
        height, width = self._turn.size(*small_size(self.height, self.width, longest))
        luma = _scaler().reformat(
            self.frame, width, height, "gray", interpolation="AREA", dst_color_range="JPEG",
            threads=1,
        )  # fmt: skip
        return self._turn.upright(_pixels(luma, 0)).float() / 255

    def crop(self, box: Corners) -> Tensor:
        """Those pixels as they are now, `(3, y1 - y0, x1 - x0)`."""
        x0, y0, x1, y1 = self._stored(box)
        top, left, bottom, right = self._shared(x0, y0, x1, y1)
        luma = self._planes[0][y0:y1, x0:x1]
        differences = torch.stack([p[top:bottom, left:right] for p in self._planes[1:]])
        tint = _spread(self._colour.tint(differences), self._step)
        y0, x0 = y0 - top * self._step, x0 - left * self._step
        tint = tint[:, y0 : y0 + luma.shape[0], x0 : x0 + luma.shape[1]]
        return self._turn.upright(self._colour.to_rgb(luma, tint)).contiguous()

    def paste(self, box: Corners, face: Tensor) -> None:
        """Replaces those pixels, rounded to bytes; a shared chroma value is the box's mean."""
        x0, y0, x1, y1 = self._stored(box)
        top, left, bottom, right = self._shared(x0, y0, x1, y1)
        face = self._turn.stored(face.detach().cpu().float().clamp(0, 1))
        self._planes[0][y0:y1, x0:x1] = _bytes(self._colour.to_luma(face))
        step = self._step
        edges = (x0 - left * step, right * step - x1, y0 - top * step, bottom * step - y1)
        whole = F.pad(face[None], edges, mode="replicate") if any(edges) else face[None]
        differences = self._colour.to_differences(F.avg_pool2d(whole, step)[0])
        for plane, values in zip(self._planes[1:], differences, strict=True):
            plane[top:bottom, left:right] = _bytes(values)

    def crop_to(self, box: Corners, size: int) -> Tensor:
        """Those pixels resized to `(3, size, size)`; luma and chroma are resized as bytes."""
        x0, y0, x1, y1 = self._stored(box)
        top, left, bottom, right = self._shared(x0, y0, x1, y1)
        luma = _resized(self._planes[0][None, y0:y1, x0:x1], (size, size))[0]
        differences = torch.stack([p[top:bottom, left:right] for p in self._planes[1:]])
        tint = self._colour.tint(_resized(differences, (size, size)))
        return self._turn.upright(self._colour.to_rgb(luma, tint)).contiguous()

    def paste_from(self, box: Corners, face: Tensor) -> None:
        """Replaces those pixels by a face `(3, size, size)`; luma and chroma are resized."""
        x0, y0, x1, y1 = self._stored(box)
        top, left, bottom, right = self._shared(x0, y0, x1, y1)
        face = self._turn.stored(face.detach().cpu().float().clamp(0, 1))
        luma = _bytes(self._colour.to_luma(face))
        self._planes[0][y0:y1, x0:x1] = _resized(luma[None], (y1 - y0, x1 - x0))[0]
        differences = _bytes(self._colour.to_differences(face))
        resized = _resized(differences, (bottom - top, right - left))
        for plane, values in zip(self._planes[1:], resized, strict=True):
            plane[top:bottom, left:right] = values

    def _shared(self, x0: int, y0: int, x1: int, y1: int) -> tuple[int, int, int, int]:
        """Top, left, bottom and right of the chroma values that touch a stored box."""
        step = self._step
        return y0 // step, x0 // step, -(-y1 // step), -(-x1 // step)

    def _stored(self, box: Corners) -> Corners:
        return self._turn.stored_box(box, height=self.height, width=self.width)


def _pixels(frame: VideoFrame, index: int) -> Tensor:
    """One plane `(h, w)` uint8, without the padding of its rows; shares its memory."""
    plane = frame.planes[index]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return torch.from_numpy(rows[: plane.height, : plane.width])


def _spread(values: Tensor, step: int) -> Tensor:
    """`(C, h, w)` to `(C, h * step, w * step)`, each value repeated."""
    channels, height, width = values.shape
    wide = values[:, :, None, :, None].expand(channels, height, step, width, step)
    return wide.reshape(channels, height * step, width * step)


def _resized(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Bytes `(C, h, w)` at another size, with antialiasing."""
    if tuple(values.shape[1:]) == size:
        return values
    return F.interpolate(values[None], size, mode="bilinear", antialias=True)[0]


def _bytes(values: Tensor) -> Tensor:
    return values.add(0.5).clamp_(0, 255).to(torch.uint8)


_local = threading.local()


def _scaler() -> VideoReformatter:
    """This thread's scaler, which keeps its tables from frame to frame."""
    if not hasattr(_local, "scaler"):
        _local.scaler = VideoReformatter()
    scaler: VideoReformatter = _local.scaler
    return scaler

"""Video frames stored as luma and chroma, upright: cutting faces out as RGB and pasting them back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from av import VideoFrame
from av.video.reformatter import VideoReformatter
from torch import Tensor

from anonlib.anonymizers.frames import Corners
from anonlib.errors import VideoError
from anonlib.video.colour import colour_of
from anonlib.video.hdr import for_detector
from anonlib.video.picture import small_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """From the stored to the upright picture: first the transposition, then the flips."""

    transpose: bool = False
    """Whether stored rows are upright columns."""
    flip_x: bool = False
    """Whether left and right are exchanged."""
    flip_y: bool = False
    """Whether top and bottom are exchanged."""

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Upright height and width from the stored ones, or the reverse."""
        return (width, height) if self.transpose else (height, width)

    def upright(self, pixels: Tensor) -> Tensor:
        """Stored pixels `(..., H, W)` as the upright picture."""
        if self.transpose:
            pixels = pixels.transpose(-1, -2)
        return pixels.flip(self._flips()) if self._flips() else pixels

    def stored(self, pixels: Tensor) -> Tensor:
        """Upright pixels `(..., H, W)` as they are stored; undoes `upright`."""
        if self._flips():
            pixels = pixels.flip(self._flips())
        return pixels.transpose(-1, -2) if self.transpose else pixels

    def stored_box(self, box: Corners, *, height: int, width: int) -> Corners:
        """The stored place of a box in the upright picture of that height and width.

        >>> Turn(transpose=True, flip_x=True).stored_box((0, 0, 2, 1), height=10, width=20)
        (0, 18, 1, 20)
        """
        x0, y0, x1, y1 = box
        if self.flip_x:
            x0, x1 = width - x1, width - x0
        if self.flip_y:
            y0, y1 = height - y1, height - y0
        return (y0, x0, y1, x1) if self.transpose else (x0, y0, x1, y1)

    def _flips(self) -> list[int]:
        return [-2] * self.flip_y + [-1] * self.flip_x


UPRIGHT = Turn()


def turn_of(matrix: Sequence[int] | None) -> Turn:
    """The turn nearest to a display matrix of nine numbers `a b u c d v x y w`, if there is one.

    The stored point (p, q) is shown at (a p + c q, b p + d q).

    >>> turn_of([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30])  # a quarter clockwise
    Turn(transpose=True, flip_x=True, flip_y=False)
    """
    if matrix is None:
        return UPRIGHT
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Turn(transpose=True, flip_x=c < 0, flip_y=b < 0)
    return Turn(flip_x=a < 0, flip_y=d < 0)


STEPS = {
    "yuv420p": 2,
    "yuvj420p": 2,
    "yuv444p": 1,
    "yuvj444p": 1,
    "yuva420p": 2,
    "yuv420p10le": 2,
    "yuv444p10le": 1,
    "yuva444p10le": 1,
}
"""The pixel formats that faces can be written to; a chroma value covers step x step pixels."""


class YuvPicture:
    """One frame of a video, upright, changed in place; a `Picture`.

    A chroma value that covers several pixels is changed if it touches the box. Opacity stays.
    """

    def __init__(self, frame: VideoFrame, turn: Turn = UPRIGHT) -> None:
        """Takes the frame over; pixels that a decoder still needs are copied first.

        Raises:
            VideoError: the pixel format of the frame is not in `STEPS`.
        """
        if frame.format.name not in STEPS:
            raise VideoError(f"frame of pixel format '{frame.format.name}': convert it to yuv420p first")
        frame.make_writable()
        self.frame = frame
        self.height, self.width = turn.size(frame.height, frame.width)
        self._turn = turn
        self._step = STEPS[frame.format.name]
        self._planes = [_pixels(frame, index) for index in range(3)]
        self._colour = colour_of(
            matrix=frame.colorspace,
            full=frame.format.name.startswith("yuvj") or frame.color_range,
            height=frame.height,
            bits=10 if frame.format.name.endswith("10le") else 8,
        )

    @property
    def time(self) -> float | None:
        """Seconds from the beginning of the video."""
        return self.frame.time

    def small(self, longest: int) -> Tensor:
        """The whole picture `(3, h, w)` for the detector; each pixel is a mean over its area."""
        rgb = self._scaled(longest, "rgb24", src_colorspace=self._colour.matrix).to_ndarray()
        pixels = for_detector(torch.from_numpy(rgb).permute(2, 0, 1), self.frame.color_trc)
        return self._turn.upright(pixels).float().contiguous() / 255

    def grey(self, longest: int) -> Tensor:
        """Brightness `(h, w)`; each value is a mean of the luma over its area."""
        return self._turn.upright(_pixels(self._scaled(longest, "gray"), 0)).float() / 255

    def _scaled(self, longest: int, pixel_format: str, **options: Any) -> VideoFrame:
        """The stored frame scaled down, with the full range of values."""
        height, width = self._turn.size(*small_size(self.height, self.width, longest))
        return _scaler.reformat(
            self.frame,
            width,
            height,
            pixel_format,
            interpolation="AREA",
            dst_color_range="JPEG",
            threads=1,
            **options,
        )

    def crop(self, box: Corners, size: int | None = None) -> Tensor:
        """The current pixels of a box; luma and chroma are resized as they are stored."""
        (x0, y0, x1, y1), (left, top, right, bottom) = self._stored(box)
        luma, step = self._planes[0][y0:y1, x0:x1], self._step
        chroma = torch.stack([plane[top:bottom, left:right] for plane in self._planes[1:]])
        if size is None:
            tint = _repeated(self._colour.tint(chroma), step)
            y0, x0 = y0 - top * step, x0 - left * step
            tint = tint[:, y0 : y0 + luma.shape[0], x0 : x0 + luma.shape[1]]
        else:
            luma = _resized(luma[None], (size, size))[0]
            tint = self._colour.tint(_resized(chroma, (size, size)))
        return self._turn.upright(self._colour.to_rgb(luma, tint)).contiguous()

    def paste(self, box: Corners, face: Tensor) -> None:
        """Replaces the pixels of a box, rounded; a chroma value is the mean of its pixels.

        Of a face of another size, luma and chroma are resized.
        """
        (x0, y0, x1, y1), (left, top, right, bottom) = self._stored(box)
        face = self._turn.stored(face.detach().cpu().float().clamp(0, 1))
        luma, step = self._rounded(self._colour.to_luma(face)), self._step
        if luma.shape == (y1 - y0, x1 - x0):
            edges = (x0 - left * step, right * step - x1, y0 - top * step, bottom * step - y1)
            whole = F.pad(face[None], edges, mode="replicate") if any(edges) else face[None]
            chroma = self._rounded(self._colour.to_chroma(F.avg_pool2d(whole, step)[0]))
        else:
            luma = _resized(luma[None], (y1 - y0, x1 - x0))[0]
            chroma = _resized(self._rounded(self._colour.to_chroma(face)), (bottom - top, right - left))
        self._planes[0][y0:y1, x0:x1] = luma
        for plane, values in zip(self._planes[1:], chroma, strict=True):
            plane[top:bottom, left:right] = values

    def _rounded(self, values: Tensor) -> Tensor:
        return values.add(0.5).clamp_(0, self._colour.brightest).to(self._planes[0].dtype)

    def _stored(self, box: Corners) -> tuple[Corners, Corners]:
        """The stored place of a box in the plane of luma, and in the planes of chroma."""
        x0, y0, x1, y1 = self._turn.stored_box(box, height=self.height, width=self.width)
        step = self._step
        return (x0, y0, x1, y1), (x0 // step, y0 // step, -(-x1 // step), -(-y1 // step))


def _pixels(frame: VideoFrame, index: int) -> Tensor:
    """One plane `(h, w)` uint8, or int16 of 10 bits, without the padding of its rows; shares its memory."""
    plane = frame.planes[index]
    kind = np.int16 if frame.format.name.endswith("10le") else np.uint8
    rows = np.frombuffer(memoryview(plane), kind).reshape(-1, plane.line_size // np.dtype(kind).itemsize)
    return torch.from_numpy(rows[: plane.height, : plane.width])


def _repeated(values: Tensor, step: int) -> Tensor:
    """Values `(C, h, w)`, each in a square of step x step pixels."""
    channels, height, width = values.shape
    wide = values[:, :, None, :, None].expand(channels, height, step, width, step)
    return wide.reshape(channels, step * height, step * width)


def _resized(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Stored values `(C, h, w)` at another size, with antialiasing."""
    if tuple(values.shape[1:]) == size:
        return values
    if values.dtype == torch.uint8:
        return F.interpolate(values[None], size, mode="bilinear", antialias=True)[0]
    fine = F.interpolate(values[None].float(), size, mode="bilinear", antialias=True)[0]
    return fine.round().to(values.dtype)


class _Scaler(threading.local):
    """A scaler for each thread, which keeps its tables from frame to frame."""

    def __init__(self) -> None:
        self.reformat = VideoReformatter().reformat


_scaler = _Scaler()

"""Video frames stored as luma and chroma, upright: cutting faces out as RGB and pasting them back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from av import VideoFrame
from av.video.reformatter import VideoReformatter
from torch import Tensor

from anonlib.anonymizers.frames import Corners
from anonlib.errors import VideoError
from anonlib.video.picture import small_size

BT709, BT601, BT2020 = 1, 5, 9
_LUMA = {BT709: (0.2126, 0.0722), BT601: (0.299, 0.114), BT2020: (0.2627, 0.0593)}
"""Share of red and blue in the luma."""
_SAME = {1: BT709, 4: BT601, 5: BT601, 6: BT601, 9: BT2020, 10: BT2020}
"""libav's numbers of the matrices."""
_FULL = 2
_HD = 720


@dataclass(frozen=True, slots=True)
class Colour:
    """Conversion between bytes of luma and chroma and RGB in [0, 1]."""

    matrix: int = BT601
    """BT709, BT601 or BT2020."""
    full: bool = False
    """Whether luma has the range 0 to 255 instead of 16 to 235."""

    def tint(self, chroma: Tensor) -> Tensor:
        """What chroma `(2, h, w)` uint8 adds to red, green and blue, `(3, h, w)`."""
        forward, _ = _matrices(self)
        return torch.tensordot(forward[:, 1:], chroma.float() - 128, dims=1)

    def to_rgb(self, luma: Tensor, tint: Tensor) -> Tensor:
        """Luma `(h, w)` uint8 and a tint `(3, h, w)` to RGB.

        >>> Colour().to_rgb(torch.tensor([[16, 235]]), torch.zeros(3, 1, 2))[0].tolist()
        [[0.0, 1.0]]
        """
        black, reach = (0, 255) if self.full else (16, 219)
        return (tint + (luma.float() - black) / reach).clamp_(0, 1)

    def to_luma(self, rgb: Tensor) -> Tensor:
        """RGB `(3, h, w)` to luma `(h, w)`, not rounded."""
        _, backward = _matrices(self)
        return torch.tensordot(backward[0], rgb, dims=1) + (0 if self.full else 16)

    def to_chroma(self, rgb: Tensor) -> Tensor:
        """RGB `(3, h, w)` to chroma `(2, h, w)`, blue difference first, not rounded."""
        _, backward = _matrices(self)
        return torch.tensordot(backward[1:], rgb, dims=1) + 128


def colour_of(*, matrix: int, full: bool | int, height: int) -> Colour:
    """The colours of a frame by libav's numbers of its matrix and range (2 is full, as is True).

    If the frame does not name its matrix, players take BT.709 from 720 rows on and BT.601 below.

    >>> colour_of(matrix=2, full=0, height=1080) == Colour(BT709)
    True
    """
    unnamed = BT709 if height >= _HD else BT601
    return Colour(_SAME.get(matrix, unnamed), full is True or full == _FULL)


@lru_cache
def _matrices(colour: Colour) -> tuple[Tensor, Tensor]:
    """`(3, 3)` from luma and chroma (minus their zeros) to RGB, and back."""
    red, blue = _LUMA[colour.matrix]
    luma = torch.tensor([red, 1 - red - blue, blue], dtype=torch.float64)
    by_blue = (torch.tensor([0.0, 0.0, 1.0]) - luma) / (2 * (1 - blue))
    by_red = (torch.tensor([1.0, 0.0, 0.0]) - luma) / (2 * (1 - red))
    steps = torch.tensor([255.0, 255.0, 255.0] if colour.full else [219.0, 224.0, 224.0])
    backward = torch.stack([luma, by_blue, by_red]) * steps[:, None]
    return torch.linalg.inv(backward).float(), backward.float()


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


STEPS = {"yuv420p": 2, "yuvj420p": 2, "yuv444p": 1, "yuvj444p": 1}
"""The pixel formats that faces can be written to; a chroma value covers step x step pixels."""


class YuvPicture:
    """One frame of a video, upright, changed in place; a `Picture`.

    A chroma value that covers several pixels is changed if it touches the box.
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
        )

    def small(self, longest: int) -> Tensor:
        """The whole picture `(3, h, w)` for the detector; each pixel is a mean over its area."""
        rgb = self._scaled(longest, "rgb24", src_colorspace=self._colour.matrix).to_ndarray()
        pixels = torch.from_numpy(rgb).permute(2, 0, 1)
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
        """The current pixels of a box; luma and chroma are resized as bytes."""
        (x0, y0, x1, y1), (left, top, right, bottom) = self._stored(box)
        luma, step = self._planes[0][y0:y1, x0:x1], self._step
        chroma = torch.stack([plane[top:bottom, left:right] for plane in self._planes[1:]])
        if size is None:
            tint = self._colour.tint(chroma).repeat_interleave(step, 1).repeat_interleave(step, 2)
            y0, x0 = y0 - top * step, x0 - left * step
            tint = tint[:, y0 : y0 + luma.shape[0], x0 : x0 + luma.shape[1]]
        else:
            luma = _resized(luma[None], (size, size))[0]
            tint = self._colour.tint(_resized(chroma, (size, size)))
        return self._turn.upright(self._colour.to_rgb(luma, tint)).contiguous()

    def paste(self, box: Corners, face: Tensor) -> None:
        """Replaces the pixels of a box, rounded to bytes; a chroma value is the mean of its pixels.

        Of a face of another size, luma and chroma are resized.
        """
        (x0, y0, x1, y1), (left, top, right, bottom) = self._stored(box)
        face = self._turn.stored(face.detach().cpu().float().clamp(0, 1))
        luma, step = _bytes(self._colour.to_luma(face)), self._step
        if luma.shape == (y1 - y0, x1 - x0):
            edges = (x0 - left * step, right * step - x1, y0 - top * step, bottom * step - y1)
            whole = F.pad(face[None], edges, mode="replicate") if any(edges) else face[None]
            chroma = _bytes(self._colour.to_chroma(F.avg_pool2d(whole, step)[0]))
        else:
            luma = _resized(luma[None], (y1 - y0, x1 - x0))[0]
            chroma = _resized(_bytes(self._colour.to_chroma(face)), (bottom - top, right - left))
        self._planes[0][y0:y1, x0:x1] = luma
        for plane, values in zip(self._planes[1:], chroma, strict=True):
            plane[top:bottom, left:right] = values

    def _stored(self, box: Corners) -> tuple[Corners, Corners]:
        """The stored place of a box in the plane of luma, and in the planes of chroma."""
        x0, y0, x1, y1 = self._turn.stored_box(box, height=self.height, width=self.width)
        step = self._step
        return (x0, y0, x1, y1), (x0 // step, y0 // step, -(-x1 // step), -(-y1 // step))


def _pixels(frame: VideoFrame, index: int) -> Tensor:
    """One plane `(h, w)` uint8 without the padding of its rows; shares its memory."""
    plane = frame.planes[index]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return torch.from_numpy(rows[: plane.height, : plane.width])


def _resized(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Bytes `(C, h, w)` at another size, with antialiasing."""
    if tuple(values.shape[1:]) == size:
        return values
    return F.interpolate(values[None], size, mode="bilinear", antialias=True)[0]


def _bytes(values: Tensor) -> Tensor:
    return values.add(0.5).clamp_(0, 255).to(torch.uint8)


class _Scaler(threading.local):
    """A scaler for each thread, which keeps its tables from frame to frame."""

    def __init__(self) -> None:
        self.reformat = VideoReformatter().reformat


_scaler = _Scaler()

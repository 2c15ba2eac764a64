"""Luma and chroma to RGB and back, by the matrix and the range that a frame names."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from av import VideoFrame
from av.video.reformatter import VideoReformatter
from torch import Tensor

from anonlib.errors import VideoError
from anonlib.video.picture import Corners, small_size

BT709, BT601, BT2020 = 1, 5, 9
_LUMA = {BT709: (0.2126, 0.0722), BT601: (0.299, 0.114), BT2020: (0.2627, 0.0593)}
_SAME = {1: BT709, 4: BT601, 5: BT601, 6: BT601, 9: BT2020, 10: BT2020}
_FULL = 2
_HD = 720


@dataclass(frozen=True, slots=True)
class Colour:
    """How bytes of luma and chroma stand for colours."""

    matrix: int = BT601
    """BT709, BT601 or BT2020."""
    full: bool = False
    """Whether luma takes 0 to 255 rather than 16 to 235."""

    def tint(self, differences: Tensor) -> Tensor:
        """What `(2, h, w)` uint8 blue and red differences add to red, green and blue."""
        forward, _ = _matrices(self)
        return torch.tensordot(forward[:, 1:], differences.float() - 128, dims=1)

    def to_rgb(self, luma: Tensor, tint: Tensor) -> Tensor:
        """`(h, w)` uint8 luma and a tint `(3, h, w)` to float RGB in [0, 1].

        >>> Colour().to_rgb(torch.tensor([[16, 235]]), torch.zeros(3, 1, 2))[0].tolist()
        [[0.0, 1.0]]
        """
        black, reach = (0, 255) if self.full else (16, 219)
        return (tint + (luma.float() - black) / reach).clamp_(0, 1)

    def to_luma(self, rgb: Tensor) -> Tensor:
        """`(3, h, w)` RGB in [0, 1] to luma `(h, w)`, not yet rounded."""
        _, backward = _matrices(self)
        return torch.tensordot(backward[0], rgb, dims=1) + (0 if self.full else 16)

    def to_differences(self, rgb: Tensor) -> Tensor:
        """`(3, h, w)` RGB in [0, 1] to blue and red differences `(2, h, w)`, not yet rounded."""
        _, backward = _matrices(self)
        return torch.tensordot(backward[1:], rgb, dims=1) + 128


def colour_of(*, matrix: int, full: bool | int, height: int) -> Colour:
    """The colours of a frame that names its matrix, or of one that does not.

    Without a name, players take BT.709 from 720 rows on and BT.601 below.

    Args:
        matrix: libav's number of the matrix; 2 says nothing.
        full: libav's number of the range (2 is full), or whether it is full.
        height: rows of the stored frame.

    >>> colour_of(matrix=2, full=0, height=1080) == Colour(BT709)
    True
    """
    unnamed = BT709 if height >= _HD else BT601
    return Colour(_SAME.get(matrix, unnamed), full is True or full == _FULL)


@lru_cache
def _matrices(colour: Colour) -> tuple[Tensor, Tensor]:
    """`(3, 3)` from bytes, less those of black, to RGB; and back."""
    red, blue = _LUMA[colour.matrix]
    luma = torch.tensor([red, 1 - red - blue, blue], dtype=torch.float64)
    by_blue = (torch.tensor([0.0, 0.0, 1.0]) - luma) / (2 * (1 - blue))
    by_red = (torch.tensor([1.0, 0.0, 0.0]) - luma) / (2 * (1 - red))
    steps = torch.tensor([255.0, 255.0, 255.0] if colour.full else [219.0, 224.0, 224.0])
    backward = torch.stack([luma, by_blue, by_red]) * steps[:, None]
    return torch.linalg.inv(backward).float(), backward.float()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """From the stored pixels to the upright picture: rows and columns change places, then flips."""

    transpose: bool = False
    """Whether stored rows are upright columns."""
    flip_x: bool = False
    """Whether left and right of the upright picture change places, after the transposition."""
    flip_y: bool = False
    """Whether top and bottom change places, after the transposition."""

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width upright of what is stored so, and the reverse."""
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
        """Where a box of the upright picture, of that height and width, lies in storage.

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
    """The turn nearest to what a display matrix asks for.

    Args:
        matrix: nine numbers `a b u c d v x y w`; the stored point (p, q) is shown at
            (a p + c q, b p + d q). None if there is none.

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
            raise VideoError(f"frame of pixel format '{frame.format.name}': convert it to yuv420p first")
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
            self.frame,
            width,
            height,
            "rgb24",
            interpolation="AREA",
            src_colorspace=self._colour.matrix,
            dst_color_range="JPEG",
            threads=1,
        )
        pixels = torch.from_numpy(rgb.to_ndarray()).permute(2, 0, 1)
        return self._turn.upright(pixels).float().contiguous() / 255

    def grey(self, longest: int) -> Tensor:
        """Brightness `(h, w)`, each value a mean of the luma it covers."""
        height, width = self._turn.size(*small_size(self.height, self.width, longest))
        luma = _scaler().reformat(
            self.frame, width, height, "gray", interpolation="AREA", dst_color_range="JPEG", threads=1
        )
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

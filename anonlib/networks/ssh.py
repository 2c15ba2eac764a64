"""SSH, the single-stage headless face detector: one pass, a detection module at each stride.

The paper's M1, M2, M3 are `modules_at[0..2]`, X is `channels`, the K = 2 anchors are `ANCHORS`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.networks.blocks import batch_norm_layer

STRIDES = (8, 16, 32)
"""Pixels between neighbouring places of M1, M2 and M3."""
ANCHORS = ((12, 24), (48, 96), (192, 384))
"""Sides in pixels of the square anchors at each place of M1, M2 and M3."""


class Predictions(NamedTuple):
    """Outputs at each of A anchors, in the order of `anchors`."""

    logits: Tensor
    """`(B, A)`; the sigmoid is the probability of a face."""
    boxes: Tensor
    """`(B, A, 4)` offsets, see `decode_boxes`."""
    landmarks: Tensor
    """`(B, A, 10)` offsets, see `decode_landmarks`."""


class _Stage(nn.Module):
    """Halves the resolution, then adds a residual of two convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.reduce = batch_norm_layer(inputs, outputs, stride=2)
        self.inner = nn.Sequential(batch_norm_layer(outputs, outputs), batch_norm_layer(outputs, outputs))

    def forward(self, maps: Tensor) -> Tensor:
        reduced = self.reduce(maps)
        return reduced + self.inner(reduced)


class DetectionModule(nn.Module):
    """A 3x3 convolution beside two context branches, 5x5 and 7x7, then the heads.

    Implements Najibi et al., SSH, ICCV 2017, Figs. 3 and 4. Differs from the paper: batch
    normalisation; one logit instead of a softmax over two classes; a third head for landmarks.
    """

    def __init__(self, inputs: int, channels: int, *, anchors: int) -> None:
        super().__init__()
        half = channels // 2
        self.plain = batch_norm_layer(inputs, channels)
        self.shared = batch_norm_layer(inputs, half)
        self.five = batch_norm_layer(half, half)
        self.seven = nn.Sequential(batch_norm_layer(half, half), batch_norm_layer(half, half))
        self.heads = nn.Conv2d(2 * channels, anchors * 15, 1)
        nn.init.normal_(self.heads.weight, std=0.01)
        bias = torch.zeros(anchors, 15)
        bias[:, 0] = -4.0  # almost no anchor is a face
        self.heads.bias = nn.Parameter(bias.flatten())

    def forward(self, maps: Tensor) -> Tensor:
        """`(B, inputs, h, w)` to `(B, h * w * anchors, 15)`: logit, box, landmarks."""
        context = self.shared(maps)
        seen = torch.cat([self.plain(maps), self.five(context), self.seven(context)], dim=1)
        return self.heads(seen).permute(0, 2, 3, 1).reshape(maps.shape[0], -1, 15)


class Ssh(nn.Module):
    """Predicts a probability, a box and five landmarks at every anchor of a picture.

    Implements Najibi et al., SSH, ICCV 2017, section 3: M1 reads stride 8 joined with the upsampled
    stride 16, M2 stride 16, M3 stride 32; two square anchors at each place.
    Differs from the paper: a thin residual backbone of about 0.5 GMAC at 640x384 instead of VGG-16;
    convolutions instead of pooling before M3; anchors from 12 to 384 pixels instead of 16 to 512,
    for pictures of 640 pixels instead of 1,600.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.width = width
        one, two, three, four, five = (width * k // 2 for k in (2, 3, 5, 8, 12))
        self.stem = nn.Sequential(batch_norm_layer(3, one, stride=2), batch_norm_layer(one, two, stride=2))
        self.eighth = _Stage(two, three)
        self.sixteenth = _Stage(three, four)
        self.thirty_second = _Stage(four, five)
        channels = 2 * width
        self.lateral = nn.Conv2d(three, channels, 1)
        self.above = nn.Conv2d(four, channels, 1)
        self.joined = batch_norm_layer(channels, channels)
        self.modules_at = nn.ModuleList(
            DetectionModule(inputs, channels, anchors=len(sides))
            for inputs, sides in zip((channels, four, five), ANCHORS, strict=True)
        )

    def forward(self, pictures: Tensor) -> Predictions:
        """Predictions for pictures `(B, 3, H, W)` in [0, 1]; H and W are multiples of 32."""
        eighth = self.eighth(self.stem(2 * pictures - 1))
        sixteenth = self.sixteenth(eighth)
        above = F.interpolate(self.above(sixteenth), scale_factor=2.0, mode="nearest")
        joined = self.joined(F.relu(self.lateral(eighth)) + F.relu(above))
        maps = (joined, sixteenth, self.thirty_second(sixteenth))
        every = torch.cat([m(x) for m, x in zip(self.modules_at, maps, strict=True)], dim=1)
        return Predictions(every[..., 0], every[..., 1:5], every[..., 5:])


def anchors(height: int, width: int) -> Tensor:
    """Centre x, y and side of all anchors of a picture, `(A, 3)` pixels.

    >>> anchors(32, 64).shape, anchors(32, 64)[:3]
    (torch.Size([84, 3]), tensor([[ 4.,  4., 12.],
            [ 4.,  4., 24.],
            [12.,  4., 12.]]))
    """
    every = []
    for stride, sides in zip(STRIDES, ANCHORS, strict=True):
        y = (torch.arange(height // stride) + 0.5) * stride
        x = (torch.arange(width // stride) + 0.5) * stride
        grid = torch.cartesian_prod(y, x, torch.tensor(sides, dtype=torch.float32))
        every.append(grid[:, [1, 0, 2]])
    return torch.cat(every)


CENTRE_SCALE, SIZE_SCALE = 0.1, 0.2
"""Offsets of centre and log size in sides of the anchor are divided by these, to resemble logits."""


def decode_boxes(offsets: Tensor, places: Tensor) -> Tensor:
    """Boxes `(n, 4)` in xyxy pixels from offsets `(n, 4)` to anchors `(n, 3)`.

    >>> places = torch.tensor([[8.0, 8.0, 16.0]])
    >>> decode_boxes(torch.zeros(1, 4), places)
    tensor([[ 0.,  0., 16., 16.]])
    """
    side = places[..., 2:]
    centre = places[..., :2] + offsets[..., :2] * CENTRE_SCALE * side
    half = (offsets[..., 2:] * SIZE_SCALE).clamp(max=4).exp() * side / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def decode_landmarks(offsets: Tensor, places: Tensor) -> Tensor:
    """Points `(n, 5, 2)` in xy pixels from offsets `(n, 10)` to anchors `(n, 3)`."""
    away = offsets.unflatten(-1, (5, 2)) * CENTRE_SCALE * places[..., None, 2:]
    return places[..., None, :2] + away

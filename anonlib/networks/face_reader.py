"""The reader of M-state: finds the head, what is in front of it, and the state of the face."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from anonlib.networks.blocks import batch_norm_layer

STATE = (
    "yaw",
    "pitch",
    "roll",
    "mouth open",
    "smile",
    "light from the right",
    "light from above",
    "brightness",
)
"""The numbers of the state. The last two reveal most about the person, because dark skin looks like little
light."""


class Reading(NamedTuple):
    """What the reader finds in face crops of side S."""

    head: Tensor
    """`(B, 1, S, S)` logits: the head with hair and neck, as if nothing were in front of it."""
    front: Tensor
    """`(B, 1, S, S)` logits: hands, tools and other people in front of the head."""
    state: Tensor
    """`(B, 8)` in standard deviations of the drawn pictures, see `STATE`."""
    landmarks: Tensor
    """`(B, 5, 2)` xy pixels, see `anonlib.geometry`."""


class FaceReader(nn.Module):
    """A small U-Net that reads a face crop, taught by drawn people and clips.

    Differs from the paper: the paper's M sees the whole face. The state is a least-squares estimate: of what
    varies between people in the same state, as little as possible passes into it.

    >>> reading = FaceReader(width=8)(torch.rand(2, 3, 32, 32))
    >>> reading.head.shape, reading.state.shape, reading.landmarks.shape
    (torch.Size([2, 1, 32, 32]), torch.Size([2, 8]), torch.Size([2, 5, 2]))
    """

    def __init__(self, *, width: int = 16) -> None:
        super().__init__()
        w = width
        self.down = nn.ModuleList(
            [
                nn.Sequential(batch_norm_layer(3, w), batch_norm_layer(w, w)),
                nn.Sequential(batch_norm_layer(w, 2 * w, stride=2), batch_norm_layer(2 * w, 2 * w)),
                nn.Sequential(batch_norm_layer(2 * w, 3 * w, stride=2), batch_norm_layer(3 * w, 3 * w)),
                nn.Sequential(batch_norm_layer(3 * w, 4 * w, stride=2), batch_norm_layer(4 * w, 4 * w)),
            ]
        )
        self.up = nn.ModuleList(
            [batch_norm_layer(7 * w, 3 * w), batch_norm_layer(5 * w, 2 * w), batch_norm_layer(3 * w, w)]
        )
        self.parts = nn.Conv2d(w, 2, 1)
        self.numbers = nn.Sequential(
            batch_norm_layer(4 * w, 4 * w, stride=2),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(64 * w, 8 * w),
            nn.ReLU(inplace=True),
            nn.Linear(8 * w, len(STATE) + 10),
        )
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)

    def forward(self, faces: Tensor) -> Reading:
        """Reads face crops `(B, 3, S, S)` in [0, 1]; S is a multiple of 16, at least 64 for good results."""
        x, seen = faces * 2 - 1, []
        for layer in self.down:
            seen.append(x := layer(x))
        numbers = self.numbers(x)
        for layer, skip in zip(self.up, reversed(seen[:-1]), strict=True):
            x = layer(torch.cat([self.upsample(x), skip], 1))
        head, front = self.parts(x).split(1, 1)
        state, points = numbers.split([len(STATE), 10], 1)
        return Reading(head, front, state, (points.reshape(-1, 5, 2) * 0.25 + 0.5) * faces.shape[-1])

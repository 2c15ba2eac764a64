"""MediaPipe's iris network without its head for the iris: the eyelids of one eye."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.assets import data_path, load_weights
from anonlib.errors import CheckpointError

SIDE = 64
"""Height and width in pixels of the picture that the network reads."""


class _Block(nn.Module):
    """A residual through half of the channels; at stride 2 added to the maxima of the input.

    New channels start at zero.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.new = stride, outputs - inputs
        half = outputs // 2
        self.narrow = nn.Sequential(nn.Conv2d(inputs, half, stride, stride=stride), nn.PReLU(half))
        self.depthwise = nn.Conv2d(half, half, 3, padding=1, groups=half)
        self.pointwise = nn.Conv2d(half, outputs, 1)
        self.activation = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        kept = F.max_pool2d(x, 2) if self.stride == 2 else x
        if self.new:
            kept = F.pad(kept, (0, 0, 0, 0, 0, self.new))
        return self.activation(self.pointwise(self.depthwise(self.narrow(x))) + kept)


def _blocks(channels: int, count: int) -> list[nn.Module]:
    return [_Block(channels, channels) for _ in range(count)]


def _head(points: int) -> nn.Sequential:
    """From 128 channels of 8x8 to `(B, 3 * points, 1, 1)`."""
    down = [_Block(128, 128, stride=2) for _ in range(2)]
    inner = [*_blocks(128, 2), down[0], *_blocks(128, 2), down[1], *_blocks(128, 2)]
    return nn.Sequential(*inner, nn.Conv2d(128, 3 * points, 2))


class EyeMesh(nn.Module):
    """Predicts the eyelids of the eye in a picture.

    Implements Ablavatski et al., Real-time Pupil Tracking from Monocular Video for Digital Puppetry,
    2020, as MediaPipe ships it (`iris_landmark.tflite`).
    Differs from the paper: the layers are those of the shipped file; the paper does not list them. The
    head for the iris is left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 3, stride=2), nn.PReLU(64))
        wide = [_Block(64, 128, stride=2), *_blocks(128, 4), _Block(128, 128, stride=2)]
        self.trunk = nn.Sequential(*_blocks(64, 4), *wide)
        self.contour = _head(71)

    def forward(self, pictures: Tensor) -> Tensor:
        """Contour `(B, 71, 2)` in xy pixels of pictures `(B, 3, 64, 64)` in [0, 1].

        The eye should be one whose outer corner is on the left, level, 1 / 2.3 as wide as the picture.
        Contour: 0 outer corner, 1 to 7 lower lid, 8 inner corner, 9 to 15 upper lid, both from outer to
        inner; the others lie around the eye.
        """
        maps = self.trunk(self.stem(F.pad(pictures, (0, 1, 0, 1))))
        return self.contour(maps).reshape(-1, 71, 3)[..., :2]


def load_eye_mesh(path: Path | None = None, *, device: str = "cpu") -> EyeMesh:
    """The shipped network, or another file of `recipes/convert_face_mesh.py`.

    Raises:
        CheckpointError: the weights are missing, damaged or of another network.
    """
    path = path or data_path("weights", "eye-mesh.safetensors")
    tensors, network = load_weights(path)[0], EyeMesh()
    try:
        network.load_state_dict({name: value.float() for name, value in tensors.items()})
    except RuntimeError as error:
        raise CheckpointError(
            f"weights {path} are not the eye mesh's: restore the file from the repository"
        ) from error
    return network.eval().to(device)

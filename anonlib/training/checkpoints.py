"""Checkpoints of a training, and finished weights as safetensors."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save
from torch import Tensor, nn

from anonlib.assets import SCALE, load_weights
from anonlib.errors import CheckpointError
from anonlib.files import write_atomically

SMALLEST = 1e-6
"""Least scale of weights of 8 bits."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Saves a training state, tensors and plain values only."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Loads what `save_checkpoint` wrote, or raises CheckpointError; nothing in the file is executed."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"checkpoint {path} is damaged ({type(error).__name__}); delete it and run again"
        ) from error


def check_request(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raises CheckpointError if settings that a checkpoint and this run both have differ."""
    different = [
        f"{name} was {found[name]}, now {wanted[name]}"
        for name in sorted({*found} & {*wanted})
        if found[name] != wanted[name]
    ]
    if different:
        raise CheckpointError(
            f"checkpoint {path} is of another run ({'; '.join(different)}): use the same settings, "
            "choose another --out or delete it"
        )


def save_weights(
    path: Path, module: nn.Module, *, config: dict[str, Any], bits: Literal[32, 16, 8] = 32
) -> None:
    """Saves a module's weights as safetensors, with its config in the header.

    With 8 bits, weights of two dimensions or more are whole numbers with a scale for each output channel, and
    the others have 16 bits. `assets.load_weights` multiplies by the scale again.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in module.state_dict().items():
        tensor = tensor.detach().cpu().contiguous()
        if bits == 8 and tensor.is_floating_point() and tensor.ndim > 1:
            scale = (tensor.flatten(1).abs().amax(1) / 127).clamp(min=SMALLEST).half().float()
            steps = tensor / scale.reshape(-1, *[1] * (tensor.ndim - 1))
            tensors[name], tensors[name + SCALE] = steps.round().clamp(-127, 127).to(torch.int8), scale.half()
        else:
            tensors[name] = tensor.half() if bits < 32 and tensor.is_floating_point() else tensor
    write_atomically(path, save(tensors, metadata={"config": json.dumps(config)}))


def restore(module: nn.Module, path: Path, *, config: dict[str, Any]) -> None:
    """Loads weights that were made with the same config into a module.

    Raises:
        CheckpointError: the weights are of another profile, or cannot be read.
    """
    tensors, found = load_weights(path)
    if found != config:
        different = sorted(k for k in {*found, *config} if found.get(k) != config.get(k))
        raise CheckpointError(
            f"weights {path} are of another profile ({', '.join(different)} differ): use the "
            "profile they were trained with or another --out"
        )
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(
            f"weights {path} do not fit the network, perhaps because the number of people changed: "
            "train them again or use another --out"
        ) from error

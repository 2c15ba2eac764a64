"""Checkpoints that are whole or absent, and weights as safetensors."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from anonlib.assets import load_weights
from anonlib.errors import CheckpointError
from anonlib.files import write_atomically


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Saves a training state, tensors and plain values only."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Loads what `save_checkpoint` wrote; nothing in the file is executed.

    Raises:
        CheckpointError: the file is damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"checkpoint {path} is damaged ({type(error).__name__}); delete it and run again"
        ) from error


def check_request(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Compares what a checkpoint was made with and what a run asks for.

    A name that one of them lacks, as in a checkpoint of an older version, is left out.

    Raises:
        CheckpointError: they differ, named with both values.
    """
    different = [
        f"{name} was {found[name]}, now {wanted[name]}"
        for name in sorted({*found} & {*wanted})
        if found[name] != wanted[name]
    ]
    if different:
        raise CheckpointError(
            f"checkpoint {path} is of another run ({'; '.join(different)}); ask for the same "
            "again, choose another --out or delete it"
        )


def save_weights(path: Path, module: nn.Module, *, config: dict[str, Any]) -> None:
    """Saves a module's weights as safetensors with its config beside them in the header."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in module.state_dict().items()}
    write_atomically(path, save(tensors, metadata={"config": json.dumps(config)}))


def restore(module: nn.Module, path: Path, *, config: dict[str, Any]) -> None:
    """Loads weights into a module after checking that they were made with the same config.

    Raises:
        CheckpointError: the weights are of another profile, or cannot be read.
    """
    tensors, found = load_weights(path)
    if found != config:
        different = sorted(k for k in {*found, *config} if found.get(k) != config.get(k))
        raise CheckpointError(
            f"weights {path} are of another profile ({', '.join(different)} differ); use the "
            "profile they were trained with or another --out"
        )
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(
            f"weights {path} do not fit the network, made for another number of people perhaps; "
            "train them again or use another --out"
        ) from error

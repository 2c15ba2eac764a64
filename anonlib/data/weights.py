"""Weights that ship or were saved: safetensors with the network's config in the header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from anonlib.errors import CheckpointError


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and the config in their header, as `training.checkpoints.save_weights` writes them.

    Raises:
        CheckpointError: the file is missing, damaged or not of this project.
    """
    try:
        content = path.read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return load(content), json.loads(header["__metadata__"]["config"])
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"weights {path} are missing or damaged ({type(error).__name__}); restore the file "
            "from the repository or train it again"
        ) from error

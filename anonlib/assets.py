"""Paths of shipped files and of the user's data sets, and the loading of shipped weights."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anonlib.config import to_dict
from anonlib.errors import CheckpointError, ConfigError, DatasetError, FaceDatasetError

if TYPE_CHECKING:
    from torch import Tensor

SETS = ("lfw", "casia-webface", "jhmdb", "daly")
"""Sub-folders of `$ANONLIB_DATA`, each laid out as data/README.md says."""
SHIPPED = ("face_model", "paper", "weights")
"""Sub-folders of `data/` that come with anonlib."""
SCALE = ":scale"
"""What follows the name of a weight of 8 bits in the name of its scale, one number an output channel."""
_PLACES = (Path(__file__).resolve().parents[1] / "data", Path(sys.prefix) / "share" / "anonlib")


def data_path(*parts: str) -> Path:
    """A shipped file: in `$ANONLIB_DATA`, else in the repository's `data/`, else in the installed package.

    Raises:
        FaceDatasetError: the file is in none of the three places.

    >>> data_path("face_model", "MODEL_CARD.md").name
    'MODEL_CARD.md'
    """
    chosen = os.environ.get("ANONLIB_DATA")
    roots = [*([Path(chosen)] if chosen else []), *_PLACES]
    for root in roots:
        if (found := root.joinpath(*parts)).exists():
            return found
    raise FaceDatasetError(
        f"shipped file '{Path(*parts)}' is not in {' or '.join(map(str, roots))}: reinstall "
        "anonlib, or set ANONLIB_DATA to the data/ folder of a clone"
    )


def own_sets() -> dict[str, Path]:
    """The `SETS` that have a folder in `$ANONLIB_DATA`; none if the variable is not set.

    Raises:
        DatasetError: the variable names no folder, or a folder without any data of anonlib.
    """
    chosen = os.environ.get("ANONLIB_DATA")
    if not chosen:
        return {}
    root = Path(chosen)
    if not root.is_dir():
        raise DatasetError(f"ANONLIB_DATA is '{chosen}', which is not a folder: check the path")
    found = {name: root / name for name in SETS if (root / name).is_dir()}
    if not found and not any((root / name).is_dir() for name in SHIPPED):
        raise DatasetError(
            f"ANONLIB_DATA is '{chosen}', which holds no {', '.join(SETS[:-1])} or {SETS[-1]}: set it "
            "to the folder above them, or rename (or link) your folders, see data/README.md"
        )
    return found


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and the config in their header, as `training.checkpoints.save_weights` writes them.

    Raises:
        CheckpointError: the file is missing, damaged or not of this project.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = path.read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return _unscaled(load(content)), json.loads(header["__metadata__"]["config"])
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"weights {path} are missing or damaged ({type(error).__name__}): restore the file "
            "from the repository or train it again"
        ) from error


def _unscaled(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of 8 bits times their scales; other weights as they are."""
    tensors = {name: tensor for name, tensor in stored.items() if not name.endswith(SCALE)}
    for name, scale in stored.items():
        if name.endswith(SCALE):
            steps = tensors[name.removesuffix(SCALE)]
            tensors[name.removesuffix(SCALE)] = steps * scale.float().reshape(-1, *[1] * (steps.ndim - 1))
    return tensors


def shipped_weights(name: str, config: Any) -> dict[str, Tensor] | None:
    """The weights `data/weights/NAME.safetensors`, or None if none ship for exactly this config.

    Fields that the file does not name have their defaults.

    >>> from anonlib.config import profile
    >>> shipped_weights("M-state-trained", profile("paper").modifier) is None
    True
    """
    try:
        path = data_path("weights", f"{name}.safetensors")
    except FaceDatasetError:
        return None
    tensors, found = load_weights(path)
    return tensors if {**to_dict(type(config)()), **found} == to_dict(config) else None


def trained_weights(name: str, config: Any) -> dict[str, Tensor]:
    """`shipped_weights` of `M-state-trained` or `D-state-trained`, which must ship.

    Raises:
        ConfigError: no such weights ship for this config.
    """
    tensors = shipped_weights(name, config)
    if tensors is None:
        raise ConfigError(
            f"no weights {name} ship for a network of this shape: use profile smoke or laptop, or "
            "train a network with `anonlib reproduce`"
        )
    return tensors

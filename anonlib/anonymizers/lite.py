"""The modifier for real faces that ships, ready to use."""

from __future__ import annotations

import importlib.util

import torch
from torch import nn

from anonlib.anonymizers.learned import LearnedAnonymizer
from anonlib.config import LiteModifierConfig
from anonlib.data.paths import data_path
from anonlib.data.weights import load_weights
from anonlib.errors import CheckpointError, ConfigError
from anonlib.networks.compiled import Compiled
from anonlib.networks.lite_modifier import LiteModifier


def lite_modifier() -> LiteModifier:
    """M for real faces with the weights that ship, in evaluation mode.

    Raises:
        FaceDatasetError: the weights are not where `data_path` looks.
        CheckpointError: they are damaged or of another network.
    """
    path = data_path("weights", "modifier-lite.safetensors")
    tensors, config = load_weights(path)
    try:
        network = LiteModifier(LiteModifierConfig(**config))
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (TypeError, RuntimeError, ConfigError) as error:
        raise CheckpointError(
            f"weights {path} do not fit the network; restore the file from the repository"
        ) from error
    return network.eval()


def lite_anonymizer(*, device: str = "cpu") -> LearnedAnonymizer:
    """Hides real faces of any size; by OpenVINO on a CPU where that is installed.

    Args:
        device: `cpu` or `cuda`.
    """
    modifier = lite_modifier()
    size = modifier.config.size
    network: nn.Module = modifier
    if device != "cpu":
        network = modifier.to(device)
    elif importlib.util.find_spec("openvino") is not None:
        network = Compiled(modifier, torch.rand(2, 3, size, size))
    return LearnedAnonymizer(network, size=size)

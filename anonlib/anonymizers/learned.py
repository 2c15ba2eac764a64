"""The learned modifier M as an anonymizer for faces of any size."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from anonlib.anonymizers.m_state import CPU_BATCH, DIVERGED, StateAnonymizer
from anonlib.assets import data_path, load_weights
from anonlib.config import ModifierConfig
from anonlib.errors import CheckpointError, ConfigError, NumericError
from anonlib.geometry import resize
from anonlib.networks import Modifier, StateModifier
from anonlib.networks.compiled import compiled_if_possible

BATCH = 64
"""Faces in a batch of the modifier on a GPU."""


class LearnedAnonymizer:
    """Runs a trained modifier on faces of any size, without gradients.

    Implements Ren et al., section 4, Face Modification: faces are resized to the input size of M
    by bilinear interpolation. Differs from the paper: downsampling uses an antialiasing filter.
    """

    def __init__(self, modifier: nn.Module, *, size: int | None = None) -> None:
        """Puts the modifier, from `(B, 3, size, size)` in [0, 1] to the same, into evaluation mode.

        The default of `size` is that in the configuration of a `Modifier`. Other modules then get the
        faces at their own size.
        """
        self.modifier = modifier.eval()
        self.size = size
        if size is None and isinstance(modifier, Modifier):
            self.size = modifier.config.size

    @torch.no_grad()
    def __call__(self, faces: Tensor) -> Tensor:
        """Modified faces, `(B, 3, H, W)` in [0, 1] to the same, on the device of the faces.

        Raises:
            NumericError: the modifier returned NaN or infinity.
        """
        small = faces if self.size is None else resize(faces, (self.size, self.size))
        device = next((p.device for p in self.modifier.parameters()), faces.device)
        parts = small.split(CPU_BATCH if device.type == "cpu" else BATCH)
        modified = torch.cat([self.modifier(part.to(device)).to(faces) for part in parts])
        bad = ~torch.isfinite(modified).flatten(1).all(dim=1)
        if bad.any():
            raise NumericError(DIVERGED.format(int(bad.int().argmax())))
        return resize(modified, faces.shape[2:]).clamp(0, 1)


def learned(modifier: nn.Module, *, seed: int | None = None) -> LearnedAnonymizer | StateAnonymizer:
    """The anonymizer for a trained M; the seed is for an M that draws random people."""
    if isinstance(modifier, StateModifier):
        return StateAnonymizer(modifier, seed=seed)
    return LearnedAnonymizer(modifier)


def load_modifier(path: Path | None = None) -> Modifier:
    """M in float32 and evaluation mode, from a file of `training.checkpoints.save_weights`.

    The default is the shipped M-state for photographs.

    Raises:
        FaceDatasetError: the shipped weights are missing.
        CheckpointError: the file is missing, damaged or of another network.
    """
    path = path or data_path("weights", "M-photo-start.safetensors")
    tensors, config = load_weights(path)
    try:
        shape = ModifierConfig(**config)
        network = StateModifier(shape) if shape.reads == "state" else Modifier(shape)
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (TypeError, RuntimeError, ConfigError) as error:
        raise CheckpointError(
            f"weights {path} do not fit the modifier M; use weights/modifier.safetensors in the --out "
            "of `anonlib reproduce`, or restore a shipped file from the repository"
        ) from error
    return network.eval()


def load_anonymizer(
    path: Path | None = None, *, device: str = "cpu", seed: int | None = None
) -> LearnedAnonymizer | StateAnonymizer:
    """The modifier of `load_modifier` as an anonymizer; on a CPU compiled.

    The seed is for an M that draws random people, which is not compiled.
    """
    modifier = load_modifier(path)
    size = modifier.config.size
    if isinstance(modifier, StateModifier) or device != "cpu":
        return learned(modifier.to(device), seed=seed)
    return LearnedAnonymizer(compiled_if_possible(modifier, torch.rand(2, 3, size, size)), size=size)

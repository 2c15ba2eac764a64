"""The learned modifier M as an anonymizer: any size of face in, the same size out."""

from __future__ import annotations

import importlib.util

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.assets import data_path, load_weights
from anonlib.config import LiteModifierConfig
from anonlib.errors import CheckpointError, ConfigError, NumericError
from anonlib.networks.compiled import Compiled
from anonlib.networks.lite_modifier import LiteModifier
from anonlib.networks.modifier import Modifier

BATCH, CPU_BATCH = 64, 16
"""Faces that pass through the modifier together; on a CPU as many as its cache holds."""


class LearnedAnonymizer:
    """Runs a trained modifier on faces of any size, without gradients.

    Implements Ren et al., section 4, Face Modification: faces are resized to the size of M by
    bilinear interpolation. Differs from the paper: resizing down antialiases.
    """

    def __init__(self, modifier: nn.Module, *, size: int | None = None) -> None:
        """Puts the modifier into evaluation mode.

        Args:
            modifier: `(B, 3, size, size)` in [0, 1] to the same shape.
            size: side of the images it reads; by default what the configuration of a `Modifier`
                or `LiteModifier` says, and for other modules the size of the faces themselves.
        """
        self.modifier = modifier.eval()
        self.size = size
        if size is None and isinstance(modifier, Modifier | LiteModifier):
            self.size = modifier.config.size

    @torch.no_grad()
    def __call__(self, faces: Tensor) -> Tensor:
        """Modified faces.

        Args:
            faces: `(B, 3, H, W)` in [0, 1].

        Returns:
            The same shape, in [0, 1], on the device the faces came from.

        Raises:
            NumericError: the modifier returned NaN or infinity.
        """
        size = (self.size, self.size) if self.size is not None else faces.shape[2:]
        small = _resize(faces, size)
        device = next((p.device for p in self.modifier.parameters()), faces.device)
        parts = small.split(CPU_BATCH if device.type == "cpu" else BATCH)
        modified = torch.cat([self.modifier(part.to(device)).to(faces) for part in parts])
        bad = ~torch.isfinite(modified).flatten(1).all(dim=1)
        if bad.any():
            raise NumericError(
                f"the modifier returned NaN or infinity for face {int(bad.int().argmax())}: "
                "its training diverged, use an earlier checkpoint or a lower learning rate"
            )
        return _resize(modified, faces.shape[2:]).clamp(0, 1)


def _resize(images: Tensor, size: tuple[int, ...]) -> Tensor:
    if images.shape[2:] == size:
        return images
    return F.interpolate(images, tuple(size), mode="bilinear", antialias=True)


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

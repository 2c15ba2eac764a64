"""Landmarks that an attacker finds on modified faces, where only the picture is known."""

from __future__ import annotations

import torch
from torch import Tensor

from anonlib.networks import FaceReader, StateModifier
from anonlib.types import Images

BATCH = 128


@torch.inference_mode()
def found_landmarks(reader: FaceReader | StateModifier, images: Images) -> Tensor:
    """The landmarks `(N, 5, 2)` that the reader, or that of an M, finds on uint8 faces `(N, 3, S, S)`.

    They are xy pixels.
    """
    read = reader.eval().read if isinstance(reader, StateModifier) else reader.eval()
    device = next(reader.parameters()).device
    parts = [read((part.float() / 255).to(device)).landmarks.cpu() for part in images.split(BATCH)]
    return torch.cat(parts)

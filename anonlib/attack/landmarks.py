"""Landmarks that an attacker finds on modified faces, where only the picture is known."""

from __future__ import annotations

import torch
from torch import Tensor

from anonlib.networks import FaceReader

BATCH = 128


@torch.inference_mode()
def found_landmarks(reader: FaceReader, images: Tensor) -> Tensor:
    """The landmarks `(N, 5, 2)` that the reader finds on uint8 faces `(N, 3, S, S)`, xy pixels."""
    reader.eval()
    device = next(reader.parameters()).device
    parts = [reader((part.float() / 255).to(device)).landmarks.cpu() for part in images.split(BATCH)]
    return torch.cat(parts)

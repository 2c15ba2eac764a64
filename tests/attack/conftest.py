"""Eight faces of four people and six frames, each marked so that mix-ups show."""

from __future__ import annotations

import pytest
import torch

from anonlib.geometry import CANONICAL_LANDMARKS
from anonlib.types import ActionFrames, FaceImages


@pytest.fixture
def faces() -> FaceImages:
    return FaceImages(
        images=torch.randint(0, 256, (8, 3, 20, 20), dtype=torch.uint8),
        labels=torch.arange(4).repeat_interleave(2),
        landmarks=20 * CANONICAL_LANDMARKS + torch.rand(8, 5, 2),
    )


@pytest.fixture
def frames() -> ActionFrames:
    """Frame k has the brightness 10 (k + 1) and, but for the last, one actor of class k."""
    none, nobody = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    levels = 10 * torch.arange(1, 7, dtype=torch.uint8)
    return ActionFrames(
        frames=levels[:, None, None, None].expand(6, 3, 48, 64).clone(),
        boxes=[torch.tensor([[8.0 + k, 4.0, 40.0 + k, 46.0]]) for k in range(5)] + [none],
        labels=[torch.tensor([k]) for k in range(5)] + [nobody],
        face_boxes=[torch.tensor([[16.0 + k, 6.0, 26.0 + k, 16.0]]) for k in range(5)] + [none],
        landmarks=[torch.zeros(1, 5, 2)] * 5 + [torch.zeros(0, 5, 2)],
        identities=[torch.tensor([k]) for k in range(5)] + [nobody],
        clips=torch.arange(6) // 2,
    )

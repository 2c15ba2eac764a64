from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from anonlib.config import TrainingConfig
from anonlib.training import Players
from anonlib.types import FaceImages
from recipes.pretrain import train_identity


def test_the_modifier_learns_to_return_its_input(
    faces: FaceImages, config: TrainingConfig, make_players: Callable[..., Players]
):
    modifier = make_players().modifier
    images = faces.images.float() / 255
    with torch.no_grad():
        before = (modifier(images) - images).abs().mean()
    history = train_identity(
        modifier, faces, replace(config, pretrain_lr=1.5e-2, l1_weight=7.0), steps=61, seed=0, progress=False
    )
    with torch.no_grad():
        after = (modifier(images) - images).abs().mean()
    assert after < 0.9 * before
    assert history[-1]["L_l1"] < 0.9 * history[0]["L_l1"] < 0.9  # not weighted by lambda

"""Which frames a training of A will look at, before it begins."""

from __future__ import annotations

import torch

from anonlib.training.batches import frame_batch, frames_drawn
from anonlib.types import ActionFrames


def test_the_frames_of_a_training_are_known_beforehand(frames: ActionFrames):
    shown = [frame_batch(frames, 2, seed=5, step=step).frames for step in range(4)]
    drawn = frames_drawn(len(frames), 2, seed=5, steps=4).tolist()
    assert drawn == sorted(set(drawn)) and len(drawn) <= 6
    known = {tuple((frames.frames[i].float() / 255).flatten().tolist()) for i in drawn}
    mirrored = {tuple((frames.frames[i].float() / 255).flip(2).flatten().tolist()) for i in drawn}
    assert all(tuple(x.flatten().tolist()) in known | mirrored for x in torch.cat(shown))
    assert frames_drawn(6, 2, seed=5, steps=0).tolist() == []

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from anonlib.anonymizers.learned import LearnedAnonymizer
from anonlib.config import ModifierConfig
from anonlib.errors import NumericError
from anonlib.networks import Modifier


class Recorder(nn.Module):
    """Darkens faces and remembers how it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.5))
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, faces: Tensor) -> Tensor:
        self.sizes.append(tuple(faces.shape))
        return faces * self.gain


class Broken(nn.Module):
    def forward(self, faces: Tensor) -> Tensor:
        out = faces.clone()
        out[1, 0, 0, 0] = float("nan")
        return out


def test_faces_are_resized_for_the_modifier_and_back():
    modifier = Recorder()
    out = LearnedAnonymizer(modifier, size=32)(torch.full((2, 3, 20, 50), 0.8))
    assert modifier.sizes == [(2, 3, 32, 32)]
    torch.testing.assert_close(out, torch.full((2, 3, 20, 50), 0.4))


def test_a_modifier_runs_at_its_own_size():
    assert LearnedAnonymizer(Modifier(ModifierConfig(size=16, width=4, blocks=1))).size == 16


def test_faces_of_the_right_size_are_not_resampled():
    faces = torch.rand(1, 3, 32, 32)
    assert torch.equal(LearnedAnonymizer(Recorder(), size=32)(faces), faces * 0.5)


def test_faces_stay_float_where_the_modifier_computes_in_bfloat16():
    anonymizer = LearnedAnonymizer(Modifier(ModifierConfig(size=16, width=4, blocks=1)))
    with torch.autocast("cpu", torch.bfloat16):
        faces = anonymizer(torch.rand(2, 3, 24, 20))
    assert faces.dtype == torch.float32 and faces.shape == (2, 3, 24, 20)


def test_large_batches_are_split():
    modifier = Recorder()
    LearnedAnonymizer(modifier)(torch.rand(34, 3, 8, 8))
    assert [s[0] for s in modifier.sizes] == [16, 16, 2]


def test_the_modifier_is_frozen_in_evaluation_mode():
    modifier = Recorder().train()
    out = LearnedAnonymizer(modifier)(torch.rand(1, 3, 8, 8))
    assert not modifier.training and not out.requires_grad


def test_a_diverged_modifier_is_named_with_its_face():
    with pytest.raises(NumericError, match="NaN or infinity for face 1: its training diverged"):
        LearnedAnonymizer(Broken())(torch.rand(3, 3, 8, 8))

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anonlib.networks import SphereFace
from anonlib.training import loop
from recipes.distillation import distil_classifier, distillation_loss

Maker = Callable[..., SphereFace]


def lesson(step: int) -> tuple[Tensor, Tensor]:
    """Four faces and their teacher's features, from the step's random numbers."""
    return torch.rand(4, 3, 16, 16), torch.randn(4, 8)


def test_by_hand():
    features = torch.tensor([[0.0, 16.0], [16.0, 0.0]])
    taught = torch.tensor([[3.0, 0.0], [-0.5, 0.0]])  # at right angles, opposed
    assert distillation_loss(features, taught).item() == pytest.approx((2 + 4) / 2)
    assert distillation_loss(torch.zeros(1, 2), taught[:1]).item() == pytest.approx(1)


def test_gradients_are_those_of_finite_differences():
    features = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    taught = torch.randn(3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda f: distillation_loss(f, taught), (features,))


def test_one_batch_is_learned_by_heart(make_classifier: Maker):
    batch = lesson(0)
    history = distil_classifier(
        make_classifier(), lambda step: batch, steps=60, lr=1e-2, seed=0, progress=False
    )
    assert history[-1]["distillation"] < 0.2 * history[0]["distillation"]


def test_resuming_equals_an_uninterrupted_run_bit_for_bit(
    make_classifier: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "SAVE_EVERY", 2)

    def stop(step: int) -> tuple[Tensor, Tensor]:
        if step == 3:
            raise KeyboardInterrupt
        return lesson(step)

    def train(d: SphereFace, batch: Any, name: str) -> Any:
        return distil_classifier(
            d, batch, steps=5, lr=1e-2, seed=3, checkpoint=tmp_path / name, progress=False
        )

    whole, resumed = make_classifier(1), make_classifier(2)
    history = train(whole, lesson, "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        train(make_classifier(1), stop, "run.pt")
    assert loop.load_checkpoint(tmp_path / "run.pt")["step"] == 2
    assert train(resumed, lesson, "run.pt") == history
    for name, value in whole.state_dict().items():
        if name != "identities":  # has no part in the loss
            assert torch.equal(resumed.state_dict()[name], value), name

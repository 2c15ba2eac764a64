"""Layers in bfloat16, the rest in float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam

from anonlib.config import TrainingConfig
from anonlib.networks import ActionDetector
from anonlib.training import (
    Players,
    face_batch,
    frame_batch,
    train_adversarially,
    update_classifier,
    update_modifier_and_detector,
)
from anonlib.training.precision import in_float32, layers_in
from anonlib.types import ActionFrames, FaceImages


def test_outputs_become_float32_wherever_they_are_held():
    x = torch.ones(1, dtype=torch.bfloat16)
    found = in_float32({"a": [x, (x,)]})
    assert found["a"][0].dtype == found["a"][1][0].dtype == torch.float32
    assert isinstance(found["a"], list) and isinstance(found["a"][1], tuple)


def test_layers_run_in_bfloat16_and_boxes_in_float32(make_detector: Callable[..., ActionDetector]):
    a = make_detector().train()
    seen: dict[str, Any] = {}
    a.network.backbone[3].register_forward_hook(lambda _, i, o: seen.update(inside=o.dtype))
    a.network.rpn.register_forward_hook(lambda _, i, o: seen.update(proposals=o[0][0].dtype))
    target = [torch.tensor([[4.0, 4, 40, 40]])], [torch.tensor([1])]
    frames = torch.rand(1, 3, 48, 64)
    with layers_in("float32", a):
        a.losses(frames, *target)
        assert seen == {"inside": torch.float32, "proposals": torch.float32}
    with layers_in("bfloat16", a):
        losses = a.losses(frames, *target)
        assert seen == {"inside": torch.bfloat16, "proposals": torch.float32}
        assert {loss.dtype for loss in losses.values()} == {torch.float32}
    a.losses(frames, *target)
    assert seen == {"inside": torch.float32, "proposals": torch.float32}


def test_losses_and_gradients_in_bfloat16_are_near_those_in_float32(
    make_players: Callable[..., Players], faces: FaceImages, frames: ActionFrames, config: TrainingConfig
):
    f, v = face_batch(faces, 8, seed=0, step=0), frame_batch(frames, 6, seed=0, step=0)

    def update(precision: str) -> tuple[dict[str, float], list[Tensor]]:
        p = make_players()
        torch.manual_seed(1)
        networks = (p.classifier, p.modifier, p.detector)
        still = [Adam(network.parameters(), lr=0.0) for network in networks]
        with layers_in(precision, *networks):
            losses = update_classifier(p, still[0], f, config, anneal=5.0)
            gradients = [torch.cat([x.grad.flatten() for x in p.classifier.parameters()])]
            losses |= update_modifier_and_detector(p, still[1:], f, v, config, anneal=5.0)
        for network in networks[1:]:
            gradients.append(torch.cat([x.grad.flatten() for x in network.parameters()]))
        assert {x.dtype for network in networks for x in network.parameters()} == {torch.float32}
        return {name: float(loss) for name, loss in losses.items()}, gradients

    (exact, directions), (rough, others) = update("float32"), update("bfloat16")
    assert rough != exact
    assert rough == pytest.approx(exact, rel=0.02)
    for gradient, other in zip(directions, others, strict=True):
        assert torch.cosine_similarity(gradient, other, dim=0) > 0.95


def test_the_config_chooses_the_precision_of_a_training(
    make_players: Callable[..., Players], faces: FaceImages, frames: ActionFrames, config: TrainingConfig
):
    first = {}
    for precision in ("float32", "bfloat16"):
        settings = replace(config, precision=precision, adversarial_steps=1)
        (first[precision],) = train_adversarially(
            make_players(), faces, frames, settings, seed=1, progress=False
        )
    assert first["bfloat16"] != first["float32"]
    assert first["bfloat16"] == pytest.approx(first["float32"], rel=0.02)


def test_in_bfloat16_each_step_sees_the_weights_of_the_one_before():
    torch.manual_seed(0)
    network, x = nn.Linear(4, 4), torch.randn(8, 4)
    with layers_in("bfloat16", network):
        before = network(x).detach()
        network(x).square().sum().backward()
        with torch.no_grad():
            network.weight -= network.weight.grad
        assert (network(x).detach() - before).abs().max() > 1

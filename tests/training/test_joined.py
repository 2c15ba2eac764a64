"""What a team asks of batch norm, of Faster R-CNN's samplers and of precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler

from anonlib.config import TrainingConfig
from anonlib.networks import ActionDetector
from anonlib.training import train_adversarially
from anonlib.training.algorithm1 import Players, update_classifier, update_modifier_and_detector
from anonlib.training.batches import face_batch, frame_batch
from anonlib.training.processes import ALONE, SharedSampler, Team, in_float, joined, shared_batch_norm
from anonlib.types import ActionFrames, FaceImages

Together = Callable[[Callable[[Team], Any]], list[Any]]


def through(norm: nn.Module, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """What the layer makes of x, and the gradient of its weighted sum."""
    x = x.clone().requires_grad_()
    y = norm(x)
    (y * weight).sum().backward()
    assert x.grad is not None
    return y.detach(), x.grad


def test_batch_norm_over_two_processes_is_batch_norm_of_both_batches(together: Together):
    x, weight = torch.randn(2, 4, 3, 5, 6, dtype=torch.float64)
    alone = nn.BatchNorm2d(3, momentum=0.3).double()
    nn.init.uniform_(alone.weight)
    start = {k: v.clone() for k, v in alone.state_dict().items()}
    expected, gradient = through(alone, x, weight)

    def work(team: Team) -> Any:
        norm = nn.BatchNorm2d(3, momentum=0.3).double()
        norm.load_state_dict(start)
        mine = team.part(2)
        found = through(shared_batch_norm(norm, team), x[mine], weight[mine])
        return *found, norm.state_dict(), norm.weight.grad

    (y0, g0, state, w0), (y1, g1, other, w1) = together(work)
    torch.testing.assert_close(torch.cat([y0, y1]), expected)
    torch.testing.assert_close(torch.cat([g0, g1]), gradient)
    torch.testing.assert_close(w0 + w1, alone.weight.grad)
    torch.testing.assert_close(state, alone.state_dict())
    torch.testing.assert_close(other, alone.state_dict())


def test_a_shared_batch_norm_in_evaluation_is_the_layer_itself():
    norm = nn.BatchNorm2d(2)
    norm(torch.randn(4, 2, 3, 3))
    shared = shared_batch_norm(norm.eval(), Team(size=2))
    x = torch.randn(1, 2, 3, 3)
    torch.testing.assert_close(shared(x), norm(x))
    assert shared.weight is norm.weight and shared.running_mean is norm.running_mean


def test_samplers_draw_as_one_process_would_and_know_their_share(together: Together):
    # positives, negatives and ignored anchors of four frames
    made_of = [(3, 9, 1), (0, 2, 0), (1, 20, 5), (6, 30, 0)]
    matched = [
        torch.cat([torch.full((n,), float(v)) for n, v in zip(counts, (1, 0, -1), strict=True)])
        for counts in made_of
    ]
    sampler = BalancedPositiveNegativeSampler(8, 0.5)
    torch.manual_seed(0)
    positives, negatives = sampler(matched)
    after = torch.rand(1).item()

    def work(team: Team) -> Any:
        shared = SharedSampler(sampler, team)
        torch.manual_seed(0)
        return *shared(matched[team.part(2)]), shared.share, torch.rand(1).item()

    (p0, n0, share0, after0), (p1, n1, share1, after1) = together(work)
    for found, expected in ((p0 + p1, positives), (n0 + n1, negatives)):
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    # 8 + 2 samples here, 8 + 8 there
    assert (share0, share1) == pytest.approx((2 * 10 / 26, 2 * 16 / 26))
    assert after0 == after1 == after


def test_outputs_become_float32_wherever_they_are_held():
    x = torch.ones(1, dtype=torch.bfloat16)
    found = in_float({"a": [x, (x,)]})
    assert found["a"][0].dtype == found["a"][1][0].dtype == torch.float32
    assert isinstance(found["a"], list) and isinstance(found["a"][1], tuple)


def test_layers_run_in_bfloat16_and_boxes_in_float32(make_detector: Callable[..., ActionDetector]):
    a = make_detector().train()
    seen: dict[str, Any] = {}
    a.network.backbone[3].register_forward_hook(lambda _, i, o: seen.update(inside=o.dtype))
    a.network.rpn.register_forward_hook(lambda _, i, o: seen.update(proposals=o[0][0].dtype))
    target = [torch.tensor([[4.0, 4, 40, 40]])], [torch.tensor([1])]
    frames = torch.rand(1, 3, 48, 64)
    with joined([a], ALONE, precision="float32"):
        a.losses(frames, *target)
        assert seen == {"inside": torch.float32, "proposals": torch.float32}
    with joined([a], ALONE, precision="bfloat16"):
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
        with joined(networks, ALONE, precision=precision):
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


def test_frames_of_two_processes_are_augmented_differently(together: Together):
    def work(team: Team) -> Any:
        torch.manual_seed(3)
        with team.own_draws():
            own = torch.rand(1).item()
        return own, torch.rand(1).item()

    (own, after), (other, later) = together(work)
    torch.manual_seed(3)
    assert own != other and after == later == torch.rand(1).item()
    torch.manual_seed(3)
    with ALONE.own_draws():
        assert torch.rand(1).item() == after


def test_in_bfloat16_each_step_sees_the_weights_of_the_one_before():
    torch.manual_seed(0)
    network, x = nn.Linear(4, 4), torch.randn(8, 4)
    with joined([network], ALONE, precision="bfloat16"):
        before = network(x).detach()
        network(x).square().sum().backward()
        with torch.no_grad():
            network.weight -= network.weight.grad
        assert (network(x).detach() - before).abs().max() > 1

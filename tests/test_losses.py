"""Losses against hand-computed values, slow references and exact gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from anonlib.losses import (
    angular_margin,
    angular_softmax_loss,
    annealing,
    attractor_loss,
    classifier_loss,
    contrastive_loss,
    critic_loss,
    mask_loss,
    mixup_loss,
    modifier_loss,
    photorealistic_loss,
    proxy_nca_loss,
    realism_loss,
    redraw_loss,
    repeller_loss,
)


def slow_psi(theta: float, margin: int) -> float:
    """psi, found by looking for the interval that holds theta."""
    for k in range(margin):
        if k * math.pi / margin <= theta <= (k + 1) * math.pi / margin:
            return (-1) ** k * math.cos(margin * theta) - 2 * k
    raise AssertionError(theta)


def slow_loss(x: list[float], people: list[list[float]], y: int, m: int, a: float) -> float:
    """L_D of one face, from the formula, one number at a time."""
    length = math.sqrt(sum(v * v for v in x))
    total = 0.0
    for j, w in enumerate(people):
        norm = math.sqrt(sum(v * v for v in w))
        cosine = sum(p * q for p, q in zip(x, w, strict=True)) / (length * norm)
        if j == y:
            cosine = (a * cosine + slow_psi(math.acos(cosine), m)) / (a + 1)
            own = math.exp(length * cosine)
        total += math.exp(length * cosine)
    return -math.log(own / total)


def random_faces(count: int = 6, people: int = 5, features: int = 4) -> tuple[Tensor, ...]:
    x = 2 * torch.randn(count, features, dtype=torch.float64)
    w = 3 * torch.randn(people, features, dtype=torch.float64)
    return x, w, torch.randint(people, (count,))


@pytest.mark.parametrize("margin", [1, 2, 3, 4])
@pytest.mark.parametrize("anneal", [0.0, 5.0, 1500.0])
def test_loss_agrees_with_the_formula_number_by_number(margin: int, anneal: float):
    x, w, y = random_faces()
    expected = [
        slow_loss(face, w.tolist(), label, margin, anneal)
        for face, label in zip(x.tolist(), y.tolist(), strict=True)
    ]
    torch.testing.assert_close(
        angular_softmax_loss(x, w, y, margin=margin, anneal=anneal),
        torch.tensor(expected, dtype=torch.float64),
    )


def test_loss_by_hand():
    # A face of length 2 at 45 degrees to its own person, 135 degrees to the other; m = 4, a = 5.
    # psi(45 degrees) = -cos(180 degrees) - 2 = -1 and the eased cosine (5 cos 45 - 1) / 6
    x = torch.tensor([[math.sqrt(2), math.sqrt(2)]], dtype=torch.float64)
    w = torch.tensor([[5.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    own, other = math.sqrt(2) * 5 / 6 - 2 / 6, -math.sqrt(2)
    found = angular_softmax_loss(x, w, torch.tensor([0]), margin=4, anneal=5.0)
    assert found.item() == pytest.approx(math.log(1 + math.exp(other - own)), rel=1e-9)


def test_only_the_directions_of_the_weight_vectors_count():
    x, w, y = random_faces()
    scales = torch.rand(len(w), 1).double() + 0.1
    torch.testing.assert_close(angular_softmax_loss(x, w, y), angular_softmax_loss(x, w * scales, y))


def test_a_face_alone_has_the_loss_it_has_in_a_batch():
    x, w, y = random_faces()
    together = angular_softmax_loss(x, w, y)
    alone = [angular_softmax_loss(x[i : i + 1], w, y[i : i + 1]) for i in range(len(x))]
    torch.testing.assert_close(together, torch.cat(alone))


def test_the_loss_rises_with_the_margin():
    x, w, y = random_faces()
    by_margin = torch.stack([angular_softmax_loss(x, w, y, margin=m, anneal=0.0) for m in (1, 2, 3, 4)])
    assert (by_margin.diff(dim=0) > 0).all()


def test_gradients_are_exact():
    x, w, y = random_faces(count=3, people=3, features=3)
    x.requires_grad_(), w.requires_grad_()
    assert gradcheck(lambda a, b: angular_softmax_loss(a, b, y), (x, w))


def test_gradients_stay_finite_on_the_weight_vector_and_opposite_to_it():
    w = torch.eye(3)
    x = torch.stack([w[0], -w[0]]).requires_grad_()
    angular_softmax_loss(x, w, torch.tensor([0, 0])).sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()


@pytest.mark.parametrize("margin", [1, 2, 3, 4])
def test_psi_falls_from_1_to_1_minus_2m_without_a_jump(margin: int):
    theta = torch.linspace(0, math.pi, 2001, dtype=torch.float64)
    psi = angular_margin(theta.cos(), margin)
    assert psi[0].item() == pytest.approx(1, abs=1e-4)
    assert psi[-1].item() == pytest.approx(1 - 2 * margin, abs=1e-4)
    steps = psi.diff()
    assert (steps[2:-2] < 0).all()  # the clamp of the cosine flattens the very ends
    assert steps.min() > -1.1 * margin * math.pi / 2000  # the slope is at most m
    assert (psi <= theta.cos() + 1e-4).all()


def test_psi_by_hand():
    angles = torch.tensor([0, 30, 45, 60, 90, 120, 135]).deg2rad().double()
    expected = torch.tensor([1.0, -0.5, -1.0, -1.5, -3.0, -4.5, -5.0]).double()
    torch.testing.assert_close(angular_margin(angles.cos(), 4), expected, atol=1e-4, rtol=0)


def test_annealing_follows_the_step_down_to_its_floor():
    assert [annealing(s) for s in (0, 10, 90, 1490)] == [1500, 750, 150, 10]
    assert annealing(2990) == 5 and annealing(10_000) == 5
    assert annealing(4, start=10, rate=1.0, floor=1.0) == 2


def test_the_classifier_adds_modified_and_clear_faces():
    modified, clear = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([0.5, 1.5])
    assert classifier_loss(modified, clear).item() == pytest.approx(3 + 1)
    assert classifier_loss(modified, clear, clear_weight=3.0).item() == pytest.approx(3 + 3)


def test_the_modifier_climbs_where_the_classifier_descends():
    on_modified = torch.tensor([1.0, 2.0], requires_grad=True)
    (for_d,) = torch.autograd.grad(classifier_loss(on_modified, torch.zeros(2)), on_modified)
    (for_m,) = torch.autograd.grad(modifier_loss(on_modified), on_modified)
    torch.testing.assert_close(for_d, torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(for_m, torch.tensor([-0.5, -0.5]))


def test_without_a_ceiling_eq_2_is_a_zero_sum_game_on_modified_faces():
    on_modified = torch.rand(5) * 20
    torch.testing.assert_close(
        modifier_loss(on_modified) + classifier_loss(on_modified, torch.zeros(5)), torch.tensor(0.0)
    )


def test_faces_beyond_the_ceiling_are_left_alone():
    on_modified = torch.tensor([1.0, 6.0, 8.0, 30.0], requires_grad=True)
    loss = modifier_loss(on_modified, ceiling=7.0)
    loss.backward()
    assert loss.item() == pytest.approx(-(1 + 6 + 7 + 7) / 4)
    torch.testing.assert_close(on_modified.grad, torch.tensor([-0.25, -0.25, 0.0, 0.0]))


def test_the_photorealistic_loss_by_hand():
    original = torch.tensor([0.0, 0.2, 0.4, 1.0]).reshape(1, 1, 2, 2)
    modified = torch.tensor([0.1, 0.2, 0.0, 0.5]).reshape(1, 1, 2, 2)
    assert photorealistic_loss(modified, original).item() == pytest.approx(1.0 / 4)
    assert photorealistic_loss(modified, original, weight=0.5).item() == pytest.approx(0.5 / 4)


def test_nothing_changed_costs_nothing_and_order_does_not_matter():
    a, b = torch.rand(2, 2, 3, 4, 4)
    assert photorealistic_loss(a, a).item() == 0
    torch.testing.assert_close(photorealistic_loss(a, b), photorealistic_loss(b, a))


def test_the_size_of_a_face_does_not_change_the_loss():
    a, b = torch.rand(2, 2, 3, 4, 4)
    larger = [x.repeat_interleave(2, 2).repeat_interleave(2, 3) for x in (a, b)]
    torch.testing.assert_close(photorealistic_loss(*larger), photorealistic_loss(a, b))


def test_the_photorealistic_loss_pulls_every_pixel_towards_the_original_by_the_weight():
    modified = torch.tensor([[[[0.9, 0.1]]]], requires_grad=True)
    photorealistic_loss(modified, torch.full((1, 1, 1, 2), 0.5), weight=3.0).backward()
    torch.testing.assert_close(modified.grad, torch.tensor([[[[1.5, -1.5]]]]))


def test_critic_and_realism_by_hand():
    real, drawn = torch.tensor([1.0, 0.5]), torch.tensor([0.0, 0.2, 1.0, 0.0])
    assert critic_loss(real, drawn).item() == pytest.approx((0.25 / 2 + 1.04 / 4) / 2)
    assert realism_loss(drawn).item() == pytest.approx((1 + 0.64 + 0 + 1) / 4 / 2)


def test_a_critic_that_cannot_tell_pays_a_quarter():
    half = torch.full((2, 1, 3, 3), 0.5)
    assert critic_loss(half, half).item() == pytest.approx(0.25)


def test_critic_and_modifier_pull_drawn_faces_in_opposite_directions():
    drawn = torch.full((2,), 0.5, requires_grad=True)
    (by_critic,) = torch.autograd.grad(critic_loss(torch.ones(2), drawn), drawn)
    (by_modifier,) = torch.autograd.grad(realism_loss(drawn), drawn)
    torch.testing.assert_close(by_critic, -by_modifier)
    assert by_critic.gt(0).all()


def test_gradients_of_critic_and_realism_are_exact():
    real, drawn = torch.rand(2, 3, dtype=torch.float64).requires_grad_()
    assert gradcheck(critic_loss, (real, drawn))
    assert gradcheck(realism_loss, (drawn,))


def test_redraw_loss_by_hand():
    redrawn = torch.zeros(1, 1, 2, 3)
    modified = torch.tensor([[0.0, 0.6, 0.0], [0.0, 0.6, 0.3]])[None, None]
    across, down = (0.6 + 0.6 + 0.6 + 0.3) / 4, 0.3 / 3
    assert redraw_loss(modified, redrawn).item() == pytest.approx(1.5 / 6 + across + down)
    torch.testing.assert_close(redraw_loss(modified, redrawn), redraw_loss(redrawn, modified))
    assert redraw_loss(modified, modified).item() == 0


def test_gradients_of_the_redraw_loss_are_exact():
    modified, redrawn = torch.rand(2, 2, 3, 4, 4, dtype=torch.float64)
    assert gradcheck(redraw_loss, (modified.requires_grad_(), redrawn.requires_grad_()))


def test_the_repeller_stops_at_its_ceiling_and_counts_by_weight():
    target, drawn = torch.nn.functional.normalize(torch.rand(2, 3, 5, dtype=torch.float64), dim=2)
    weights, expected = [0.0, 0.5, 2.0], 0.0
    for x, t, w in zip(drawn.tolist(), target.tolist(), weights, strict=True):
        expected -= w * sum(abs(a - b) for a, b in zip(x, t, strict=True)) / math.sqrt(5) / 3
    factors, far, near = torch.tensor(weights), torch.full((3,), 9.0), torch.full((3,), 0.1)
    assert repeller_loss(drawn, target, factors, far).item() == pytest.approx(expected)
    assert repeller_loss(drawn, target, factors, near).item() == pytest.approx(-0.25 / 3)
    drawn.requires_grad_()
    repeller_loss(drawn, target, factors, 0 * near).backward()
    assert drawn.grad is not None and not drawn.grad.any()


def test_the_attractor_counts_all_levels_alike():
    wanted = [torch.rand(2, 3, 8, 8, dtype=torch.float64), 100 * torch.rand(2, 6, 4, 4, dtype=torch.float64)]
    drawn = [(1.2 * wanted[0]).requires_grad_(), (0.9 * wanted[1]).requires_grad_()]
    assert attractor_loss(drawn, wanted).item() == pytest.approx(0.15)
    assert gradcheck(lambda a: attractor_loss([a], wanted[:1]), (drawn[0] + 0.01,))


def test_mask_and_mixup_losses_by_hand():
    mask = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
    assert mask_loss(mask, size=0.5, edges=2.0).item() == pytest.approx(0.25 + 2)
    ratings = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    assert mixup_loss(ratings, torch.tensor([0.5, 0.5])).item() == pytest.approx(0.125)


def test_contrastive_loss_agrees_with_the_formula_pair_by_pair():
    x, z = (2 * torch.rand(6, 3, dtype=torch.float64) for _ in range(2))
    same, expected = torch.tensor([True, False] * 3), []
    for a, b, y in zip(x.tolist(), z.tolist(), same.tolist(), strict=True):
        d = math.dist(a, b)
        expected.append(0.5 * (y * d**2 + (1 - y) * max(0.0, 2 - d) ** 2))
    found = contrastive_loss(x, z, same, margin=2.0)
    assert found.item() == pytest.approx(sum(expected) / 6)
    assert gradcheck(lambda a: contrastive_loss(a, z, same, margin=2.0), (x.requires_grad_(),))
    x = torch.zeros(2, 3, requires_grad=True)
    contrastive_loss(x, torch.zeros(2, 3), same[:2]).backward()  # equal features
    assert x.grad is not None and torch.isfinite(x.grad).all()


def test_proxy_nca_loss_agrees_with_the_formula():
    x, proxies, y = random_faces()
    expected = 0.0
    for face, label in zip(x, y.tolist(), strict=True):
        d = [float(((face / face.norm()) - (p / p.norm())).square().sum()) for p in proxies]
        expected -= math.log(math.exp(-2 * d[label]) / sum(math.exp(-2 * each) for each in d))
    assert proxy_nca_loss(x, proxies, y, scale=2.0).item() == pytest.approx(expected / len(y))
    torch.testing.assert_close(proxy_nca_loss(5 * x, proxies, y), proxy_nca_loss(x, 3 * proxies, y))

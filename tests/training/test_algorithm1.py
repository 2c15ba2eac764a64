from __future__ import annotations

import copy
import types
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam

from anonlib.anonymizers import anonymize_frames, create
from anonlib.config import ModifierConfig, TrainingConfig
from anonlib.errors import NumericError
from anonlib.losses import annealing
from anonlib.networks import Modifier, StateModifier
from anonlib.training import algorithm1, loop, train_adversarially
from anonlib.training.algorithm1 import (
    Players,
    fool_classifier,
    modify_faces,
    modify_frames,
    update_classifier,
    update_modifier_and_detector,
)
from anonlib.training.batches import FaceBatch, FrameBatch, face_batch, face_regions, frame_batch
from anonlib.training.classifier import identification_loss
from anonlib.types import ActionFrames, FaceImages

Maker = Callable[..., Players]
ANNEAL = 5.0


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(network.state_dict())


def unchanged(network: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def adams(p: Players) -> tuple[Adam, Adam]:
    return Adam(p.modifier.parameters(), lr=1e-2), Adam(p.detector.parameters(), lr=1e-2)


def recognisability(p: Players, f: FaceBatch) -> float:
    """The loss of D on modified faces; high means that they are not recognised."""
    with torch.no_grad():
        return float(identification_loss(p.classifier, p.modifier(f.images), f, anneal=ANNEAL).mean())


@pytest.fixture
def f(faces: FaceImages) -> FaceBatch:
    return face_batch(faces, 4, seed=0, step=0)


@pytest.fixture
def v(frames: ActionFrames) -> FrameBatch:
    return frame_batch(frames, 3, seed=0, step=0)


@pytest.fixture
def v_faceless(faceless: ActionFrames) -> FrameBatch:
    return frame_batch(faceless, 3, seed=0, step=0)


# Line 3: D


def test_updating_the_classifier_changes_nothing_else(
    make_players: Maker, f: FaceBatch, config: TrainingConfig
):
    p = make_players()
    m, d, a = snapshot(p.modifier), snapshot(p.classifier), snapshot(p.detector)
    losses = update_classifier(p, Adam(p.classifier.parameters(), lr=1e-2), f, config, anneal=ANNEAL)
    assert set(losses) == {"D modified", "D clear"}
    assert not any(loss.requires_grad for loss in losses.values())
    assert not unchanged(p.classifier, d)
    assert unchanged(p.modifier, m) and unchanged(p.detector, a)
    assert all(x.grad is None for x in p.modifier.parameters())


def test_the_classifier_descends_on_eq_2(make_players: Maker, f: FaceBatch, config: TrainingConfig):
    p = make_players()
    d, optimizer = p.classifier, SGD(p.classifier.parameters(), lr=1.0)
    config = replace(config, clear_weight=3.0)
    start = copy.deepcopy(d)
    faces = (p.modifier(f.images).detach(), f.images)
    modified, clear = (identification_loss(start, x, f, anneal=ANNEAL).mean() for x in faces)
    (modified + 3 * clear).backward()

    losses = update_classifier(p, optimizer, f, config, anneal=ANNEAL)  # type: ignore[arg-type]
    torch.testing.assert_close(losses["D modified"], modified.detach())
    torch.testing.assert_close(losses["D clear"], clear.detach())
    for new, old in zip(d.parameters(), start.parameters(), strict=True):
        assert old.grad is not None
        torch.testing.assert_close(new, old - old.grad)


# Lines 5-8: v'


def test_frames_are_modified_inside_the_enlarged_faces_alone(make_players: Maker, v: FrameBatch):
    modifier = make_players().modifier
    seen = modify_frames(modifier, v.frames, v.regions)
    for new, old, regions in zip(seen, v.frames, v.regions, strict=True):
        outside = torch.ones(48, 64, dtype=torch.bool)
        for x0, y0, x1, y1 in regions.int().tolist():
            outside[y0:y1, x0:x1] = False
            assert (x1 - x0, y1 - y0) == (16, 16)  # 10 px, enlarged 1.6x
            torch.testing.assert_close(
                new[:, y0:y1, x0:x1], modifier(old[None, :, y0:y1, x0:x1])[0], atol=1e-5, rtol=0
            )
        assert torch.equal(new[:, outside], old[:, outside])


def test_faces_at_the_border_are_modified_as_they_are_after_the_training(make_players: Maker):
    """Enlarged, the faces have whole pixels and leave the frame on each side."""
    modifier = make_players().modifier
    boxes = torch.tensor([[0.0, 20.0, 10.0, 30.0], [54.0, 1.0, 64.0, 11.0], [30.0, 37.0, 40.0, 47.0]])
    frames = torch.rand(2, 3, 48, 64)
    regions = face_regions([boxes, boxes[:1]], height=48, width=64)
    assert [len(r) for r in regions] == [3, 1]
    with torch.no_grad():
        seen = modify_frames(modifier, frames, regions)
    used = anonymize_frames(frames, [boxes, boxes[:1]], create("modifier", modifier))
    torch.testing.assert_close(seen, used, atol=1e-5, rtol=0)


def test_a_face_of_any_size_at_the_border_differs_by_less_than_a_pixel_from_its_use(make_players: Maker):
    modifier = make_players().modifier
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 48, 64) * torch.linspace(0.2, 1, 48)[:, None]
    boxes = torch.tensor([[1.3, 20.2, 20.9, 41.7], [44.4, -6.6, 66.1, 17.3]])
    with torch.no_grad():
        seen = modify_frames(modifier, ramp, face_regions([boxes], height=48, width=64))
    used = anonymize_frames(ramp, [boxes], create("modifier", modifier))
    assert (seen - ramp).abs().mean() > 0.05
    assert (seen - used).abs().mean() < 0.005


def test_a_layer_with_opacity_is_laid_over_the_frame(v: FrameBatch):
    half = types.SimpleNamespace(
        config=ModifierConfig(size=16), layer=lambda f: torch.zeros(len(f), 4, 16, 16)
    )
    assert torch.equal(modify_frames(half, v.frames, v.regions), v.frames)  # nothing is opaque


def test_frames_without_faces_are_themselves(make_players: Maker, v_faceless: FrameBatch):
    p = make_players()
    assert torch.equal(modify_frames(p.modifier, v_faceless.frames, v_faceless.regions), v_faceless.frames)


# Line 9: M and A


def test_updating_modifier_and_detector_leaves_the_classifier(
    make_players: Maker, f: FaceBatch, v: FrameBatch, config: TrainingConfig
):
    p = make_players()
    m, d, a = snapshot(p.modifier), snapshot(p.classifier), snapshot(p.detector)
    losses = update_modifier_and_detector(p, adams(p), f, v, config, anneal=ANNEAL)
    assert set(losses) == {"L_det", "L_adv", "L_l1"}
    assert not any(loss.requires_grad for loss in losses.values())
    assert not unchanged(p.modifier, m) and not unchanged(p.detector, a)
    assert unchanged(p.classifier, d)
    assert all(x.grad is None and x.requires_grad for x in p.classifier.parameters())


def test_the_losses_of_the_modifier_are_those_of_eq_2_and_3(
    make_players: Maker, f: FaceBatch, v: FrameBatch, config: TrainingConfig
):
    p = make_players()
    config = replace(config, l1_weight=2.5)
    with torch.no_grad():
        modified = p.modifier(f.images)
        l_d = identification_loss(p.classifier, modified, f, anneal=ANNEAL)
    losses = update_modifier_and_detector(p, adams(p), f, v, config, anneal=ANNEAL)
    torch.testing.assert_close(losses["L_adv"], -l_d.mean())
    torch.testing.assert_close(losses["L_l1"], 2.5 * (modified - f.images).abs().mean())


def test_eq_3_compares_with_the_target_that_is_given(
    make_players: Maker, f: FaceBatch, v: FrameBatch, config: TrainingConfig
):
    p = make_players()
    with torch.no_grad():
        modified = p.modifier(f.images)
    losses = update_modifier_and_detector(p, adams(p), f, v, config, anneal=ANNEAL, target=1 - f.images)
    torch.testing.assert_close(losses["L_l1"], (modified - 1 + f.images).abs().mean())


class Painter(Modifier):
    """An M that adds other random colours to each face."""

    def forward(self, faces: Tensor) -> Tensor:
        return super().forward(faces) + torch.rand(len(faces), 3, 1, 1)


def test_m_before_the_game_draws_the_target_with_the_same_random_numbers(f: FaceBatch):
    m = Painter(ModifierConfig(size=16, width=4, blocks=1))
    start = algorithm1.starting_copy(m, TrainingConfig(l1_target="start"))["M start"]
    torch.manual_seed(4)
    modified, target = modify_faces(m, f.images, start)
    again = m(f.images)
    torch.testing.assert_close(modified, target)
    assert modified.requires_grad and not target.requires_grad
    assert (again - modified).abs().min() > 1e-4  # the next faces get other colours
    with torch.no_grad():
        m.decoder[-1].bias += 1
    assert (modify_faces(m, f.images, start)[0] - start(f.images)).abs().mean() > 0.01
    assert algorithm1.starting_copy(m, TrainingConfig()) == {}
    assert modify_faces(m, f.images, None)[1] is f.images


def test_ascent_makes_faces_harder_to_recognise_and_descent_of_d_easier(
    make_players: Maker, f: FaceBatch, v_faceless: FrameBatch, config: TrainingConfig
):
    p = make_players()
    before = recognisability(p, f)
    optimizers = adams(p)
    for _ in range(5):
        update_modifier_and_detector(
            p, optimizers, f, v_faceless, replace(config, l1_weight=0.0), anneal=ANNEAL
        )
    fooled = recognisability(p, f)
    assert fooled > before + 0.05
    for _ in range(5):
        update_classifier(p, Adam(p.classifier.parameters(), lr=1e-2), f, config, anneal=ANNEAL)
    assert recognisability(p, f) < fooled - 0.05


def test_lambda_pulls_the_face_back_to_the_original(
    make_players: Maker, f: FaceBatch, v_faceless: FrameBatch, config: TrainingConfig
):
    distance = {}
    for weight in (0.0, 100.0):
        p = make_players()
        optimizers, setting = adams(p), replace(config, l1_weight=weight)
        for _ in range(8):
            update_modifier_and_detector(p, optimizers, f, v_faceless, setting, anneal=ANNEAL)
        with torch.no_grad():
            distance[weight] = float((p.modifier(f.images) - f.images).abs().mean())
    assert distance[100.0] < 0.9 * distance[0.0]


@pytest.mark.parametrize("with_faces", [True, False])
def test_the_detection_loss_reaches_the_modifier_through_the_pasted_face(
    make_players: Maker,
    f: FaceBatch,
    v: FrameBatch,
    v_faceless: FrameBatch,
    config: TrainingConfig,
    with_faces: bool,
):
    p = make_players()
    alone = replace(config, l1_weight=0.0, adversarial_ceiling=0.0)  # the ascent stops at once
    seen = v if with_faces else v_faceless
    update_modifier_and_detector(p, adams(p), f, seen, alone, anneal=ANNEAL)
    reached = any(x.grad is not None and x.grad.any() for x in p.modifier.parameters())
    assert reached == with_faces


@pytest.mark.parametrize(
    ("objective", "taught_by"), [("ascent", {"D", "A"}), ("detection", {"A"}), ("identification", {"D"})]
)
def test_an_objective_names_the_gradients_that_reach_the_modifier(
    make_players: Maker,
    f: FaceBatch,
    v: FrameBatch,
    v_faceless: FrameBatch,
    config: TrainingConfig,
    objective: str,
    taught_by: set[str],
):
    only = {
        "D": (v_faceless, replace(config, l1_weight=0.0, objective=objective)),
        "A": (v, replace(config, l1_weight=0.0, adversarial_ceiling=0.0, objective=objective)),
    }
    for teacher, (frames, setting) in only.items():
        p = make_players()
        update_modifier_and_detector(p, adams(p), f, frames, setting, anneal=ANNEAL)
        reached = any(x.grad is not None and x.grad.any() for x in p.modifier.parameters())
        assert reached == (teacher in taught_by)
        assert any(x.grad is not None and x.grad.any() for x in p.detector.parameters())


def test_random_labels_are_descended_to(make_players: Maker, f: FaceBatch, config: TrainingConfig):
    p = make_players()
    modified = p.modifier(f.images)
    torch.manual_seed(8)
    found = fool_classifier(p, modified, f, replace(config, objective="random_label"), anneal=ANNEAL)
    torch.manual_seed(8)
    labels = torch.randint(4, (4,))
    others = FaceBatch(f.images, labels, f.landmarks)
    expected = identification_loss(p.classifier, modified, others, anneal=ANNEAL).mean()
    assert not torch.equal(labels, f.labels)
    torch.testing.assert_close(found, expected)
    ascent = fool_classifier(p, modified, f, config, anneal=ANNEAL)
    assert ascent < 0 < found


def test_the_ceiling_of_the_config_bounds_the_ascent(
    make_players: Maker, f: FaceBatch, config: TrainingConfig
):
    p = make_players()
    modified = p.modifier(f.images)
    l_d = identification_loss(p.classifier, modified, f, anneal=ANNEAL)
    ceiling = float(l_d.detach().median())
    found = fool_classifier(p, modified, f, replace(config, adversarial_ceiling=ceiling), anneal=ANNEAL)
    torch.testing.assert_close(found, -l_d.clamp(max=ceiling).mean())
    assert found > -l_d.mean()


# Lines 1-9


def run(
    p: Players,
    faces: FaceImages,
    frames: ActionFrames,
    config: TrainingConfig,
    checkpoint: Path | None = None,
    seed: int = 3,
) -> Any:
    return train_adversarially(p, faces, frames, config, seed=seed, checkpoint=checkpoint, progress=False)


def test_each_iteration_updates_d_as_often_as_asked_then_m_and_a(
    make_players: Maker,
    faces: FaceImages,
    frames: ActionFrames,
    config: TrainingConfig,
    monkeypatch: pytest.MonkeyPatch,
):
    order: list[str] = []
    batches: list[Tensor] = []

    def d(
        players: Players, optimizer: Adam, batch: FaceBatch, c: TrainingConfig, *, anneal: float, **__: Any
    ) -> Any:
        order.append("D")
        eased.append(anneal)
        batches.append(batch.images)
        assert {id(x) for g in optimizer.param_groups for x in g["params"]} == {
            id(x) for x in players.classifier.parameters()
        }
        assert optimizer.param_groups[0]["betas"] == (0.5, 0.999)
        return {"D": torch.zeros(())}

    def m_and_a(players: Players, optimizers: Any, *_: Any, anneal: float, **__: Any) -> Any:
        order.append("MA")
        eased.append(anneal)
        for optimizer, network in zip(optimizers, (players.modifier, players.detector), strict=True):
            assert [id(x) for x in optimizer.param_groups[0]["params"]] == [
                id(x) for x in network.parameters()
            ]
        rates.append(tuple(o.param_groups[0]["lr"] for o in optimizers))
        return {"MA": torch.zeros(())}

    eased: list[float] = []
    rates: list[tuple[float, ...]] = []
    monkeypatch.setattr(algorithm1, "update_classifier", d)
    monkeypatch.setattr(algorithm1, "update_modifier_and_detector", m_and_a)
    config = replace(config, adversarial_steps=12, classifier_age=100, lr_drop=1.0)
    run(make_players(), faces, frames, config)
    assert eased == [annealing(100 + step) for step in range(12) for _ in range(3)]
    assert order == ["D", "D", "MA"] * 12
    assert rates == [pytest.approx((3e-4, 1e-3))] * 7 + [pytest.approx((3e-5, 1e-4))] * 5
    assert len({tuple(b.flatten().tolist()) for b in batches}) == 24  # no batch twice


def test_m_of_f_is_computed_once_and_serves_both_updates(
    make_players: Maker,
    faces: FaceImages,
    frames: ActionFrames,
    config: TrainingConfig,
    f: FaceBatch,
    v: FrameBatch,
):
    p, passes = make_players(), []
    p.modifier.register_forward_hook(lambda _, images, __: passes.append(len(images[0])))
    run(p, faces, frames, replace(config, adversarial_steps=1, classifier_updates=1))
    crops = sum(map(len, frame_batch(frames, config.frames, seed=3, step=0).regions))
    assert passes == [config.faces, crops] and crops > 0

    apart, together = make_players(), make_players()
    for p, m in ((apart, None), (together, together.modifier(f.images))):
        d = Adam(p.classifier.parameters(), lr=1e-2)
        update_classifier(p, d, f, config, anneal=ANNEAL, modified=None if m is None else m.detach())
        torch.manual_seed(1)  # A samples
        update_modifier_and_detector(p, adams(p), f, v, config, anneal=ANNEAL, modified=m)
    for name in ("modifier", "classifier", "detector"):
        assert unchanged(getattr(apart, name), snapshot(getattr(together, name)))


def test_all_three_are_trained(
    make_players: Maker, faces: FaceImages, frames: ActionFrames, config: TrainingConfig
):
    p = make_players()
    networks = (p.modifier, p.classifier, p.detector)
    before = [snapshot(network.eval()) for network in networks]
    history = run(p, faces, frames, replace(config, adversarial_steps=2))
    assert [row["step"] for row in history] == [0, 1]
    assert set(history[0]) == {"step", "D modified", "D clear", "L_det", "L_adv", "L_l1"}
    for network, old in zip(networks, before, strict=True):
        assert network.training and not unchanged(network, old)


def test_watching_a_training_does_not_change_it(
    make_players: Maker, faces: FaceImages, frames: ActionFrames, config: TrainingConfig
):
    alone, watched = make_players(), make_players()
    seen: list[Mapping[str, float]] = []

    def watch(row: Mapping[str, float]) -> None:
        torch.rand(7)
        with torch.no_grad():
            watched.modifier(torch.rand(1, 3, 16, 16))
        seen.append(row)

    run(alone, faces, frames, config)
    history = train_adversarially(watched, faces, frames, config, seed=3, progress=False, report=watch)
    assert seen == history
    assert unchanged(watched.modifier, snapshot(alone.modifier))
    assert unchanged(watched.classifier, snapshot(alone.classifier))


def test_random_label_and_ascent_are_one_switch(
    make_players: Maker, faces: FaceImages, frames: ActionFrames, config: TrainingConfig
):
    ends = []
    for objective in ("ascent", "random_label"):
        p = make_players()
        run(p, faces, frames, replace(config, adversarial_steps=2, objective=objective))
        ends.append(snapshot(p.modifier))
    assert not torch.equal(ends[0]["decoder.5.weight"], ends[1]["decoder.5.weight"])


@pytest.mark.parametrize(
    "options", [{}, {"objective": "random_label"}, {"l1_target": "start"}], ids=["ascent", "random", "start"]
)
def test_resuming_equals_an_uninterrupted_run_bit_for_bit(
    make_players: Maker,
    faces: FaceImages,
    frames: ActionFrames,
    config: TrainingConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, str],
):
    monkeypatch.setattr(loop, "SAVE_EVERY", 2)
    config = replace(config, adversarial_steps=5, **options)  # type: ignore[arg-type]

    def interrupted(*args: Any, **options: Any) -> Any:
        if options["step"] == 3:
            raise KeyboardInterrupt
        return frame_batch(*args, **options)

    whole, stopped, resumed = make_players(1), make_players(1), make_players(2)
    history = run(whole, faces, frames, config, tmp_path / "whole.pt")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(algorithm1, "frame_batch", interrupted)
        run(stopped, faces, frames, config, tmp_path / "run.pt")
    assert loop.load_checkpoint(tmp_path / "run.pt")["step"] == 2
    assert run(resumed, faces, frames, config, tmp_path / "run.pt") == history
    for name in ("modifier", "classifier", "detector"):
        assert unchanged(getattr(resumed, name), snapshot(getattr(whole, name))), name


def test_nan_is_reported_with_step_and_losses(
    make_players: Maker, faces: FaceImages, frames: ActionFrames, config: TrainingConfig
):
    p = make_players()
    nn.init.constant_(p.classifier.embed.bias, float("nan"))
    with pytest.raises(NumericError, match="step 0: D modified, D clear, L_adv;"):
        run(p, faces, frames, config)


# An M that reads the state


def test_the_reader_and_the_people_of_m_stay_and_the_rest_learns(
    make_players: Maker, faces: FaceImages, frames: ActionFrames, config: TrainingConfig
):
    p = make_players()
    p.modifier = StateModifier(ModifierConfig(size=32, width=4, blocks=1, reads="state"))
    before = snapshot(p.modifier)
    large = replace(
        faces,
        images=faces.images.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., :32, :32],
        landmarks=2 * faces.landmarks,
    )
    train_adversarially(p, large, frames, replace(config, adversarial_steps=2), seed=0, progress=False)
    for name, value in p.modifier.state_dict().items():
        fixed = name == "people" or name.startswith("reader.")
        assert torch.equal(value, before[name]) == fixed or name.endswith("bias"), name
    assert all(x.grad is None for x in p.modifier.reader.parameters())

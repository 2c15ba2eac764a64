from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anonlib.anonymizers.conditions import Conditions
from anonlib.config import CiaganConfig, CiaganTraining
from anonlib.detection.mesh import MeshLandmarks
from anonlib.networks.ciagan import SIZE, CiaganGenerator, identity_network
from anonlib.networks.critic import PatchCritic
from anonlib.training import ciagan, loop
from anonlib.training.ciagan import CiaganPlayers, pretrain_identity, train_ciagan, warm_up
from anonlib.training.ciagan_data import CiaganFaces, draw_pairs, drawn_faces

CONFIG = CiaganTraining(adversarial_steps=3, pretrain_steps=41, pair_steps=31, batch=4, generator_updates=1)
LABELS = torch.arange(4).repeat_interleave(3)


def players(seed: int = 0) -> CiaganPlayers:
    torch.manual_seed(seed)
    generator = CiaganGenerator(CiaganConfig(people=4, width=4, blocks=1))
    critic = PatchCritic(width=4, inputs=6)
    return CiaganPlayers(generator, critic, identity_network(4, width=4))


@pytest.fixture(scope="module")
def faces() -> CiaganFaces:
    """Three pictures of each of four people, who have a colour each; the face is a square in the middle."""
    torch.manual_seed(1)
    colours = torch.rand(4, 3, 1, 1)[LABELS]
    masks = torch.zeros(12, 1, SIZE, SIZE)
    masks[:, :, 16:48, 16:48] = 1
    images = colours.expand(-1, -1, SIZE, SIZE) * 0.8 + 0.2 * torch.rand(12, 3, SIZE, SIZE)
    sources = Conditions(images=images, drawings=torch.ones(12, 3, SIZE, SIZE), masks=masks)
    others = (LABELS[:, None] + torch.tensor([1, 3])) % 4
    redrawn = (images[3 * others] * 255).to(torch.uint8)
    return CiaganFaces(sources=sources, labels=LABELS, redrawn=redrawn, others=others)


def test_half_of_the_pairs_are_of_one_person(faces: CiaganFaces):
    torch.manual_seed(0)
    pairs = draw_pairs(faces, 40)
    assert pairs.same[20:].all() and not pairs.same[:20].any()
    for target, person in zip(pairs.target, pairs.people, strict=True):
        rows = (faces.sources.images == target).flatten(1).all(1).nonzero().flatten()
        assert LABELS[rows].tolist() == [person]
    assert torch.equal(pairs.redrawn[20:], pairs.source.images[20:])
    assert torch.equal(pairs.hidden == pairs.people, pairs.same)
    shown = faces.sources.images[3 * pairs.people]  # the first picture of the person
    torch.testing.assert_close(pairs.redrawn[:20], shown[:20], atol=1 / 255, rtol=0)


def test_the_true_face_of_a_pair_is_in_the_place_of_the_source():
    faces = drawn_faces(700_000_000, 2, images=2, versions=2, seed=3, find=MeshLandmarks())
    assert faces.labels.tolist() == [0, 0, 1, 1] and faces.others.tolist() == [[1, 1], [1, 1], [0, 0], [0, 0]]
    pairs = draw_pairs(faces, 4)
    outside = (pairs.source.masks == 0).expand_as(pairs.redrawn)
    assert torch.equal(pairs.truth()[outside], pairs.source.images[outside])
    change = (pairs.redrawn - pairs.source.images).abs()[:2]
    assert change[..., 24:40, 24:40].mean() > 0.02 > change[..., :4, :4].mean()


def changed(network: torch.nn.Module, before: dict[str, Tensor]) -> bool:
    return any(not torch.equal(value, before[name]) for name, value in network.named_parameters())


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, classifier=True)])
def test_each_update_changes_one_network_alone(faces: CiaganFaces, config: CiaganTraining):
    them = players()
    networks = {"generator": them.generator, "critic": them.critic, "identity": them.identity}
    updates: dict[str, Any] = {
        "identity": lambda optimizer, pairs: ciagan.update_identity(them, optimizer, pairs, config),
        "critic": lambda optimizer, pairs: ciagan.update_critic(them, optimizer, pairs),
        "generator": lambda optimizer, pairs: ciagan.update_generator(them, optimizer, pairs, config),
    }
    for wanted, update in updates.items():
        before = {n: {k: v.detach().clone() for k, v in m.named_parameters()} for n, m in networks.items()}
        update(torch.optim.Adam(networks[wanted].parameters()), draw_pairs(faces, 4))
        assert {name for name, net in networks.items() if changed(net, before[name])} == {wanted}
        assert all(p.requires_grad for net in networks.values() for p in net.parameters())


@pytest.mark.parametrize("classifier", [False, True])
def test_the_parts_before_the_game_learn(faces: CiaganFaces, classifier: bool):
    them, config = players(), replace(CONFIG, classifier=classifier)
    history = pretrain_identity(them.identity, faces, config, seed=0, progress=False)
    assert history[-1]["E"] < 0.8 * history[0]["E"]
    history = warm_up(them.generator, faces, CONFIG, seed=0, progress=False)
    assert history[-1]["G pair"] < 0.8 * history[0]["G pair"]


def test_a_classifier_pulls_a_drawn_face_to_the_wanted_person_by_its_weights():
    network, features = identity_network(4, width=4), torch.zeros(2, 128)
    features[:, :4] = torch.tensor([[5.0, 0, 0, 0], [0, 0, 5, 0]])
    with torch.no_grad():
        network.identities.copy_(torch.eye(4, 128))
    loss = ciagan.naming_loss(network, features, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx(math.log(math.exp(5) + 3) - 2.5)  # one right, one named another
    assert ciagan.naming_loss(network, features, torch.tensor([0, 2])) < loss


def test_the_full_face_reaches_the_generator_in_training(faces: CiaganFaces):
    torch.manual_seed(0)
    shape = CiaganConfig(people=4, width=4, blocks=1)
    pairs = draw_pairs(faces, 4)
    hole = pairs.source.masks.expand(-1, 3, -1, -1) > 0
    pairs.source.images.requires_grad_(True)
    for face in (False, True):
        generator = CiaganGenerator(replace(shape, face=face))
        generator(pairs.source.seen(face=generator.config.face), pairs.people).sum().backward()
        assert pairs.source.images.grad is not None
        assert bool((pairs.source.images.grad[hole] != 0).any()) == face
    assert pairs.source.seen(face=True).shape == (4, 6, SIZE, SIZE)


def test_resuming_equals_an_uninterrupted_run_bit_for_bit(
    faces: CiaganFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "SAVE_EVERY", 2)
    whole, stopped, resumed = players(1), players(1), players(2)
    run: dict[str, Any] = {"seed": 3, "progress": False}
    history = train_ciagan(whole, faces, CONFIG, checkpoint=tmp_path / "whole.pt", **run)
    assert set(history[-1]) == {"step", "E", "C", "G realism", "G identity", "G pair"}
    calls, real = [0], ciagan.update_critic

    def stop(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(ciagan, "update_critic", stop)
    with pytest.raises(KeyboardInterrupt):
        train_ciagan(stopped, faces, CONFIG, checkpoint=tmp_path / "run.pt", **run)
    assert train_ciagan(resumed, faces, CONFIG, checkpoint=tmp_path / "run.pt", **run) == history
    for name in ("generator", "critic", "identity"):
        found, wanted = (getattr(them, name).state_dict() for them in (resumed, whole))
        assert all(torch.equal(found[key], value) for key, value in wanted.items()), name

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anonlib.anonymizers.conditions import Conditions
from anonlib.config import CiaganConfig, CiaganTraining
from anonlib.networks.ciagan import SIZE, CiaganGenerator, identity_network
from anonlib.networks.critic import PatchCritic
from anonlib.training import ciagan, loop
from anonlib.training.ciagan import CiaganPlayers, draw_pairs, pretrain_identity, train_ciagan

CONFIG = CiaganTraining(adversarial_steps=3, pretrain_steps=41, batch=4, generator_updates=1)
LABELS = torch.arange(4).repeat_interleave(3)


def players(seed: int = 0) -> CiaganPlayers:
    torch.manual_seed(seed)
    generator = CiaganGenerator(CiaganConfig(people=4, width=4, blocks=1))
    critic = PatchCritic(width=4, inputs=6)
    return CiaganPlayers(generator, critic, identity_network(4, width=4))


@pytest.fixture(scope="module")
def faces() -> Conditions:
    """Twelve pictures of four people, each of a colour of its own; the face is a square in the middle."""
    torch.manual_seed(1)
    colours = torch.rand(4, 3, 1, 1)[LABELS]
    masks = torch.zeros(12, 1, SIZE, SIZE)
    masks[:, :, 16:48, 16:48] = 1
    images = colours.expand(-1, -1, SIZE, SIZE) * 0.8 + 0.2 * torch.rand(12, 3, SIZE, SIZE)
    return Conditions(images=images, drawings=torch.ones(12, 3, SIZE, SIZE), masks=masks)


def test_half_of_the_pairs_are_of_one_person(faces: Conditions):
    torch.manual_seed(0)
    pairs = draw_pairs(faces, LABELS, 40)
    assert pairs.same[20:].all() and 1 <= pairs.same[:20].sum() < 15
    for target, person in zip(pairs.target, pairs.people, strict=True):
        rows = (faces.images == target).flatten(1).all(1).nonzero().flatten()
        assert LABELS[rows].tolist() == [person]


def changed(network: torch.nn.Module, before: dict[str, Tensor]) -> bool:
    return any(not torch.equal(value, before[name]) for name, value in network.named_parameters())


def test_each_update_changes_one_network_alone(faces: Conditions):
    them = players()
    networks = {"generator": them.generator, "critic": them.critic, "identity": them.identity}
    updates: dict[str, Any] = {
        "identity": lambda optimizer, pairs: ciagan.update_identity(them, optimizer, pairs, 3.0),
        "critic": lambda optimizer, pairs: ciagan.update_critic(them, optimizer, pairs),
        "generator": lambda optimizer, pairs: ciagan.update_generator(them, optimizer, pairs, 0.5),
    }
    for wanted, update in updates.items():
        before = {n: {k: v.detach().clone() for k, v in m.named_parameters()} for n, m in networks.items()}
        update(torch.optim.Adam(networks[wanted].parameters()), draw_pairs(faces, LABELS, 4))
        assert {name for name, net in networks.items() if changed(net, before[name])} == {wanted}
        assert all(p.requires_grad for net in networks.values() for p in net.parameters())


def test_proxy_nca_tells_the_people_apart(faces: Conditions):
    network = players().identity
    history = pretrain_identity(network, faces, LABELS, CONFIG, seed=0, progress=False)
    assert history[-1]["E"] < 0.8 * history[0]["E"]


def test_resuming_equals_an_uninterrupted_run_bit_for_bit(
    faces: Conditions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "SAVE_EVERY", 2)
    whole, stopped, resumed = players(1), players(1), players(2)
    run: dict[str, Any] = {"seed": 3, "progress": False}
    history = train_ciagan(whole, faces, LABELS, CONFIG, checkpoint=tmp_path / "whole.pt", **run)
    assert set(history[-1]) == {"step", "E", "C", "G realism", "G identity"}
    calls, real = [0], ciagan.update_critic

    def stop(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(ciagan, "update_critic", stop)
    with pytest.raises(KeyboardInterrupt):
        train_ciagan(stopped, faces, LABELS, CONFIG, checkpoint=tmp_path / "run.pt", **run)
    assert train_ciagan(resumed, faces, LABELS, CONFIG, checkpoint=tmp_path / "run.pt", **run) == history
    for name in ("generator", "critic", "identity"):
        found, wanted = (getattr(them, name).state_dict() for them in (resumed, whole))
        assert all(torch.equal(found[key], value) for key, value in wanted.items()), name

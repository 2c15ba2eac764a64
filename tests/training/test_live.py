from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anonlib.anonymizers.aligned import TEMPLATE
from anonlib.config import LIVE_STRENGTHS, LiveConfig, LiveTraining
from anonlib.networks.critic import PatchCritic
from anonlib.networks.live import SIZE, LiveNetwork, face_network
from anonlib.training import live, loop
from anonlib.training.live import LivePlayers, draw_batch, mix, train_live
from anonlib.training.live_data import aligned_crops, distorted
from anonlib.world.faces import synthetic_faces

CONFIG = LiveTraining(train_steps=3, warm_steps=1, ramp_steps=1, batch=4)


def players(seed: int = 0) -> LivePlayers:
    torch.manual_seed(seed)
    network = LiveNetwork(LiveConfig(width=4, bottleneck=16, features=8))
    torch.manual_seed(9)
    judges = [face_network(4, width=4, features=8), face_network(4, width=4, features=8, size=64)]
    return LivePlayers(
        network=network, critic=PatchCritic(width=4), judges=[judge.eval() for judge in judges]
    )


@pytest.fixture(scope="module")
def crops() -> Tensor:
    faces = synthetic_faces(range(800_000_000, 800_000_004), images=3, size=64, seed=3)
    return aligned_crops(faces)


def test_crops_are_aligned_and_distortions_move_them(crops: Tensor):
    assert crops.shape == (12, 3, SIZE, SIZE) and crops.dtype == torch.uint8
    torch.manual_seed(0)
    grid = torch.stack(torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="xy"))
    moved = distorted(grid.expand(50, -1, -1, -1))
    shift = (moved - grid)[:, :, 16:48, 16:48]
    assert 1 < shift.abs().mean() < 4 and shift.abs().max() < 14
    assert shift.mean((0, 2, 3)).abs().max() < 0.6  # no direction is preferred
    assert torch.equal(distorted(torch.ones(2, 3, 8, 8)), torch.ones(2, 3, 8, 8))


def test_a_batch_has_the_undistorted_faces_as_targets(crops: Tensor):
    them = players()
    torch.manual_seed(0)
    batch = draw_batch(them, crops, 40)
    assert set(batch.strengths.tolist()) == set(LIVE_STRENGTHS)
    assert (batch.inputs - batch.faces).abs().mean() > 0.01
    wanted = live.seen(them.judges[0], batch.faces, jitter=0.0)[-1]
    torch.testing.assert_close(batch.targets, wanted)
    assert TEMPLATE.shape == (5, 2)


def test_mixtures_hold_the_named_share_of_the_face():
    mixture, shares = mix(torch.ones(5, 3, 4, 4), torch.zeros(5, 3, 4, 4))
    torch.testing.assert_close(mixture.mean((1, 2, 3)), shares)


def changed(network: torch.nn.Module, before: dict[str, Tensor]) -> bool:
    return any(not torch.equal(value, before[name]) for name, value in network.named_parameters())


def test_each_update_changes_one_network_alone(crops: Tensor):
    them = players()
    networks = {"network": them.network, "critic": them.critic, "0": them.judges[0], "1": them.judges[1]}
    updates: dict[str, Any] = {
        "critic": lambda optimizer, batch: live.update_critic(them, optimizer, batch),
        "network": lambda optimizer, batch: live.update_network(them, optimizer, batch, CONFIG, repel=0.5),
    }
    for wanted, update in updates.items():
        before = {n: {k: v.detach().clone() for k, v in m.named_parameters()} for n, m in networks.items()}
        update(torch.optim.Adam(networks[wanted].parameters()), draw_batch(them, crops, 4))
        assert {name for name, net in networks.items() if changed(net, before[name])} == {wanted}


def test_the_network_learns_to_draw_the_faces(crops: Tensor):
    config = LiveTraining(train_steps=31, warm_steps=31, ramp_steps=1, batch=4, lr=3e-3)
    history = train_live(players(), crops, config, seed=0, progress=False)
    assert history[-1]["Z pixels"] < 0.8 * history[0]["Z pixels"]


def test_resuming_equals_an_uninterrupted_run_bit_for_bit(
    crops: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "SAVE_EVERY", 2)
    whole, stopped, resumed = players(1), players(1), players(2)
    run: dict[str, Any] = {"seed": 3, "progress": False}
    history = train_live(whole, crops, CONFIG, checkpoint=tmp_path / "whole.pt", **run)
    assert set(history[-1]) == {"step", "C", "Z pixels", "Z near", "Z far", "Z real", "mask"}
    calls, real = [0], live.update_critic

    def stop(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(live, "update_critic", stop)
    with pytest.raises(KeyboardInterrupt):
        train_live(stopped, crops, CONFIG, checkpoint=tmp_path / "run.pt", **run)
    assert train_live(resumed, crops, CONFIG, checkpoint=tmp_path / "run.pt", **run) == history
    for found, wanted in ((resumed.network, whole.network), (resumed.critic, whole.critic)):
        assert all(torch.equal(found.state_dict()[key], value) for key, value in wanted.state_dict().items())

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from anonlib.errors import CheckpointError, NumericError
from anonlib.training import loop, train_adversarially
from anonlib.training.loop import (
    BestState,
    History,
    Losses,
    TrainingState,
    check_finite,
    learning_rate_factor,
    training_steps,
)


class Toy:
    """A point that walks towards random goals; remembers each step's learning rate."""

    def __init__(self, *, start: float = 0.0, lr: float = 0.1) -> None:
        self.module = nn.Linear(1, 1)
        for parameter in self.module.parameters():
            nn.init.constant_(parameter, start)
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=lr)
        self.state = TrainingState(modules={"toy": self.module}, optimizers={"adam": self.optimizer})
        self.rates: list[float] = []
        self.stop_at: int | None = None
        self.value: float | None = None

    def update(self, step: int) -> Losses:
        if step == self.stop_at:
            raise KeyboardInterrupt
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        loss = (self.module(torch.ones(1, 1)) - torch.rand(1)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach() if self.value is None else torch.tensor(self.value)}

    def run(self, steps: int, checkpoint: Path | None = None, **options: Any) -> History:
        settings = {"name": "toy", "seed": 5, "lr_drop": 7 / 12, "progress": False, **options}
        for step, losses in training_steps(self.state, steps=steps, checkpoint=checkpoint, **settings):
            losses |= self.update(step)
        return self.state.history


def test_the_learning_rate_falls_to_a_tenth_after_7_of_12():
    toy = Toy(lr=0.1)
    toy.run(12)
    assert toy.rates == pytest.approx([0.1] * 7 + [0.01] * 5)
    assert [learning_rate_factor(s, 24, 7 / 12) for s in (0, 13, 14, 23)] == [1, 1, 0.1, 0.1]
    assert learning_rate_factor(99, 100, 1.0) == 1


def test_losses_are_kept_every_ten_steps_and_at_the_end():
    history = Toy().run(23)
    assert [row["step"] for row in history] == [0, 10, 20, 22]
    assert all(math.isfinite(row["loss"]) for row in history)


def test_random_numbers_of_a_step_follow_from_seed_and_step():
    toy, other = Toy(), Toy()
    torch.manual_seed(123)
    first = toy.run(3)
    torch.manual_seed(456)
    assert other.run(3) == first


@pytest.mark.parametrize("stop_at", [4, 5, 9, 11])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
):
    monkeypatch.setattr(loop, "SAVE_EVERY", 4)
    whole = Toy()
    whole_history = whole.run(12, tmp_path / "whole.pt")

    stopped = Toy()
    stopped.stop_at = stop_at
    with pytest.raises(KeyboardInterrupt):
        stopped.run(12, tmp_path / "run.pt")
    resumed = Toy(start=3.0)  # everything must come from the file
    history = resumed.run(12, tmp_path / "run.pt")

    saved = stop_at // 4 * 4
    assert resumed.rates == whole.rates[saved:]  # the drop is not applied twice
    assert history == whole_history
    for a, b in zip(resumed.module.parameters(), whole.module.parameters(), strict=True):
        assert torch.equal(a, b)


def test_every_row_is_reported_while_training_runs():
    toy, seen = Toy(), []
    history = toy.run(23, report=lambda row: seen.append((row, len(toy.rates))))
    assert [row for row, _ in seen] == history
    assert [updates for _, updates in seen] == [1, 11, 21, 23]  # at once, not at the end


def test_a_resumed_run_reports_the_rows_of_its_checkpoint_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "SAVE_EVERY", 4)
    stopped, resumed = Toy(), Toy()
    stopped.stop_at = 15
    with pytest.raises(KeyboardInterrupt):
        stopped.run(23, tmp_path / "run.pt")
    seen: list[float] = []
    resumed.run(23, tmp_path / "run.pt", report=lambda row: seen.append(row["step"]))
    assert seen == [0, 10, 20, 22]
    assert len(resumed.rates) == 23 - 12


def test_a_finished_run_is_not_run_again(tmp_path: Path):
    first = Toy()
    history = first.run(5, tmp_path / "run.pt")
    again = Toy(start=2.0)
    assert again.run(5, tmp_path / "run.pt") == history
    assert again.rates == []
    assert torch.equal(again.module.weight, first.module.weight)


def test_without_a_checkpoint_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Toy().run(5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_the_run(value: float):
    toy = Toy()
    toy.value = value
    with pytest.raises(NumericError, match=r"loss not finite at step 0: loss; lower the learning"):
        toy.run(5)


def test_only_the_losses_at_fault_are_named_with_their_step():
    check_finite({"a": 1.0, "b": -3.0}, step=1)
    with pytest.raises(NumericError, match=r"at step 40: b, c;"):
        check_finite({"a": 1.0, "b": math.nan, "c": math.inf}, step=40)


def test_a_diverged_run_leaves_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop, "SAVE_EVERY", 4)
    path = tmp_path / "run.pt"

    class Diverging(Toy):
        def update(self, step: int) -> Losses:
            self.value = math.nan if step >= 6 else None  # between two logged steps
            return super().update(step)

    with pytest.raises(NumericError):
        Diverging().run(12, path)
    assert loop.load_checkpoint(path)["step"] == 4


def test_a_checkpoint_of_other_networks_is_refused(tmp_path: Path):
    class Wider(Toy):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(2, 2)
            self.state = TrainingState(modules={"toy": self.module}, optimizers={"adam": self.optimizer})

    path = tmp_path / "run.pt"
    Toy().run(4, path)
    with pytest.raises(CheckpointError, match="of another profile"):
        Wider().run(8, path)


# The best state


def test_the_lowest_score_is_kept_and_restored():
    layer = nn.Linear(1, 1)
    best = BestState({"layer": layer})
    for value, score in ((1.0, 0.8), (2.0, 0.3), (3.0, 0.5), (4.0, math.nan), (5.0, 0.3)):
        nn.init.constant_(layer.weight, value)
        best.offer(score)
    best.restore()
    assert layer.weight.item() == 2.0
    assert best.score == 0.3


def test_nothing_is_restored_without_an_offer():
    layer = nn.Linear(1, 1)
    before = layer.weight.item()
    BestState({"layer": layer}).restore()
    assert layer.weight.item() == before


def test_a_saved_choice_goes_on():
    layer = nn.Linear(1, 1)
    best = BestState({"layer": layer})
    best.offer(0.4)
    later = BestState({"layer": layer})
    later.load_state_dict(best.state_dict())
    assert not later.offer(0.5)
    assert later.offer(0.3)


def test_a_training_ends_in_the_state_with_the_lowest_validation_score(make_players, faces, frames, config):
    players, seen = make_players(), []
    scores = iter([0.7, 0.2, 0.9])

    def validate() -> float:
        seen.append({k: v.clone() for k, v in players.modifier.state_dict().items()})
        return next(scores)

    config = replace(config, judge_every=2)
    train_adversarially(players, faces, frames, config, seed=0, validate=validate, progress=False)
    assert len(seen) == 3
    torch.testing.assert_close(players.modifier.state_dict(), seen[1], rtol=0, atol=0)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(seen[1], seen[2], rtol=0, atol=0)


def test_without_a_validation_score_the_last_state_is_kept(make_players, faces, frames, config):
    ends = []
    for validate in (None, lambda: math.nan):
        players = make_players()
        settings = replace(config, judge_every=2)
        train_adversarially(players, faces, frames, settings, seed=0, validate=validate, progress=False)
        ends.append(players.modifier.state_dict())
    torch.testing.assert_close(ends[0], ends[1], rtol=0, atol=0)

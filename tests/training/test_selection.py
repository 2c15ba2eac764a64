"""The state of the game that is kept is the one the judge liked best."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from anonlib.training import train_adversarially
from anonlib.training.loop import BestState


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


def test_the_game_ends_in_the_state_the_judge_liked_best(make_players, faces, frames, config):
    players, seen = make_players(), []
    scores = iter([0.7, 0.2, 0.9])

    def judge() -> float:
        seen.append({k: v.clone() for k, v in players.modifier.state_dict().items()})
        return next(scores)

    config = replace(config, judge_every=2)
    train_adversarially(players, faces, frames, config, seed=0, judge=judge, progress=False)
    assert len(seen) == 3
    torch.testing.assert_close(players.modifier.state_dict(), seen[1], rtol=0, atol=0)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(seen[1], seen[2], rtol=0, atol=0)


def test_without_a_judge_the_last_state_is_kept(make_players, faces, frames, config):
    ends = []
    for judge in (None, lambda: math.nan):
        players = make_players()
        settings = replace(config, judge_every=2)
        train_adversarially(players, faces, frames, settings, seed=0, judge=judge, progress=False)
        ends.append(players.modifier.state_dict())
    torch.testing.assert_close(ends[0], ends[1], rtol=0, atol=0)

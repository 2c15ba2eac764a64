"""A training step of the reader passes if it leaves every network as the library's does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from anonlib.study import Scene, same_update
from anonlib.training import update_classifier


def given(s: Scene) -> tuple[Any, ...]:
    return s.players, s.optimizers["D"], s.faces, s.rules


def library(players: Any, optimizer: Any, faces: Any, rules: Any) -> None:
    update_classifier(players, optimizer, faces, rules, anneal=5.0)


def test_the_same_step_passes() -> None:
    assert same_update(library, given)(library) == "M, D and A are as after the library's step"


def test_another_weight_of_a_loss_is_found() -> None:
    def unweighted(players: Any, optimizer: Any, faces: Any, rules: Any) -> None:
        update_classifier(players, optimizer, faces, replace(rules, clear_weight=1.0), anneal=5.0)

    with pytest.raises(AssertionError, match=r"a weight of D is .* away"):
        same_update(library, given)(unweighted)


def test_a_network_that_must_stay_is_named() -> None:
    def moves_m(players: Any, optimizer: Any, faces: Any, rules: Any) -> None:
        library(players, optimizer, faces, rules)
        players.modifier.encoder[0][1].bias.data += 0.01

    with pytest.raises(AssertionError, match="M changed, but must stay as it is"):
        same_update(library, given)(moves_m)


def test_a_step_that_does_nothing_is_found() -> None:
    with pytest.raises(AssertionError, match="a weight of D"):
        same_update(library, given)(lambda *_: None)

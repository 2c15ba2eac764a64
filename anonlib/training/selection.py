"""Which state of a game to keep: the two players circle each other and do not converge."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from torch import nn


class BestState:
    """The state of some networks when a score was lowest.

    >>> layer = nn.Linear(1, 1)
    >>> best = BestState({"layer": layer})
    >>> best.offer(0.5), best.offer(0.7), best.offer(float("nan"))
    (True, False, False)
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self.modules = modules
        self.score = math.inf
        self.states: dict[str, Any] = {}

    def offer(self, score: float) -> bool:
        """Remembers the networks as they are if the score is the lowest so far."""
        if not score < self.score:
            return False
        self.score = score
        self.states = {name: copy.deepcopy(m.state_dict()) for name, m in self.modules.items()}
        return True

    def restore(self) -> None:
        """Puts the networks back to where the score was lowest; does nothing without an offer."""
        for name, state in self.states.items():
            self.modules[name].load_state_dict(state)

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"score": self.score, "states": self.states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up where `state_dict` was called."""
        self.score, self.states = state["score"], state["states"]

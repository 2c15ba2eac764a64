"""A training step of the reader beside the library's: from the same small networks, the weights compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from anonlib.config import ModifierConfig, TrainingConfig, profile
from anonlib.networks import ActionDetector, Modifier, SphereFace
from anonlib.study.exercises import Function
from anonlib.training import FaceBatch, FrameBatch, Players

LANDMARKS = ((20.0, 26.0), (44.0, 26.0), (32.0, 38.0), (24.0, 48.0), (40.0, 48.0))
PEOPLE = 6
TOLERANCE = 1e-4
"""How far a weight may be from the library's after one step of plain gradient descent."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Small networks with random weights and a batch of each kind, for one step."""

    players: Players
    optimizers: dict[str, torch.optim.Optimizer]
    """Plain gradient descent on the weights of `M`, `D` and `A`."""
    faces: FaceBatch
    frames: FrameBatch
    rules: TrainingConfig

    def weights(self) -> dict[str, Tensor]:
        """All weights of each network in one vector."""
        networks = (self.players.modifier, self.players.classifier, self.players.detector)
        flat = (torch.cat([p.detach().flatten() for p in network.parameters()]) for network in networks)
        return dict(zip("MDA", flat, strict=True))


def scene(seed: int) -> Scene:
    """The scene of a seed, always the same."""
    torch.manual_seed(seed)
    small = profile("smoke")
    players = Players(
        Modifier(ModifierConfig(size=64, width=4, blocks=1)),
        SphereFace(small.classifier, people=PEOPLE),
        ActionDetector(small.detector),
    )
    networks = zip("MDA", (players.modifier, players.classifier, players.detector), strict=True)
    faces = FaceBatch(torch.rand(4, 3, 64, 64), torch.arange(4), torch.tensor([LANDMARKS]).repeat(4, 1, 1))
    box, region = torch.tensor([[40.0, 30.0, 120.0, 140.0]]), torch.tensor([[60.0, 30.0, 100.0, 70.0]])
    frames = FrameBatch(
        torch.rand(2, 3, *small.detector.frame),
        [box, box + 5],
        [torch.tensor([n]) for n in (0, 3)],
        [region] * 2,
    )
    return Scene(
        players,
        {name: torch.optim.SGD(network.parameters(), lr=0.1) for name, network in networks},
        faces,
        frames,
        replace(small.training, l1_weight=4.0, adversarial_ceiling=40.0),
    )


def same_update(
    library: Function, arguments: Callable[[Scene], tuple[Any, ...]]
) -> Callable[[Function], str]:
    """A check for `choose`: one step of the reader leaves M, D and A as one of the library's does.

    Args:
        library: the step of the library.
        arguments: those of both functions, from a scene.
    """

    def after(step: Function) -> dict[str, Tensor]:
        now = scene(0)
        torch.manual_seed(1)
        step(*arguments(now))
        return now.weights()

    def check(mine: Function) -> str:
        before, wanted, got = scene(0).weights(), after(library), after(mine)
        for name in wanted:
            still = torch.equal(before[name], wanted[name])
            gap = float((got[name] - wanted[name]).abs().max())
            assert not (still and gap), f"{name} changed, but must stay as it is"
            assert gap <= TOLERANCE, f"a weight of {name} is {gap:.2g} away from the library's"
        return "M, D and A are as after the library's step"

    return check

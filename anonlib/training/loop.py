"""The frame around every training loop: progress, learning rate, log, checkpoint, resume."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from anonlib.errors import CheckpointError, NumericError
from anonlib.training.checkpoints import check_request, load_checkpoint, save_checkpoint
from anonlib.training.processes import ALONE, Team, joined

LOG_EVERY = 10
SAVE_EVERY = 100

Losses = dict[str, Tensor]
History = list[dict[str, float]]
Report = Callable[[Mapping[str, float]], None]
"""Receives each row of the history, `step` and the losses, as soon as it is there."""


@dataclass(kw_only=True)
class Trainee:
    """What a loop trains and what a checkpoint of it must hold."""

    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, Optimizer]
    best: BestState | None = None
    """The best state so far, where the loop keeps one."""
    step: int = 0
    history: History = field(default_factory=list)

    def _parts(self) -> dict[str, nn.Module | Optimizer | BestState]:
        best = {} if self.best is None else {"best": self.best}
        return {**self.modules, **self.optimizers, **best}

    def state_dict(self) -> dict[str, Any]:
        """All that is trained, and the step, which is the position of the sampler too."""
        parts = self._parts()
        return {
            "step": self.step,
            "history": self.history,
            "parts": {name: part.state_dict() for name, part in parts.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up where `state_dict` was called."""
        for name, part in self._parts().items():
            part.load_state_dict(state["parts"][name])
        self.step, self.history = state["step"], state["history"]


def learning_rate_factor(step: int, steps: int, drop: float) -> float:
    """1, and a tenth after the fraction `drop` of the steps (section 4, Training Details).

    >>> learning_rate_factor(6, 12, 7 / 12), learning_rate_factor(7, 12, 7 / 12)
    (1.0, 0.1)
    """
    return 1.0 if step < drop * steps else 0.1


def check_finite(losses: Mapping[str, float], *, step: int) -> None:
    """Raises NumericError with the step and the names of the losses that are not finite."""
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    if bad:
        raise NumericError(
            f"loss not finite at step {step}: {', '.join(bad)}; lower the learning rate or resume "
            "from the checkpoint before"
        )


def random_state() -> dict[str, Any]:
    """The state of PyTorch's generators."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}


def resume(trainee: Trainee, checkpoint: Path, request: Mapping[str, Any]) -> None:
    """Takes up where the checkpoint was saved.

    Raises:
        CheckpointError: the checkpoint is damaged, or of another profile or request.
    """
    state = load_checkpoint(checkpoint)
    check_request(checkpoint, state.get("request", {}), request)
    try:
        trainee.load_state_dict(state)
        if "random" in state:
            torch.set_rng_state(state["random"]["cpu"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"checkpoint {checkpoint} is of another profile; delete it or choose another --out"
        ) from error


def check_together(trainee: Trainee, team: Team) -> None:
    """Raises CheckpointError if the processes of a team begin at different steps."""
    device = next(p.device for m in trainee.modules.values() for p in m.parameters())
    steps = [int(s) for s in team.gather(torch.tensor([trainee.step], device=device))]
    if len(set(steps)) > 1:
        raise CheckpointError(
            f"the processes would go on at different steps, {steps}; give an --out that all machines see"
        )


def run_steps(
    trainee: Trainee,
    update: Callable[[int], Losses],
    *,
    name: str,
    steps: int,
    seed: int,
    lr_drop: float,
    checkpoint: Path | None = None,
    progress: bool = True,
    report: Report | None = None,
    team: Team = ALONE,
    precision: str = "float32",
    settings: Mapping[str, Any] | None = None,
) -> History:
    """Calls `update(step)` until `steps` are done, resuming from the checkpoint if there is one.

    The random numbers of a step depend on the seed and the step, so the resumed run equals the
    uninterrupted one, bit for bit on a CPU.

    Args:
        trainee: modules and optimizers that `update` trains.
        update: one training step; returns named, detached losses.
        name: label of the progress bar.
        steps: steps in all.
        seed: of the random numbers inside a step.
        lr_drop: fraction of the steps after which the learning rates fall to a tenth.
        checkpoint: file to save to every 100 steps and at the end; None for no checkpoint.
        progress: whether to show the bar.
        report: called with every row of losses as it is logged, first with those that the
            checkpoint holds; None for nobody who watches.
        team: the processes that run this loop together. The first writes the checkpoint and
            reports; all read it, so its folder must be one that every machine sees.
        precision: of the networks' layers, `float32` or `bfloat16`; the rest is float32.
        settings: kept in the checkpoint; a run with others is refused. The numbers of steps may
            change, so that a run can be made longer.

    Returns:
        One row of losses every ten steps, and at the last step: means over the processes.

    Raises:
        NumericError: a loss became NaN or infinite.
        CheckpointError: the checkpoint is damaged, of another profile or request, or not seen by
            every process.
    """
    fixed = {k: v for k, v in (settings or {}).items() if not k.endswith("_steps")}
    request = {"seed": seed, "processes": team.size, "precision": precision, **fixed}
    if checkpoint is not None and checkpoint.exists():
        resume(trainee, checkpoint, request)
    check_together(trainee, team)
    if not team.first:
        report, progress = None, False
    if report is not None:
        for row in trainee.history:
            report(row)
    rates = {
        o: o.param_groups[0].setdefault("initial_lr", o.param_groups[0]["lr"])
        for o in trainee.optimizers.values()
    }
    bar = tqdm(total=steps, initial=trainee.step, desc=name, disable=not progress, leave=False)
    with bar, joined(trainee.modules.values(), team, precision=precision):
        while trainee.step < steps:
            step = trainee.step
            torch.manual_seed(seed * 1_000_003 + step)
            for optimizer, rate in rates.items():
                factor = learning_rate_factor(step, steps, lr_drop)
                optimizer.param_groups[0]["lr"] = rate * factor
            losses = update(step)
            trainee.step += 1
            bar.update()
            last = trainee.step == steps
            due = checkpoint is not None and (last or trainee.step % SAVE_EVERY == 0)
            if step % LOG_EVERY == 0 or last or due:  # what diverged is never saved
                row = team.mean(losses)
                check_finite(row, step=step)
            if step % LOG_EVERY == 0 or last:
                trainee.history.append({"step": step, **row})
                bar.set_postfix({key: f"{value:.2f}" for key, value in row.items()})
                if report is not None:
                    report(trainee.history[-1])
            if checkpoint is not None and due and team.first:
                state = {"request": request, "random": random_state()}
                save_checkpoint(checkpoint, trainee.state_dict() | state)
    return trainee.history


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

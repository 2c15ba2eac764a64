"""What every training loop needs: seeds, learning rate, log, checkpoints, and the best state so far.

We keep the checkpoint with the lowest validation score. A run that was stopped goes on from its last
checkpoint and ends with the same weights as an uninterrupted run.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from anonlib.errors import CheckpointError, NumericError
from anonlib.files import first_process
from anonlib.training.checkpoints import check_request, load_checkpoint, save_checkpoint
from anonlib.training.processes import gather, mean_losses, synchronize, world_size

LOG_EVERY = 10
SAVE_EVERY = 100

Losses = dict[str, Tensor]
History = list[dict[str, float]]
Report = Callable[[Mapping[str, float]], None]
"""Is called with each row of the history, `step` and the losses, when the row is logged."""


class BestState:
    """The state of some networks at their lowest validation score.

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
        """Copies the networks as they are now if the score is the lowest so far."""
        if not score < self.score:
            return False
        self.score = score
        self.states = {name: copy.deepcopy(m.state_dict()) for name, m in self.modules.items()}
        return True

    def restore(self) -> None:
        """Puts the networks back into the best state; without any offer they stay as they are."""
        for name, state in self.states.items():
            self.modules[name].load_state_dict(state)

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"score": self.score, "states": self.states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self.score, self.states = state["score"], state["states"]


@dataclass(kw_only=True)
class TrainingState:
    """What a training changes, and so what a checkpoint of it must hold."""

    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, Optimizer]
    best: BestState | None = None
    """The best state so far, in a training that has a validation score."""
    step: int = 0
    """Steps that are done; the batches depend on it too."""
    history: History = field(default_factory=list)
    """One row of losses every ten steps."""

    def _parts(self) -> dict[str, nn.Module | Optimizer | BestState]:
        best = {} if self.best is None else {"best": self.best}
        return {**self.modules, **self.optimizers, **best}

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return {
            "step": self.step,
            "history": self.history,
            "parts": {name: part.state_dict() for name, part in self._parts().items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        for name, part in self._parts().items():
            part.load_state_dict(state["parts"][name])
        self.step, self.history = state["step"], state["history"]


def training_steps(
    state: TrainingState,
    *,
    name: str,
    steps: int,
    seed: int,
    lr_drop: float,
    checkpoint: Path | None = None,
    progress: bool = True,
    report: Report | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[tuple[int, Losses]]:
    """The steps of a training that are still to be done, each with a dictionary for its losses.

    The body of the loop is one update. It puts the losses into the dictionary, as detached scalars:

        for step, losses in training_steps(state, ...):
            losses |= update(step)

    The random numbers of a step depend on the seed and the step alone, so that a resumed run equals an
    uninterrupted one, bit for bit on a CPU.

    Args:
        state: what the loop trains; `state.history` gets a row every ten steps and at the last step, with
            losses averaged over processes.
        name: label of the progress bar.
        steps: steps in all.
        seed: of the random numbers inside a step.
        lr_drop: fraction of the steps after which the learning rates fall to a tenth.
        checkpoint: file to resume from, and to save to every 100 steps and at the end. All processes read it,
            the first one writes it.
        progress: whether to show a progress bar.
        report: called in the first process with each row of the history, those of the checkpoint first.
        settings: stored in the checkpoint. A run with other settings is refused; only numbers of steps may
            change, so that a run can be made longer.

    Yields:
        The number of the step, from 0, and an empty dictionary.

    Raises:
        NumericError: a loss became NaN or infinite.
        CheckpointError: the checkpoint is damaged, of another run, or not seen by all processes.
    """
    fixed = {k: v for k, v in (settings or {}).items() if not k.endswith("_steps")}
    request = {"seed": seed, "processes": world_size(), **fixed}
    if checkpoint is not None and checkpoint.exists():
        resume(state, checkpoint, request)
    check_same_step(state.step)
    synchronize(state.modules.values())
    rates = [
        (group, group.setdefault("initial_lr", group["lr"]))
        for optimizer in state.optimizers.values()
        for group in optimizer.param_groups
    ]
    if not first_process():
        report, progress = None, False
    if report is not None:
        for row in state.history:
            report(row)
    with tqdm(total=steps, initial=state.step, desc=name, disable=not progress, leave=False) as bar:
        while state.step < steps:
            step = state.step
            torch.manual_seed(seed * 1_000_003 + step)
            for group, rate in rates:
                group["lr"] = rate * learning_rate_factor(step, steps, lr_drop)
            losses: Losses = {}
            yield step, losses
            state.step += 1
            bar.update()
            last = state.step == steps
            log = last or step % LOG_EVERY == 0
            save = checkpoint is not None and (last or state.step % SAVE_EVERY == 0)
            if log or save:
                row = mean_losses(losses)
                check_finite(row, step=step)  # before saving: a checkpoint never holds a diverged state
            if log:
                state.history.append({"step": step, **row})
                bar.set_postfix({key: f"{value:.2f}" for key, value in row.items()})
                if report is not None:
                    report(state.history[-1])
            if checkpoint is not None and save:
                content = {"request": request, "random": {"cpu": torch.get_rng_state()}}
                save_checkpoint(checkpoint, state.state_dict() | content)
    synchronize(state.modules.values())


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
            f"loss not finite at step {step}: {', '.join(bad)}; lower the learning rate, or resume from the "
            "last checkpoint"
        )


def check_same_step(step: int) -> None:
    """Raises CheckpointError if processes would start from different steps."""
    steps = gather(step)
    if len(set(steps)) > 1:
        raise CheckpointError(
            f"the processes would start from different steps, {steps}: choose an --out that all machines see"
        )


def resume(state: TrainingState, checkpoint: Path, request: Mapping[str, Any]) -> None:
    """Loads a checkpoint into the state.

    Raises:
        CheckpointError: the checkpoint is damaged, or of another profile or request.
    """
    content = load_checkpoint(checkpoint)
    check_request(checkpoint, content.get("request", {}), request)
    try:
        state.load_state_dict(content)
        if "random" in content:
            torch.set_rng_state(content["random"]["cpu"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"checkpoint {checkpoint} is of another profile: delete it or choose another --out"
        ) from error

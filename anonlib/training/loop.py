"""What every training loop needs: seeds, learning rate, log, checkpoints, and the best state so far."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from anonlib.config import CiaganTraining, FitTraining, LiveTraining, TrainingConfig, to_dict
from anonlib.errors import CheckpointError, NumericError
from anonlib.files import first_process
from anonlib.training.checkpoints import check_request, load_checkpoint, save_checkpoint
from anonlib.training.processes import gather, mean_losses, synchronize, world_size

LOG_EVERY = 10
SAVE_EVERY = 100

Losses = dict[str, Tensor]
History = list[dict[str, float]]
Report = Callable[[Mapping[str, float]], None]


class RunOptions(TypedDict, total=False):
    """Keyword arguments of every training."""

    checkpoint: Path | None
    """File to resume from, and to save to every 100 steps and at the end. All processes read it, the first
    one writes it. A resumed training equals an uninterrupted one, bit for bit on a CPU."""
    progress: bool
    """Whether to show a progress bar; by default it is shown."""
    report: Report | None
    """Called in the first process with each row of losses as it is logged, those of the checkpoint first."""


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
        """The score and the best state, for checkpoints."""
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
    """Steps that are done."""
    history: History = field(default_factory=list)
    """One row of losses, averaged over processes, every ten steps and at the last step."""

    def _parts(self) -> dict[str, nn.Module | Optimizer | BestState]:
        best = {} if self.best is None else {"best": self.best}
        return {**self.modules, **self.optimizers, **best}

    def save(self, checkpoint: Path, request: Mapping[str, Any]) -> None:
        """Saves this state, the random numbers, and the request that the training is made with."""
        content = {
            "request": request,
            "random": {"cpu": torch.get_rng_state()},
            "step": self.step,
            "history": self.history,
            "parts": {name: part.state_dict() for name, part in self._parts().items()},
        }
        save_checkpoint(checkpoint, content)

    def resume(self, checkpoint: Path, request: Mapping[str, Any]) -> None:
        """Restores what `save` wrote.

        Raises:
            CheckpointError: the checkpoint is damaged, or of another profile or request.
        """
        content = load_checkpoint(checkpoint)
        check_request(checkpoint, content.get("request", {}), request)
        try:
            for name, part in self._parts().items():
                part.load_state_dict(content["parts"][name])
            self.step, self.history = content["step"], content["history"]
            if "random" in content:
                torch.set_rng_state(content["random"]["cpu"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"checkpoint {checkpoint} is of another profile: delete it or choose another --out"
            ) from error


def training_steps(
    state: TrainingState,
    *,
    name: str,
    steps: int,
    seed: int,
    lr_drop: float,
    settings: TrainingConfig | CiaganTraining | FitTraining | LiveTraining | None = None,
    **options: Unpack[RunOptions],
) -> Iterator[tuple[int, Losses]]:
    """The steps of a training that are still to be done, from 0, each with an empty dictionary.

    The body of the loop is one update. It puts the losses into the dictionary, as detached scalars:

        for step, losses in training_steps(state, ...):
            losses |= update(step)

    The random numbers of a step depend on the seed and the step alone.

    Args:
        name: label of the progress bar.
        lr_drop: fraction of the steps after which the learning rates fall to a tenth.
        settings: stored in the checkpoint. A run with other settings is refused; only numbers of steps may
            change, so that a run can be made longer.

    Raises:
        NumericError: a loss became NaN or infinite.
        CheckpointError: the checkpoint is damaged, of another run, or not seen by all processes.
    """
    checkpoint, report = options.get("checkpoint"), options.get("report")
    fixed = {} if settings is None else to_dict(settings)
    request = {"seed": seed, "processes": world_size()}
    request |= {k: v for k, v in fixed.items() if not k.endswith("_steps")}
    if checkpoint is not None and checkpoint.exists():
        state.resume(checkpoint, request)
    if len(set(found := gather(state.step))) > 1:
        raise CheckpointError(
            f"the processes would start from different steps, {found}: choose an --out that all machines see"
        )
    synchronize(state.modules.values())
    rates = [
        (group, group.setdefault("initial_lr", group["lr"]))
        for optimizer in state.optimizers.values()
        for group in optimizer.param_groups
    ]
    hidden = not (first_process() and options.get("progress", True))
    if report is not None and first_process():
        for row in state.history:
            report(row)
    with tqdm(total=steps, initial=state.step, desc=name, disable=hidden, leave=False) as bar:
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
                if report is not None and first_process():
                    report(state.history[-1])
            if checkpoint is not None and save:
                state.save(checkpoint, request)
    synchronize(state.modules.values())


@contextmanager
def fixed_random_numbers(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Inside the `with` block random numbers depend on the seed alone. Later numbers do not change.

    >>> with fixed_random_numbers(3):
    ...     first = torch.rand(2)
    >>> with fixed_random_numbers(3):
    ...     bool((torch.rand(2) == first).all())
    True
    """
    used = torch.device(device)
    with torch.random.fork_rng(devices=[used] if used.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


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

"""Several processes that train one set of networks together, one a device.

Every process holds all networks and works on its part of the batch. The random numbers of a step
are drawn by each of them for the whole batch, and each keeps those of its part; gradients are
averaged before an optimizer steps. So W processes make the same updates as one process with a
batch W times as large, up to rounding. What that asks of batch norm and of Faster R-CNN stands in
`anonlib.training.joined`.

The gradients of an update travel in one message after the backward pass. Lightning's and
PyTorch's own wrapper sends them during it, which hides their way, and breaks when a network runs
twice in one update or only passes gradients on, as D does here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed
from torch.optim import Optimizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """Which of how many processes this is; alone by default.

    >>> Team(rank=1, size=2).part(4)
    slice(4, 8, None)
    """

    rank: int = 0
    """From 0; the process of rank 0 writes checkpoints and logs."""
    size: int = 1
    """Processes in all, on all machines."""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """Which of `size * count` samples are those of this process."""
        return slice(self.rank * count, (self.rank + 1) * count)

    @contextmanager
    def own_draws(self) -> Iterator[None]:
        """Random numbers that differ between processes; after the `with` block all go on alike."""
        if self.size == 1:
            yield
            return
        with torch.random.fork_rng():
            torch.manual_seed(torch.initial_seed() + 500_009 * (self.rank + 1))
            yield

    def total(self, tensor: Tensor) -> Tensor:
        """The sum of everyone's tensor, written into this one."""
        if self.size > 1:
            distributed.all_reduce(tensor)
        return tensor

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Everyone's tensor, by rank; all are of one shape."""
        if self.size == 1:
            return [tensor]
        found = [torch.empty_like(tensor) for _ in range(self.size)]
        distributed.all_gather(found, tensor)
        return found

    def mean(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        """Each loss, its mean over the processes; the only wait for the device in a step.

        A loss that is not finite in one process is not finite in any mean, so all of them see it.
        """
        values = self.total(torch.stack([loss.double() for loss in losses.values()]))
        return dict(zip(losses, (values / self.size).tolist(), strict=True))

    def agree(self, value: float, device: torch.device | str = "cpu") -> float:
        """What the first process holds; rounding may differ elsewhere."""
        if self.size == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=device)
        distributed.broadcast(tensor, 0)
        return float(tensor)


ALONE = Team()


def first_process() -> bool:
    """Whether this process writes files: the only one, or the first of a team."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def wait_for_all() -> None:
    """Returns when every process of the team has come here."""
    if distributed.is_initialized():
        distributed.barrier()


def average_gradients(optimizers: Iterable[Optimizer], team: Team) -> None:
    """Gradients of what these optimizers own become their means over the processes."""
    if team.size == 1:
        return
    owned = [p for o in optimizers for group in o.param_groups for p in group["params"]]
    for parameter in owned:
        if parameter.grad is None:  # not reached from this part of the batch
            parameter.grad = torch.zeros_like(parameter)
    message = torch.cat([p.grad.flatten() for p in owned])
    means = team.total(message).div_(team.size).split([p.numel() for p in owned])
    for parameter, mean in zip(owned, means, strict=True):
        parameter.grad.copy_(mean.view_as(parameter))


def descend(loss: Tensor, *optimizers: Optimizer, team: Team = ALONE) -> None:
    """One step down: fresh gradients, their mean over the processes, the optimizers' update.

    Args:
        loss: a scalar, the mean over this process's part of the batch.
        optimizers: their parameters are updated, and no others.
        team: whose gradients are averaged.
    """
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()
    average_gradients(optimizers, team)
    for optimizer in optimizers:
        optimizer.step()

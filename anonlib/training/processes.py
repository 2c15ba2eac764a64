"""Several processes that train one set of networks together, one a device.

Every process holds all networks and works on its part of the batch. The random numbers of a step
are drawn by each of them for the whole batch, and each keeps those of its part; gradients are
averaged before an optimizer steps. So W processes make the same updates as one process with a
batch W times as large, up to rounding. What that asks of batch norm and of Faster R-CNN stands in
`anonlib.training.processes`.

The gradients of an update travel in one message after the backward pass. Lightning's and
PyTorch's own wrapper sends them during it, which hides their way, and breaks when a network runs
twice in one update or only passes gradients on, as D does here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from anonlib.errors import ConfigError
from anonlib.networks import ActionDetector


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


class _Total(torch.autograd.Function):
    """The sum over all processes; each one's gradient is the sum of the gradients of all."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm whose batch is that of all processes; each has equally many pixels."""

    team: Team

    def forward(self, x: Tensor) -> Tensor:
        """Normalises `(B, C, H, W)`; in evaluation as any batch norm, by the running means."""
        if not self.training:
            return super().forward(x)
        wide = x if x.dtype == torch.float64 else x.float()
        mean: Tensor = _Total.apply(wide.mean((0, 2, 3))) / self.team.size
        centred = wide - mean[:, None, None]
        variance: Tensor = _Total.apply(centred.square().mean((0, 2, 3))) / self.team.size
        self._remember(mean, variance, count=self.team.size * x.numel() // x.shape[1])
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, *, count: int) -> None:
        for running, now in (
            (self.running_mean, mean),
            (self.running_var, variance * count / max(1, count - 1)),
        ):
            if running is not None:
                running.lerp_(now.to(running.dtype), self.momentum or 0.0)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


def shared_batch_norm(norm: nn.BatchNorm2d, team: Team) -> nn.Module:
    """The same layer over all processes: its parameters and running means are those of `norm`.

    Args:
        norm: a batch norm with a momentum.
        team: the processes; PyTorch's own layer takes over on a GPU.
    """
    on_gpu = norm.weight.is_cuda
    kind = nn.SyncBatchNorm if on_gpu else SharedBatchNorm
    shared = kind(norm.num_features, eps=norm.eps, momentum=norm.momentum)
    shared.weight, shared.bias = norm.weight, norm.bias
    for name, running in norm.named_buffers():
        setattr(shared, name, running)
    if isinstance(shared, SharedBatchNorm):
        shared.team = team
    return shared.train(norm.training)


class SharedSampler:
    """Torchvision's sampler of anchors or proposals, drawing for the frames of all processes."""

    def __init__(self, sampler: Callable[[list[Tensor]], Any], team: Team) -> None:
        self.sampler, self.team = sampler, team
        self.share = 1.0
        """This process's samples over the mean number of samples a process."""

    def __call__(self, matched: list[Tensor]) -> Any:
        """Masks of the positive and the negative samples of this process's frames.

        The generators end where those of one process with all frames would: the other frames are
        stood in for by as many positives and negatives as they have.
        """
        counts = torch.stack([torch.stack([(m == 0).sum(), (m >= 1).sum()]) for m in matched])
        drawn = []
        for rank, theirs in enumerate(self.team.gather(counts)):
            own = rank == self.team.rank
            labels = torch.arange(2, device=counts.device)
            drawn.append(self.sampler(matched if own else [labels.repeat_interleave(c) for c in theirs]))
        sizes = [sum(int(mask.sum()) for masks in pair for mask in masks) for pair in drawn]
        self.share = self.team.size * sizes[self.team.rank] / max(1, sum(sizes))
        return drawn[self.team.rank]


def share_samples(detector: ActionDetector, team: Team) -> Iterator[Callable[[], None]]:
    """Faster R-CNN draws and weighs as part of a team; yields how to undo it."""
    network = detector.network

    def draw_the_others_sizes(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Torchvision draws the size of every frame, be it among one."""
        for _frame in range((team.size - 1) * len(inputs[0]) if network.training else 0):
            torch.empty(1).uniform_()

    yield network.transform.register_forward_pre_hook(draw_the_others_sizes).remove
    for part in (network.rpn, network.roi_heads):
        sampler = SharedSampler(part.fg_bg_sampler, team)

        def weigh(_: nn.Module, __: Any, output: Any, sampler: SharedSampler = sampler) -> Any:
            found, losses = output
            return found, {name: sampler.share * loss for name, loss in losses.items()}

        part.fg_bg_sampler = sampler
        yield part.register_forward_hook(weigh).remove
        yield partial(setattr, part, "fg_bg_sampler", sampler.sampler)


def share_weights(network: nn.Module) -> None:
    """Everyone takes the weights and running means of the first process."""
    for tensor in network.state_dict().values():
        message = tensor.detach().contiguous()
        distributed.broadcast(message, 0)
        tensor.copy_(message)


def share_batch_norms(network: nn.Module, team: Team) -> Iterator[Callable[[], None]]:
    """Batch norm over all processes; yields how to undo it."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, shared_batch_norm(child, team))
                yield partial(setattr, parent, name, child)


def in_float(output: Any) -> Any:
    """The same tensors in float32, in lists, tuples and dictionaries too."""
    if isinstance(output, Tensor):
        return output.float()
    if isinstance(output, dict):
        return type(output)((key, in_float(value)) for key, value in output.items())
    return type(output)(in_float(value) for value in output)


def run_in_bfloat16(network: nn.Module) -> Iterator[Callable[[], None]]:
    """Layers run under autocast and return float32; yields how to undo it."""
    parts: tuple[nn.Module, ...] = (network,)
    if isinstance(network, ActionDetector):
        a = network.network
        parts = (a.backbone, a.rpn.head, a.roi_heads.box_head, a.roi_heads.box_predictor)
    kind = next(network.parameters()).device.type
    for part in parts:

        def forward(*inputs: Any, run: Callable[..., Any] = part.forward) -> Any:
            # The cache would keep the weights of the first step while an outer context is open.
            with torch.autocast(kind, dtype=torch.bfloat16, cache_enabled=False):
                return in_float(run(*inputs))

        part.__dict__["forward"] = forward
        yield partial(part.__dict__.pop, "forward")


@contextmanager
def joined(networks: Iterable[nn.Module], team: Team, *, precision: str) -> Iterator[None]:
    """The networks as the team trains them, inside the `with` block.

    Args:
        networks: trained in place; all on one device.
        team: the processes.
        precision: `float32`, or `bfloat16` for the layers. No autocast may be open around the
            block: its cache would keep the weights of the first step.
    """
    with ExitStack() as after:
        for network in networks:
            steps: list[Iterator[Callable[[], None]]] = []
            if precision == "bfloat16":
                steps.append(run_in_bfloat16(network))
            if team.size > 1:
                share_weights(network)
                steps.append(share_batch_norms(network, team))
                if isinstance(network, ActionDetector):
                    steps.append(share_samples(network, team))
            for step in steps:
                for undo in step:
                    after.callback(undo)
        yield


def launch(device: str = "cpu", *, devices: int = 1, nodes: int = 1) -> tuple[Team, str]:
    """Starts as many processes as asked, each of which goes on from here.

    Fabric runs the command of this process again for every other device. Under `torchrun` or
    `fabric run` the processes are there already, and their number is taken from them.

    Args:
        device: `cpu` or `cuda`.
        devices: processes on each machine, one a GPU, or as many as asked on a CPU.
        nodes: machines; all see the folder of the results.

    Returns:
        The place of this process in the team, and its device.

    Raises:
        ConfigError: fewer GPUs than asked for, or fewer than one process.
    """
    if "LOCAL_WORLD_SIZE" in os.environ:
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    if devices < 1 or nodes < 1:
        raise ConfigError(f"{devices} devices on {nodes} nodes: use 1 or more of each")
    if device == "cuda" and devices > torch.cuda.device_count():
        raise ConfigError(
            f"{devices} devices: PyTorch finds {torch.cuda.device_count()} GPUs here; ask for as "
            "many or use --device cpu"
        )
    if devices * nodes == 1:
        return Team(), device
    from lightning.fabric import Fabric

    accelerator = "gpu" if device == "cuda" else "cpu"
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, strategy="ddp")
    fabric.launch()
    os.environ["RANK"] = str(fabric.global_rank)  # read by anonlib.files.first_process
    return Team(rank=fabric.global_rank, size=fabric.world_size), str(fabric.device)

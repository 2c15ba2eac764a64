"""Training in several processes, one a device, with `torch.distributed`.

Every process holds all networks and draws its part of each batch, so the batch grows with the number of
processes. Gradients are averaged before an optimizer steps, so all processes hold equal weights. On CPUs
each process computes batch norm on its own part, on GPUs on all parts.

`DistributedDataParallel` is not used: a network may run only once in its updates. Here M runs twice (faces
and frames), and D passes gradients on to M without having any itself.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from anonlib.errors import ConfigError

Value = TypeVar("Value")


def world_size() -> int:
    """How many processes train together, on all machines."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def part(count: int) -> slice:
    """Which of `world_size() * count` samples belong to this process.

    >>> part(4)
    slice(0, 4, None)
    """
    return slice(rank() * count, (rank() + 1) * count)


def gather(value: Value) -> list[Value]:
    """The values of all processes, by rank."""
    values = [value] * world_size()
    if world_size() > 1:
        distributed.all_gather_object(values, value)
    return values


def wait_for_all() -> None:
    """Returns when every process has called it."""
    if distributed.is_initialized():
        distributed.barrier()


def mean_losses(losses: Mapping[str, Tensor]) -> dict[str, float]:
    """Each loss averaged over processes; a NaN in one process is a NaN in the mean."""
    values = torch.stack([loss.double() for loss in losses.values()])
    if world_size() > 1:
        distributed.all_reduce(values)
    return dict(zip(losses, (values / world_size()).tolist(), strict=True))


def gradient_step(loss: Tensor, *optimizers: Optimizer) -> None:
    """Computes fresh gradients, averages them over processes and updates the optimizers' parameters."""
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if world_size() > 1:
        parameters = [p for o in optimizers for group in o.param_groups for p in group["params"]]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        message = torch.cat([gradient.flatten() for gradient in gradients])  # one message is faster than many
        distributed.all_reduce(message)
        means = (message / world_size()).split([p.numel() for p in parameters])
        for parameter, mean in zip(parameters, means, strict=True):
            parameter.grad = mean.view_as(parameter)
    for optimizer in optimizers:
        optimizer.step()


def synchronize(networks: Iterable[nn.Module]) -> None:
    """Copies weights and buffers of the first process to all; on GPUs batch norm becomes `SyncBatchNorm`."""
    if world_size() == 1:
        return
    for network in networks:
        for tensor in network.state_dict().values():
            message = tensor.contiguous()
            distributed.broadcast(message, 0)
            tensor.copy_(message)
        if next(network.parameters()).is_cuda:
            nn.SyncBatchNorm.convert_sync_batchnorm(network)


def start_processes(device: str, *, devices: int = 1, nodes: int = 1) -> str:
    """Joins the processes that train together, and returns the device of this one.

    torchrun starts the processes and sets LOCAL_RANK in each; `devices` and `nodes` are then ignored. Without
    torchrun, `devices > 1` runs this command again under torchrun, and exits when that has ended.

    Args:
        device: `cpu` or `cuda`.
        devices: processes on this machine, each with its own GPU, or all on the CPU.
        nodes: machines; all must see the folder of the results.

    Raises:
        ConfigError: fewer GPUs than asked for, or several machines without torchrun.
        SystemExit: the processes under torchrun have ended.
    """
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", devices))
    if device == "cuda" and devices > torch.cuda.device_count():
        raise ConfigError(
            f"{devices} devices: PyTorch finds {torch.cuda.device_count()} GPUs here; ask for fewer "
            "devices or use --device cpu"
        )
    if "LOCAL_RANK" in os.environ:
        if device == "cuda":
            device = f"cuda:{os.environ['LOCAL_RANK']}"
            torch.cuda.set_device(device)
        distributed.init_process_group("gloo" if device == "cpu" else "nccl")
        atexit.register(distributed.destroy_process_group)
        return device
    if nodes > 1:
        raise ConfigError(
            f"{nodes} nodes: start the command on each machine with torchrun, `torchrun --nnodes {nodes} "
            f"--nproc-per-node {devices} --rdzv-backend c10d --rdzv-endpoint HOST:29500 -m anonlib.cli "
            "reproduce ...`"
        )
    if devices > 1:
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.run import main

        try:
            main(["--standalone", f"--nproc-per-node={devices}", "-m", "anonlib.cli", *sys.argv[1:]])
        except ChildFailedError as error:
            raise SystemExit(error.get_first_failure()[1].exitcode) from error
        raise SystemExit(0)
    return device

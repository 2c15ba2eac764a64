"""Batch norm over the batches of all processes.

PyTorch has it for GPUs alone; this one is for CPUs, where it also shows what happens. With W
processes of equal batches, mean and variance are the means of theirs, and the gradient goes back
through both sums.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn

from anonlib.training.team import Team


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
        for running, now in ((self.running_mean, mean),
                             (self.running_var, variance * count / max(1, count - 1))):  # fmt: skip
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

"""Forward passes in bfloat16: about twice as fast on many processors, and on GPUs."""

from __future__ import annotations

import torch

PRECISIONS = ("float32", "bfloat16")


def autocast(precision: str, device: str = "cpu") -> torch.autocast:
    """A context in which networks compute in that precision; weights and optimizers stay float32.

    Nothing is cached: a loop inside would go on with the weights of its first step.

    Args:
        precision: one of `PRECISIONS`.
        device: `cpu` or `cuda`.

    >>> with autocast("bfloat16"):
    ...     torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype
    torch.bfloat16
    """
    return torch.autocast(
        device, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False
    )

"""Starting the processes of a team: Lightning Fabric on one machine, `torchrun` on many."""

from __future__ import annotations

import os

import torch

from anonlib.errors import ConfigError
from anonlib.training.team import Team


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
    return Team(rank=fabric.global_rank, size=fabric.world_size), str(fabric.device)

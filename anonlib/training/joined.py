"""Networks as they are while a team trains them: one batch norm, one draw, one precision.

- Batch norm takes mean and variance over the batches of all processes.
- Faster R-CNN samples anchors and proposals at random and divides its losses by their number,
  which differs from process to process. Everyone draws for all frames, in the order of the whole
  batch, and weighs its losses by its share of the samples: their mean is the loss of the batch.
- In `bfloat16` the layers run under autocast and return float32. Boxes and losses are computed
  in float32 outside it: bfloat16 knows pixels beyond 256 only to the next even one.

Outside the `with` block the networks are what they were before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn

from anonlib.networks import ActionDetector
from anonlib.training.shared_batch_norm import shared_batch_norm
from anonlib.training.team import Team


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
            drawn.append(self.sampler(matched if own else [labels.repeat_interleave(c)
                                                           for c in theirs]))  # fmt: skip
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

"""Whose time it is: every moment of a training belongs to one owner, on a CPU or on a GPU."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

REST = "rest"


class Stopwatch:
    """Seconds by owner: of the processor's time on a CPU, of the device's queue on a GPU."""

    def __init__(self, device: str = "cpu") -> None:
        self.on_gpu = torch.device(device).type == "cuda"
        self.clear()

    def clear(self) -> None:
        """Forgets what was; from now on the time belongs to nobody in particular."""
        self.owner = REST
        self.marks: list[tuple[Any, str]] = [(self._now(), REST)]

    def _now(self) -> Any:
        if not self.on_gpu:
            return time.process_time()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def enter(self, owner: str) -> str:
        """From now on the time belongs to this owner; returns the one before."""
        before, self.owner = self.owner, owner
        self.marks.append((self._now(), owner))
        return before

    @contextmanager
    def of(self, owner: str) -> Iterator[None]:
        """The block's time, but for what others take inside it."""
        before = self.enter(owner)
        try:
            yield
        finally:
            self.enter(before)

    def seconds(self) -> dict[str, float]:
        """Seconds of each owner so far."""
        self.enter(self.owner)
        if self.on_gpu:
            torch.cuda.synchronize()
        spent: dict[str, float] = defaultdict(float)
        for (start, owner), (end, _) in zip(self.marks, self.marks[1:], strict=False):
            spent[owner] += start.elapsed_time(end) / 1000 if self.on_gpu else end - start
        return dict(spent)


def hooked(watch: Stopwatch, owner: str, inputs: Tensor, outputs: list[Tensor], *, after: str = REST) -> None:
    """The backward pass too: it is the owner's from its first output to its input.

    Where the input wants no gradient the time stays the owner's until somebody else enters.
    """

    def hook(who: str) -> Callable[[Tensor], None]:
        return lambda _: void(watch.enter(who))

    for output in outputs:
        if output.requires_grad:
            output.register_hook(hook(owner))
    if inputs.requires_grad:
        inputs.register_hook(hook(after))


def void(_: object) -> None:
    """Nothing: a hook that returns something would replace the gradient."""


class Watched(nn.Module):
    """A network whose forward and backward passes are timed."""

    def __init__(self, network: nn.Module, watch: Stopwatch, owner: str) -> None:
        super().__init__()
        self.network, self.watch, self.owner = network, watch, owner

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("network"), name)

    def forward(self, images: Tensor) -> Tensor:
        """What the network returns."""
        with self.watch.of(self.owner):
            output = self.network(images)
        hooked(self.watch, self.owner, images, [output])
        return output


def watch_losses(detector: Any, watch: Stopwatch, owner: str) -> None:
    """Times the losses of A, forward and backward."""
    run = detector.losses

    def losses(frames: Tensor, *targets: Any) -> dict[str, Tensor]:
        with watch.of(owner):
            found = run(frames, *targets)
        hooked(watch, owner, frames, list(found.values()))
        return found

    detector.losses = losses

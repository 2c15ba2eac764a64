"""Files to watch a training by: losses as CSV and for TensorBoard, and pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

from anonlib.files import write_atomically
from anonlib.training.loop import fixed_random_numbers


class Log:
    """Writes the losses of one training; pass it as `report`.

    It writes `losses.csv`, and TensorBoard's events if `tensorboard` is installed. A resumed training reports
    the rows of its checkpoint again, so both files are started anew.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started = False
        self.events: Any = None

    def __call__(self, row: Mapping[str, float]) -> None:
        """Adds a row: `step` and the losses."""
        if not self.started:
            self.started = True
            write_atomically(self.folder / "losses.csv", (",".join(row) + "\n").encode())
            for old in self.folder.glob("events.out.tfevents.*"):
                old.unlink()
            if find_spec("tensorboard") is not None:
                from torch.utils.tensorboard import SummaryWriter

                self.events = SummaryWriter(str(self.folder))
        with (self.folder / "losses.csv").open("a", encoding="utf-8") as file:
            file.write(",".join(str(value) for value in row.values()) + "\n")
        if self.events is not None:
            for name, value in row.items():
                if name != "step":
                    self.events.add_scalar(name.replace(" ", "_"), value, int(row["step"]))
            self.events.flush()


class Pictures:
    """Draws training faces above what M makes of them, every so many steps; pass it as `look`.

    The PNG files are named by the step, so a resumed training adds to them. They show people of the training
    images: handle the folder like those. TensorBoard shows the pictures too if there is a `log`.

    Args:
        modifier: M, while it is trained.
        images: `(N, 3, S, S)` uint8; all of them are drawn.
        every: steps between two pictures.
    """

    def __init__(
        self, folder: Path, modifier: nn.Module, images: Tensor, *, every: int = 500, log: Log | None = None
    ) -> None:
        self.folder, self.modifier, self.every, self.log = folder, modifier, every, log
        self.faces = images.float() / 255

    def __call__(self, step: int) -> None:
        """Draws every `every` steps, and leaves the random numbers as they are."""
        if step % self.every:
            return
        device = next(self.modifier.parameters()).device
        with fixed_random_numbers(0, device):
            picture = before_and_after(self.modifier, self.faces.to(device)).cpu()
        content = io.BytesIO()
        to_pil_image((picture * 255).round().byte()).save(content, "PNG")
        write_atomically(self.folder / f"faces-{step:06d}.png", content.getvalue())
        if self.log is not None and self.log.events is not None:
            self.log.events.add_image("faces", picture, step)


def before_and_after(modifier: nn.Module, faces: Tensor) -> Tensor:
    """A row of faces `(N, 3, S, S)` above a row of what M makes of them; `(3, 2 S, N S)` in [0, 1]."""
    with torch.no_grad():
        both = torch.cat([faces, modifier(faces)])
    return make_grid(both, nrow=len(faces), padding=0).clamp(0, 1)

"""What a training leaves to look at: losses as CSV and for TensorBoard, and pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from anonlib.files import write_atomically

PICTURE_EVERY = 500


class Log:
    """The losses of one training, a row each time it reports them; pass it as `report`.

    `losses.csv` always, TensorBoard's events where `tensorboard` is installed. A resumed training
    reports the rows of its checkpoint again, so the files are begun anew and no row is in them
    twice.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.events: Any = None

    def __call__(self, row: Mapping[str, float]) -> None:
        """Adds a row: `step` and the losses."""
        if not self.lines:
            self._begin(row)
        self.lines.append(",".join(str(value) for value in row.values()))
        with (self.folder / "losses.csv").open("a", encoding="utf-8") as file:
            file.write(self.lines[-1] + "\n")
        if self.events is not None:
            for name, value in row.items():
                if name != "step":
                    self.events.add_scalar(name.replace(" ", "_"), value, int(row["step"]))
            self.events.flush()

    def _begin(self, row: Mapping[str, float]) -> None:
        self.lines = [",".join(row)]
        write_atomically(self.folder / "losses.csv", (self.lines[0] + "\n").encode())
        for old in self.folder.glob("events.out.tfevents.*"):
            old.unlink()
        if find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self.events = SummaryWriter(str(self.folder))


def before_and_after(modifier: nn.Module, faces: Tensor) -> Tensor:
    """Faces in a row above what M makes of them.

    Args:
        modifier: M.
        faces: `(N, 3, S, S)` in [0, 1].

    Returns:
        `(3, 2 S, N S)` in [0, 1].
    """
    with torch.no_grad():
        modified = modifier(faces)
    rows = [torch.cat(list(row), dim=2) for row in (faces, modified)]
    return torch.cat(rows, dim=1).clamp(0, 1)


class Pictures:
    """Training faces and what M makes of them, every so many steps; pass it as `look`.

    PNG files named by the step, so that a resumed training goes on with them. They show people of
    the training images: keep the folder where those are kept.
    """

    def __init__(
        self,
        folder: Path,
        modifier: nn.Module,
        images: Tensor,
        *,
        every: int = PICTURE_EVERY,
        log: Log | None = None,
    ) -> None:
        """Chooses nothing: the images are those given.

        Args:
            folder: of the pictures.
            modifier: M, while it is trained.
            images: `(N, 3, S, S)` uint8, a handful.
            every: steps between two pictures.
            log: TensorBoard shows those of this process too.
        """
        self.folder, self.modifier, self.every, self.log = folder, modifier, every, log
        self.faces = images.float() / 255

    def __call__(self, step: int) -> None:
        """Draws if it is time; the random numbers of the training are not touched."""
        if step % self.every:
            return
        device = next(self.modifier.parameters()).device
        picture = before_and_after(self.modifier, self.faces.to(device)).cpu()
        pixels = (picture * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        write_atomically(self.folder / f"faces-{step:06d}.png", content.getvalue())
        if self.log is not None and self.log.events is not None:
            self.log.events.add_image("faces", picture, step)

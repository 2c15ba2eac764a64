"""Batches of face images F and of video frames V, drawn by the number of the step.

The batch of a step depends on the seed and the step alone, so a resumed run sees exactly the
batches of an uninterrupted one: the number of the step is the position of the sampler. In a team
every process draws the whole batch and reads its part.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from anonlib.geometry import clip_boxes, enlarge_boxes
from anonlib.training.processes import ALONE, Team
from anonlib.types import ActionFrames, FaceImages

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True)
class FaceBatch:
    """Face images f and identity labels i_f."""

    images: Tensor
    """`(B, 3, S, S)` in [0, 1]."""
    labels: Tensor
    """`(B,)` int64."""
    landmarks: Tensor
    """`(B, 5, 2)` xy pixels."""


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """Video frames v with their boxes b, labels t and the enlarged face regions r_v."""

    frames: Tensor
    """`(B, 3, H, W)` in [0, 1]."""
    boxes: list[Tensor]
    """Per frame `(n, 4)` action boxes."""
    labels: list[Tensor]
    """Per frame `(n,)` action classes from 0."""
    regions: list[Tensor]
    """Per frame `(k, 4)` whole-pixel boxes of the enlarged faces, inside the frame."""


def face_regions(face_boxes: list[Tensor], *, height: int, width: int) -> list[Tensor]:
    """Enlarged face boxes in whole pixels inside the frame; those without area are dropped."""
    regions = [clip_boxes(enlarge_boxes(b), height=height, width=width) for b in face_boxes]
    return [r[(r[:, 2] > r[:, 0]) & (r[:, 3] > r[:, 1])] for r in regions]


def _draw(count: int, size: int, *, seed: int, step: int, team: Team) -> tuple[Tensor, Tensor]:
    """Indices of a step's samples, those of this process, and which of them are mirrored."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    indices = torch.randint(count, (team.size * size,), generator=generator)
    flip = torch.rand(team.size * size, generator=generator) < 0.5
    return indices[team.part(size)], flip[team.part(size)]


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on a device; a GPU fetches it from pinned memory while the caller goes on."""
    if torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _pictures(pixels: Tensor, flip: Tensor, device: torch.device | str) -> Tensor:
    """uint8 to [0, 1], mirrored where asked, channels last; bytes travel, not floats."""
    pictures = send(pixels, device).float() / 255
    mirrored = send(flip, device)[:, None, None, None]
    pictures = torch.where(mirrored, pictures.flip(3), pictures)
    return pictures.contiguous(memory_format=torch.channels_last)


def face_batch(
    faces: FaceImages,
    size: int,
    *,
    seed: int,
    step: int,
    device: torch.device | str = "cpu",
    team: Team = ALONE,
) -> FaceBatch:
    """The face batch of a step, `size` for each process; half of the faces are mirrored."""
    indices, flip = _draw(len(faces), size, seed=seed, step=step, team=team)
    images = _pictures(faces.images[indices], flip, device)
    landmarks = faces.landmarks[indices]
    mirrored = landmarks[:, [1, 0, 2, 4, 3]] * torch.tensor([-1.0, 1.0])
    mirrored[..., 0] += images.shape[3]
    landmarks = torch.where(flip[:, None, None], mirrored, landmarks)
    return FaceBatch(images, send(faces.labels[indices], device), send(landmarks, device))


def frames_drawn(count: int, size: int, *, seed: int, steps: int, team: Team = ALONE) -> Tensor:
    """Which of `count` frames the batches of so many steps hold, ascending; `(n,)` indices.

    >>> frames_drawn(1000, 2, seed=0, steps=3).shape
    torch.Size([6])
    """
    drawn = [_draw(count, size, seed=seed, step=step, team=team)[0] for step in range(steps)]
    return torch.cat(drawn).unique() if drawn else torch.zeros(0, dtype=torch.int64)


def mirror_boxes(boxes: Tensor, width: int) -> Tensor:
    """Boxes of the mirrored frame; `(N, 4)` to `(N, 4)`.

    >>> mirror_boxes(torch.tensor([[1.0, 2.0, 4.0, 8.0]]), width=10)
    tensor([[6., 2., 9., 8.]])
    """
    x0, y0, x1, y1 = boxes.unbind(1)
    return torch.stack([width - x1, y0, width - x0, y1], dim=1)


def frame_batch(
    data: ActionFrames,
    size: int,
    *,
    seed: int,
    step: int,
    device: torch.device | str = "cpu",
    team: Team = ALONE,
) -> FrameBatch:
    """The frame batch of a step, `size` for each process; half of the frames are mirrored."""
    indices, flip = _draw(len(data), size, seed=seed, step=step, team=team)
    height, width = data.frames.shape[2:]

    def pick(boxes: list[Tensor]) -> list[Tensor]:
        chosen = zip(indices.tolist(), flip.tolist(), strict=True)
        return [mirror_boxes(boxes[i], width) if mirror else boxes[i] for i, mirror in chosen]

    regions = face_regions(pick(data.face_boxes), height=height, width=width)
    return FrameBatch(
        _pictures(data.frames[indices], flip, device),
        [send(b, device) for b in pick(data.boxes)],
        [send(data.labels[i], device) for i in indices.tolist()],
        regions,
    )


class Ahead(Generic[Batch]):
    """Batches by their number; the next one is prepared in a thread while one is used.

    >>> batch = Ahead(lambda number: number * 10)
    >>> batch(3), batch(4), batch(9)
    (30, 40, 90)
    """

    def __init__(self, prepare: Callable[[int], Batch]) -> None:
        self.prepare = prepare
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
        self._coming: dict[int, Future[Batch]] = {}

    def __call__(self, number: int) -> Batch:
        """The batch of that number; what its preparation raised is raised here."""
        coming = self._coming.pop(number, None)
        batch = self.prepare(number) if coming is None else coming.result()
        self._coming = {number + 1: self._thread.submit(self.prepare, number + 1)}
        return batch


def batches(prepare: Callable[[int], Batch], device: torch.device | str) -> Callable[[int], Batch]:
    """Batches by their number, ahead of time for a GPU; on a CPU a thread would take its cores."""
    return Ahead(prepare) if torch.device(device).type == "cuda" else prepare

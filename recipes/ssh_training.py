r"""Training of the face detector SSH: its multi-task loss with online hard example mining, and the loop.

With p_i the probability of a face at anchor i, g_i whether it is one, and t_i its offsets, the
loss of a module is

$$\frac{1}{N_c} \sum_{i \in A} \ell_c(p_i, g_i)
  + \lambda \frac{1}{N_r} \sum_i [g_i = 1] \ell_r(t_i, t^*_i).$$
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.ops import box_area, box_iou

from anonlib.networks.ssh import ANCHORS, CENTRE_SCALE, SIZE_SCALE, Predictions, Ssh, anchors
from anonlib.training.loop import History, Losses, Report, TrainingState, training_steps
from recipes.scenes import Scene, Scenes

FACE, NOTHING, DOUBTFUL = 1, 0, -1
"""What an anchor is assigned to; doubtful ones are in no sum."""


def encode_boxes(boxes: Tensor, places: Tensor) -> Tensor:
    """Inverse of `decode_boxes`: offsets `(n, 4)` of boxes `(n, 4)` xyxy from anchors `(n, 3)`."""
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    side = places[..., 2:]
    size = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1e-3)
    return torch.cat(
        [(centre - places[..., :2]) / side / CENTRE_SCALE, (size / side).log() / SIZE_SCALE], dim=-1
    )


def encode_landmarks(landmarks: Tensor, places: Tensor) -> Tensor:
    """Inverse of `decode_landmarks`: offsets `(n, 10)` of points `(n, 5, 2)` from anchors `(n, 3)`."""
    away = (landmarks - places[..., None, :2]) / places[..., None, 2:] / CENTRE_SCALE
    return away.flatten(-2)


def hardest_negatives(losses: Tensor, assigned: Tensor, *, ratio: float, least: int) -> Tensor:
    """The negatives of the highest loss, `ratio` for each positive.

    Args:
        losses: `(A,)` classification losses.
        assigned: `(A,)` FACE, NOTHING or DOUBTFUL.
        ratio: negatives a positive.
        least: negatives at least, so that a picture without faces teaches too.

    Returns:
        `(A,)` bool.

    >>> losses = torch.tensor([0.1, 0.9, 0.5, 0.7])
    >>> hardest_negatives(losses, torch.tensor([1, 0, 0, -1]), ratio=1, least=0)
    tensor([False,  True, False, False])
    """
    negative = assigned == NOTHING
    wanted = max(int(ratio * int((assigned == FACE).sum())), least)
    count = min(wanted, int(negative.sum()))
    hardest = losses.detach().masked_fill(~negative, -torch.inf).topk(count).indices
    chosen = torch.zeros_like(negative)
    chosen[hardest] = True
    return chosen


def hard_example_loss(logits: Tensor, assigned: Tensor, *, ratio: float = 3.0, least: int = 8) -> Tensor:
    """Classification loss of the positives and of the hardest negatives, their mean.

    Implements Najibi et al., SSH, ICCV 2017, section 3.4 and the first term of Eq. (1): online
    hard example mining, one positive to three negatives. Differs from the paper: a logit for the
    softmax of two classes, which is the same.

    Args:
        logits: `(A,)` of one or more pictures; the sigmoid is p.
        assigned: `(A,)` FACE, NOTHING or DOUBTFUL.
        ratio: negatives a positive.
        least: negatives at least.

    >>> hard_example_loss(torch.zeros(3), torch.tensor([1, 0, -1])).item()  # log 2
    0.6931471824645996
    """
    losses = F.binary_cross_entropy_with_logits(logits, (assigned == FACE).to(logits.dtype), reduction="none")
    chosen = hardest_negatives(losses, assigned, ratio=ratio, least=least) | (assigned == FACE)
    return losses[chosen].sum() / chosen.sum().clamp(min=1)


def offset_loss(predicted: Tensor, target: Tensor, assigned: Tensor) -> Tensor:
    """Smooth L1 of the offsets at anchors that are faces, their mean.

    Implements Najibi et al., SSH, ICCV 2017, the second term of Eq. (1). Differs from the paper:
    none.

    Args:
        predicted: `(A, K)` offsets.
        target: `(A, K)`.
        assigned: `(A,)` FACE, NOTHING or DOUBTFUL.

    Returns:
        A scalar, 0 without faces.

    >>> offset_loss(torch.tensor([[3.0], [9.0]]), torch.zeros(2, 1), torch.tensor([1, 0])).item()
    2.5
    """
    face = assigned == FACE
    apart = F.smooth_l1_loss(predicted[face], target[face], reduction="sum")
    return apart / (face.sum() * predicted.shape[1]).clamp(min=1)


FACE_IOU, NOTHING_IOU = 0.4, 0.3
"""An anchor is a face from the first overlap on and nothing below the second."""
DOUBTFUL_SHARE = 0.4
"""An anchor is doubtful if so much of it lies where a face may be."""
LANDMARK_WEIGHT = 0.5


def square_boxes(places: Tensor) -> Tensor:
    """Anchors `(A, 3)` as xyxy boxes `(A, 4)`.

    >>> square_boxes(torch.tensor([[8.0, 8.0, 12.0]]))
    tensor([[ 2.,  2., 14., 14.]])
    """
    half = places[:, 2:] / 2
    return torch.cat([places[:, :2] - half, places[:, :2] + half], dim=1)


def assign(places: Tensor, boxes: Tensor, doubtful: Tensor) -> tuple[Tensor, Tensor]:
    """Which anchors are which face.

    Implements Najibi et al., SSH, ICCV 2017, section 3.4. Differs from the paper: a face from an
    overlap of 0.4 on (0.5), and every face has its best anchor; some anchors do not count.

    Args:
        places: `(A, 3)` anchors.
        boxes: `(n, 4)` faces, xyxy pixels.
        doubtful: `(m, 4)` where something may be a face.

    Returns:
        `(A,)` FACE, NOTHING or DOUBTFUL, and `(A,)` the number of the nearest face, 0 if none.
    """
    squares = square_boxes(places)
    assigned = torch.full((len(places),), NOTHING)
    nearest = torch.zeros(len(places), dtype=torch.int64)
    if len(doubtful):
        low, high = (
            torch.maximum(squares[:, None, :2], doubtful[:, :2]),
            torch.minimum(squares[:, None, 2:], doubtful[:, 2:]),
        )
        common = (high - low).clamp(min=0).prod(dim=2)
        share = (common / box_area(squares)[:, None]).amax(dim=1)
        overlap = box_iou(squares, doubtful).amax(dim=1)
        assigned[(share >= DOUBTFUL_SHARE) | (overlap >= NOTHING_IOU)] = DOUBTFUL
    if len(boxes):
        overlap = box_iou(squares, boxes)
        best, nearest = overlap.max(dim=1)
        assigned[best >= NOTHING_IOU] = DOUBTFUL
        assigned[best >= FACE_IOU] = FACE
        own = overlap.argmax(dim=0)
        assigned[own], nearest[own] = FACE, torch.arange(len(boxes))
    return assigned, nearest


def scene_losses(predicted: Predictions, scenes: Sequence[Scene], places: Tensor) -> Losses:
    """The losses of a batch, summed over M1, M2 and M3, each with hard examples of its own.

    Args:
        predicted: of the scenes' pictures.
        scenes: what is in them.
        places: `(A, 3)` anchors.
    """
    targets = [_targets(scene, places) for scene in scenes]
    assigned, boxes, points = (torch.stack(part) for part in zip(*targets, strict=True))
    total = {"score": torch.zeros(()), "box": torch.zeros(()), "landmarks": torch.zeros(())}
    for part in _modules(places):
        mine = assigned[:, part].flatten()
        total["score"] = total["score"] + hard_example_loss(
            predicted.logits[:, part].flatten().float(), mine, least=8 * len(scenes)
        )
        for name, offsets, target in (
            ("box", predicted.boxes, boxes),
            ("landmarks", predicted.landmarks, points),
        ):
            total[name] = total[name] + offset_loss(
                offsets[:, part].flatten(0, 1).float(), target[:, part].flatten(0, 1), mine
            )
    return total


def _targets(scene: Scene, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Assignment and offsets of one scene; where nobody is, the offsets are 0."""
    assigned, nearest = assign(places, scene.boxes, scene.doubtful)
    if not len(scene.boxes):
        return assigned, torch.zeros(len(places), 4), torch.zeros(len(places), 10)
    return (
        assigned,
        encode_boxes(scene.boxes[nearest], places),
        encode_landmarks(scene.landmarks[nearest], places),
    )


def _modules(places: Tensor) -> list[slice]:
    """The ranges of M1's, M2's and M3's anchors."""
    sides = [torch.isin(places[:, 2], torch.tensor(s, dtype=torch.float32)) for s in ANCHORS]
    ends = torch.tensor([int(side.sum()) for side in sides]).cumsum(0).tolist()
    return [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]


def train_face_detector(
    network: Ssh,
    scenes: Scenes,
    *,
    steps: int,
    batch: int,
    lr: float,
    seed: int,
    workers: int = 0,
    checkpoint: Path | None = None,
    progress: bool = True,
    report: Report | None = None,
) -> History:
    """Trains SSH; scene n is seen at step n // batch, so that a resumed run sees what it would.

    Implements Najibi et al., SSH, ICCV 2017, section 3.4. Differs from the paper: Adam with a
    cosine learning rate instead of SGD with a drop, networks in bfloat16, scenes drawn anew
    instead of WIDER FACE.

    Args:
        network: trained in place, on the CPU.
        scenes: of a side that is a multiple of 32.
        steps: updates in all.
        batch: scenes an update.
        lr: learning rate at the start.
        seed: of random numbers inside a step.
        workers: processes that draw scenes beside the training; 0 draws them in it.
        checkpoint: file to save to and resume from.
        progress: whether to show a bar.
        report: receives each row of losses.

    Returns:
        The losses, every ten steps.
    """
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=1e-4)
    places = anchors(scenes.size, scenes.size)
    feed: list[object] = []

    def update(step: int) -> Losses:
        if not feed:
            feed.append(iter(_loader(scenes, range(step * batch, steps * batch), batch, workers)))
        seen = next(feed[0])  # type: ignore[call-overload]
        optimizer.param_groups[0]["lr"] = lr * _pace(step, steps)
        pictures = torch.stack([scene.picture for scene in seen]).float() / 255
        with torch.autocast("cpu", torch.bfloat16):
            predicted = network(pictures.to(memory_format=torch.channels_last))
        losses = scene_losses(predicted, seen, places)
        optimizer.zero_grad(set_to_none=True)
        (losses["score"] + losses["box"] + LANDMARK_WEIGHT * losses["landmarks"]).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        return {name: loss.detach() for name, loss in losses.items()}

    state = TrainingState(modules={"network": network}, optimizers={"optimizer": optimizer})
    for step, losses in training_steps(
        state,
        name="face detector",
        steps=steps,
        seed=seed,
        lr_drop=1.0,
        checkpoint=checkpoint,
        progress=progress,
        report=report,
    ):
        losses |= update(step)
    return state.history


def _pace(step: int, steps: int, *, warm: int = 100) -> float:
    """Share of the learning rate: up over 100 steps, then down along a cosine."""
    return min(1.0, (step + 1) / warm) * (1 + math.cos(math.pi * step / steps)) / 2


def _loader(scenes: Scenes, numbers: range, batch: int, workers: int) -> DataLoader[list[Scene]]:
    dataset = cast("Dataset[list[Scene]]", scenes)
    return DataLoader(
        dataset,
        batch_size=batch,
        sampler=numbers,
        num_workers=workers,
        collate_fn=list,
        prefetch_factor=4 if workers else None,
    )

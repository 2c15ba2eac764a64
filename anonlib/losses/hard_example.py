r"""The multi-task loss of a single-stage detector, with hard examples mined on line.

With p_i the probability of a face at anchor i, g_i whether it is one, and t_i its offsets, the
loss of a module is

$$\frac{1}{N_c} \sum_{i \in A} \ell_c(p_i, g_i)
  + \lambda \frac{1}{N_r} \sum_i [g_i = 1] \ell_r(t_i, t^*_i).$$
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FACE, NOTHING, DOUBTFUL = 1, 0, -1
"""What an anchor is assigned to; doubtful ones are in no sum."""


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


def hard_example_loss(
    logits: Tensor, assigned: Tensor, *, ratio: float = 3.0, least: int = 8
) -> Tensor:
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
    losses = F.binary_cross_entropy_with_logits(
        logits, (assigned == FACE).to(logits.dtype), reduction="none"
    )
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

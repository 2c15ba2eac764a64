"""How far a modified face must be from the person's own, in the features of a recogniser."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def identity_margin_loss(modified: Tensor, original: Tensor, *, margin: float = 0.0) -> Tensor:
    """Mean excess of the cosine between a modified face and its original over a margin.

    Differs from the paper: which knows no such term. D learns the features it is attacked by; this
    one also holds against a recogniser that stands still.

    Args:
        modified: `(B, F)` features of M(f).
        original: `(B, F)` features of f.
        margin: cosine up to which two faces count as two people.

    Returns:
        A scalar, at least 0.

    >>> import torch
    >>> f = torch.tensor([[2.0, 0.0]])
    >>> identity_margin_loss(f, f, margin=0.25).item(), identity_margin_loss(-f, f).item()
    (0.75, 0.0)
    """
    return F.relu(F.cosine_similarity(modified, original) - margin).mean()


def crowd_loss(modified: Tensor) -> Tensor:
    """1 - the mean cosine between modified faces and the direction of their sum.

    0 when a recogniser takes all modified faces for one person: then nothing is left to tell
    people apart by. The idea of k-Same (Newton, Sweeney and Malin, 2005), in feature space.

    Differs from the paper: which knows no such term.

    Args:
        modified: `(B, F)` features of M(f).

    >>> import torch
    >>> crowd_loss(torch.tensor([[1.0, 0.0], [3.0, 0.0]])).item()
    0.0
    """
    directions = F.normalize(modified, dim=1)
    return 1 - F.cosine_similarity(directions, directions.sum(dim=0, keepdim=True)).mean()

r"""A-Softmax, the classification loss L_D of Eq. (2).

For a feature x of person y, with theta_j its angle to the weight vector of person j,

$$L_D = -\log \frac{e^{\|x\| \psi(\theta_y)}}
                   {e^{\|x\| \psi(\theta_y)} + \sum_{j \ne y} e^{\|x\| \cos \theta_j}},
\qquad \psi(\theta) = (-1)^k \cos(m \theta) - 2k, \;
\theta \in [k\pi/m, (k+1)\pi/m].$$

A large margin m is hard to start from, so the target's logit is the mean of cos and psi with
weights a and 1 (Liu et al., CVPR 2017), and a falls with the step.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def annealing(step: int, *, start: float = 1500.0, rate: float = 0.1, floor: float = 5.0) -> float:
    """Weight of the plain cosine at a step; it falls as start / (1 + rate * step) to the floor.

    >>> annealing(0), round(annealing(100), 2), annealing(10**6)
    (1500.0, 136.36, 5.0)
    """
    return max(floor, start / (1 + rate * step))


def angular_margin(cosine: Tensor, margin: int) -> Tensor:
    """psi(theta), the monotonic continuation of cos(m theta), from cos(theta); same shape.

    >>> angular_margin(torch.tensor([1.0, 0.0, -1.0]), 4).round(decimals=3)
    tensor([ 1., -3., -7.])
    """
    theta = torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
    k = (margin * theta.detach() / math.pi).floor()
    sign = 1 - 2 * (k % 2)
    return sign * torch.cos(margin * theta) - 2 * k


def angular_softmax_loss(
    features: Tensor, identities: Tensor, labels: Tensor, *, margin: int = 4, anneal: float = 5.0
) -> Tensor:
    """L_D(f, i_f), one value a face.

    Implements Ren et al., L_D of Eq. (2), the angular softmax of SphereFace.
    Differs from the paper: none.

    Args:
        features: `(B, F)` from the face classifier.
        identities: `(C, F)` weight vectors, one a person; only their directions count.
        labels: `(B,)` person of each face.
        margin: m.
        anneal: weight of the plain cosine beside psi, from `annealing(step)`.

    Returns:
        `(B,)` non-negative losses.
    """
    norm = features.norm(dim=1, keepdim=True)
    cosine = F.normalize(features, dim=1) @ F.normalize(identities, dim=1).T  # (B, C)
    target = cosine.gather(1, labels[:, None])
    eased = (anneal * target + angular_margin(target, margin)) / (1 + anneal)
    logits = norm * cosine.scatter(1, labels[:, None], eased)
    return F.cross_entropy(logits, labels, reduction="none")

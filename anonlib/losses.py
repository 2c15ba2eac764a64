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


def classifier_loss(modified: Tensor, clear: Tensor, *, clear_weight: float = 1.0) -> Tensor:
    """What D minimises: -L_adv, the classification loss on modified and on clear faces.

    Implements Ren et al., Eq. (2), for D. Differs from the paper: the clear term has a weight,
    1 at `paper`; the small networks of `laptop` need more to stay accurate on clear faces.

    Args:
        modified: `(B,)` values of L_D(M(f), i_f).
        clear: `(B,)` values of L_D(f, i_f).
        clear_weight: weight of the clear term.

    Returns:
        A scalar.

    >>> import torch
    >>> classifier_loss(torch.tensor([2.0, 4.0]), torch.tensor([1.0, 1.0])).item()
    4.0
    """
    return modified.mean() + clear_weight * clear.mean()


def modifier_loss(modified: Tensor, *, ceiling: float = float("inf")) -> Tensor:
    """What M minimises of L_adv: the negated classification loss of modified faces.

    Implements Ren et al., Eq. (2), for M (its second term does not depend on M): gradient ascent
    on the loss of the true identity. Differs from the paper: A-Softmax has no upper bound, so the
    ascent of a face stops at a ceiling; infinite at `paper`.

    Args:
        modified: `(B,)` values of L_D(M(f), i_f).
        ceiling: loss beyond which a face has been changed enough.

    Returns:
        A scalar, at most 0.

    >>> import torch
    >>> modifier_loss(torch.tensor([2.0, 9.0]), ceiling=7.0).item()
    -4.5
    """
    return -modified.clamp(max=ceiling).mean()


def photorealistic_loss(modified: Tensor, original: Tensor, *, weight: float = 1.0) -> Tensor:
    """lambda ||M(f) - f||_1, the mean over faces, channels and pixels.

    Implements Ren et al., Eq. (3). Differs from the paper: none; the norm is a mean over pixels,
    so that lambda does not depend on the size of a face.

    Args:
        modified: `(B, 3, H, W)` in [0, 1].
        original: `(B, 3, H, W)` in [0, 1].
        weight: lambda.

    Returns:
        A scalar; 0 when nothing was changed.

    >>> import torch
    >>> f = torch.zeros(1, 3, 2, 2)
    >>> photorealistic_loss(f + 0.5, f, weight=2.0).item()
    1.0
    """
    return weight * (modified - original).abs().mean()


def critic_loss(real: Tensor, drawn: Tensor) -> Tensor:
    """What the critic minimises: 1 for photographs, 0 for what M drew.

    Implements Mao et al. (LSGAN, ICCV 2017), Eq. (2), b = 1, a = 0.
    Differs from the paper: Ren et al. have no critic; their L1 term alone keeps faces realistic.

    Args:
        real: `(B, ...)` values for photographs.
        drawn: `(B, ...)` values for modified faces.

    >>> import torch
    >>> critic_loss(torch.ones(2), torch.zeros(2)).item()
    0.0
    """
    return ((real - 1).square().mean() + drawn.square().mean()) / 2


def realism_loss(drawn: Tensor) -> Tensor:
    """What M minimises of it: its faces should count as photographs.

    >>> import torch
    >>> realism_loss(torch.zeros(2)).item()
    0.5
    """
    return (drawn - 1).square().mean() / 2

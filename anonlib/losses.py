r"""The losses of the paper, in the order of its equations.

| paper | here | |
|---|---|---|
| $L_{det}$, Eq. (1) | `networks.ActionDetector.losses` | action detection |
| $L_D$ in Eq. (2) | `angular_softmax_loss` | classification of a face by D |
| $-L_{adv}$, Eq. (2) | `classifier_loss` | minimised by D |
| $L_{adv}$, Eq. (2) | `modifier_loss` | minimised by M |
| $L_{l1}$, Eq. (3) | `photorealistic_loss` | minimised by M |
| $L$, Eq. (4) | `training.algorithm1.update_modifier_and_detector` | their sum |

Symbols: f is a face, i_f its person, M(f) the modified face, x = D(f) its feature, y the index of
its person. `modified` and `clear` are the values of L_D for M(f) and f.

For a feature x with angle theta_j to the weight vector of person j and an integer margin m,

$$L_D = -\log \frac{e^{\|x\| \psi(\theta_y)}}
                   {e^{\|x\| \psi(\theta_y)} + \sum_{j \ne y} e^{\|x\| \cos \theta_j}},
\qquad \psi(\theta) = (-1)^k \cos(m \theta) - 2k, \;
\theta \in [k\pi/m, (k+1)\pi/m].$$

Training with a large margin is hard to start. So the logit of the true person is the weighted mean
of cos, with weight a, and psi, with weight 1 (Liu et al., CVPR 2017); a falls during training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def annealing(step: int, *, start: float = 1500.0, rate: float = 0.1, floor: float = 5.0) -> float:
    """Weight a of the cosine at a training step: start / (1 + rate * step), at least the floor.

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
    """L_D(f, i_f) of each face, `(B,)`, at least 0.

    `features` are the `(B, F)` outputs of D. `identities` are `(C, F)` weight vectors, one for each person;
    only their directions count. `margin` is m, and `anneal` is a, see `annealing`.

    Implements Ren et al., L_D of Eq. (2), the angular softmax of SphereFace.
    Differs from the paper: none.
    """
    norm = features.norm(dim=1, keepdim=True)
    cosine = F.normalize(features, dim=1) @ F.normalize(identities, dim=1).T  # (B, C)
    target = cosine.gather(1, labels[:, None])
    eased = (anneal * target + angular_margin(target, margin)) / (1 + anneal)
    logits = norm * cosine.scatter(1, labels[:, None], eased)
    return F.cross_entropy(logits, labels, reduction="none")


def classifier_loss(modified: Tensor, clear: Tensor, *, clear_weight: float = 1.0) -> Tensor:
    """-L_adv, which D minimises: mean L_D of modified and of clear faces, from `(B,)` values of each.

    Implements Ren et al., Eq. (2), for D. Differs from the paper: the clear term has a weight. It
    is 1 at `paper`; the small networks of `laptop` need more to stay accurate on clear faces.

    >>> classifier_loss(torch.tensor([2.0, 4.0]), torch.tensor([1.0, 1.0])).item()
    4.0
    """
    return modified.mean() + clear_weight * clear.mean()


def modifier_loss(modified: Tensor, *, ceiling: float = float("inf")) -> Tensor:
    """L_adv, which M minimises: negative mean L_D of modified faces, from `(B,)` values; at most 0.

    Implements Ren et al., Eq. (2), for M; the clear term does not depend on M. Differs from the
    paper: A-Softmax has no upper bound, so a face whose loss exceeds a ceiling adds no gradient.
    At `paper` there is no ceiling.

    >>> modifier_loss(torch.tensor([2.0, 9.0]), ceiling=7.0).item()
    -4.5
    """
    return -modified.clamp(max=ceiling).mean()


def photorealistic_loss(modified: Tensor, original: Tensor, *, weight: float = 1.0) -> Tensor:
    """lambda ||M(f) - f||_1, averaged over faces `(B, 3, H, W)` in [0, 1]; lambda is `weight`.

    Implements Ren et al., Eq. (3). Differs from the paper: the L1 norm is divided by the number
    of channels and pixels, so that lambda does not depend on the size of a face.

    >>> f = torch.zeros(1, 3, 2, 2)
    >>> photorealistic_loss(f + 0.5, f, weight=2.0).item()
    1.0
    """
    return weight * (modified - original).abs().mean()


def redraw_loss(modified: Tensor, redrawn: Tensor) -> Tensor:
    """L1 distance of pictures and of their gradients, averaged; both `(B, 3, H, W)` in [0, 1].

    Pre-training of M on pairs: `redrawn` shows another person in the same picture.
    Differs from the paper: the paper does not say how M is initialised.

    >>> f = torch.zeros(1, 3, 2, 2)
    >>> redraw_loss(f + 0.5, f).item()
    0.5
    """
    error = modified - redrawn
    across, down = error.diff(dim=3).abs().mean(), error.diff(dim=2).abs().mean()
    return error.abs().mean() + across + down


def critic_loss(real: Tensor, modified: Tensor) -> Tensor:
    """What the critic minimises: its output should be 1 for real pictures and 0 for modified ones.

    Implements Mao et al. (LSGAN, ICCV 2017), Eq. (2), b = 1, a = 0.
    Differs from the paper: Ren et al. have no critic, only the L1 loss keeps faces realistic.

    Args:
        real: `(B, ...)` outputs for real pictures.
        modified: `(B, ...)` outputs for modified ones.

    >>> critic_loss(torch.ones(2), torch.zeros(2)).item()
    0.0
    """
    return ((real - 1).square().mean() + modified.square().mean()) / 2


def realism_loss(modified: Tensor) -> Tensor:
    """What M minimises: the critic's `(B, ...)` outputs for modified pictures should be 1.

    Implements Mao et al. (LSGAN, ICCV 2017), Eq. (2), c = 1. Differs from the paper: as above.

    >>> realism_loss(torch.zeros(2)).item()
    0.5
    """
    return (modified - 1).square().mean() / 2


def contrastive_loss(features: Tensor, others: Tensor, same: Tensor, *, margin: float = 3.0) -> Tensor:
    r"""Pulls features of one person together, and pushes those of two people apart up to a margin m.

    With the Euclidean distance d of two features, and y = 1 if they are of one person, else 0,

    $$L_{con} = \tfrac{1}{2} \left( y d^2 + (1 - y) \max(0, m - d)^2 \right).$$

    Implements the contrastive loss of CIAGAN (Maximov et al., CVPR 2020), after Hadsell et al. (CVPR 2006),
    Eq. (4), whose y is 1 - y here. Differs from the paper: the talk gives no equation, this one is the public
    code's. It is averaged over the batch.

    Features are `(B, F)`; `same` is `(B,)`, whether both are of one person.

    >>> x = torch.zeros(2, 2)
    >>> contrastive_loss(x, x + torch.tensor([0.0, 2.0]), torch.tensor([True, False])).item()
    1.25
    """
    square = (features - others).square().sum(1)
    push = (margin - square.clamp(min=1e-12).sqrt()).clamp(min=0).square()  # no NaN where d = 0
    return (torch.where(same, square, push) / 2).mean()


def proxy_nca_loss(features: Tensor, proxies: Tensor, labels: Tensor, *, scale: float = 9.0) -> Tensor:
    r"""Pulls each feature x to the proxy p of its person y, away from the proxies of others.

    With x and p of length one, d the squared Euclidean distance, and a scale s,

    $$L_{PNCA} = -\log \frac{e^{-s d(x, p_y)}}{\sum_{z \ne y} e^{-s d(x, p_z)}}.$$

    Implements Proxy-NCA (Movshovitz-Attias et al., ICCV 2017), with which CIAGAN's talk pre-trains the
    identity network. Differs from the paper: the sum holds y too, so that the loss is at least 0; the
    scale makes features of length one separable, the talk has none.

    Features are `(B, F)`, proxies `(C, F)`, one for each person; labels `(B,)` count from 0.

    >>> x = torch.eye(2)
    >>> round(proxy_nca_loss(x, x, torch.tensor([0, 1]), scale=1.0).item(), 3)  # log(1 + e^-2)
    0.127
    """
    cosine = F.normalize(features, dim=1) @ F.normalize(proxies, dim=1).T  # d = 2 - 2 cosine
    return F.cross_entropy(2 * scale * cosine, labels)


def attractor_loss(drawn: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """L1 distance of maps of a face network for drawn faces and for given ones, relative to the latter.

    Implements the attractor of Gafni et al. (ICCV 2019), the sum over levels n of ||a_n(x) - a_n(z)||_1, from
    memory. Differs from the paper: each level is divided by its size, so that all count alike.

    The maps are `(B, C, h, w)`, in the same order in both.

    >>> attractor_loss([torch.tensor([[1.0]])], [torch.tensor([[2.0]])]).item()
    0.5
    """
    errors = [
        (a - b).abs().mean() / b.detach().abs().mean().clamp(min=1e-6)
        for a, b in zip(drawn, wanted, strict=True)
    ]
    return torch.stack(errors).mean()


def repeller_loss(drawn: Tensor, target: Tensor, weights: Tensor, ceilings: Tensor) -> Tensor:
    """-w ||a_1(t) - a_1(z)||_1 / sqrt(F), averaged: pushes descriptors away from those of the targets.

    Implements the repeller of Gafni et al. (ICCV 2019), lambda ||a_1(t) - a_1(z)||_1 with lambda < 0, from
    memory; a weight w is -lambda. Differs from the paper: it stops at a ceiling. Two strangers are 1.13 apart
    on average; a face that is further than that from its own person would give the person away again.

    Descriptors are `(B, F)` of length one; weights and ceilings are `(B,)`.

    >>> x = torch.eye(2)
    >>> round(repeller_loss(x, x.flip(0), torch.tensor([2.0, 0.0]), torch.tensor([9.0, 9.0])).item(), 3)
    -1.414
    """
    distance = (drawn - target).abs().sum(1) / math.sqrt(drawn.shape[1])
    return -(weights * distance.minimum(ceilings)).mean()


def mask_loss(masks: Tensor, *, size: float, edges: float) -> Tensor:
    """Weighted mean of masks `(B, 1, H, W)` in [0, 1] and of their gradients.

    Implements the mask terms of Gafni et al. (ICCV 2019), from memory. Differs from the paper: means.

    >>> mask_loss(torch.ones(1, 1, 2, 2), size=0.5, edges=1.0).item()
    0.5
    """
    gradients = masks.diff(dim=3).abs().mean() + masks.diff(dim=2).abs().mean()
    return size * masks.mean() + edges * gradients


def mixup_loss(ratings: Tensor, shares: Tensor) -> Tensor:
    """What a critic minimises whose `(B, ...)` ratings name the share `(B,)` of a real picture in a mixture.

    Implements the discriminator of Gafni et al. (ICCV 2019) with mixup, from memory. Differs from the paper:
    least squares on each patch.

    >>> mixup_loss(torch.ones(2, 1, 4, 4), torch.tensor([1.0, 0.0])).item()
    0.5
    """
    return (ratings - shares.reshape(-1, *[1] * (ratings.ndim - 1))).square().mean()


def password_identity_loss(
    anonymized: Tensor, restored: Tensor, wrong: Tensor, *, ceiling: float = float("inf")
) -> Tensor:
    """L_adv + L_rec_cls: F should miss faces A and W, and know R; from `(B,)` values of L_D of each.

    Implements Gu et al. (FIT, ECCV 2020), the identity losses of T, as the public code sums them. Differs
    from the paper: values of A and W above a ceiling add no gradient, as in `modifier_loss`.

    >>> a, r, w = torch.tensor([9.0]), torch.tensor([1.0]), torch.tensor([3.0])
    >>> password_identity_loss(a, r, w, ceiling=7.0).item()
    -3.0
    """
    hidden = modifier_loss(anonymized, ceiling=ceiling) + modifier_loss(wrong, ceiling=ceiling)
    return (hidden + restored.mean()) / 3


def password_feature_loss(first: Tensor, second: Tensor, wrong: Tensor, other: Tensor) -> Tensor:
    """L_feat: faces under different passwords should look like different people; `(B, F)` features of each.

    The faces are A_1 and A_2, from one face and two passwords, and W_1 and W_2, from A_1 and two wrong ones.
    Implements Gu et al. (FIT, ECCV 2020): 2 cos(A_1, A_2) + cos(W_1, W_2) + cos(A_1, W_1), each at least 0.
    Differs from the paper: none known; its equation could not be read, the form is that of the public code.

    >>> x, y = torch.eye(2)[:1], torch.eye(2)[1:]
    >>> password_feature_loss(x, x, y, -y).item()
    2.0
    """
    pairs = ((2.0, first, second), (1.0, wrong, other), (1.0, first, wrong))
    cosines = [weight * F.cosine_similarity(a, b).clamp(min=0).mean() for weight, a, b in pairs]
    return torch.stack(cosines).sum()


def password_loss(logits: Tensor, password: Tensor) -> Tensor:
    """L_aux: Q should read the password; `(B, n)` logits, and its bits or planes `(B, n)` of -1 and 1.

    Implements Gu et al. (FIT, ECCV 2020). Differs from the paper: a binary cross-entropy of each bit, not of
    sixteen classes for each four bits.

    >>> password_loss(torch.tensor([[9.0, -9.0]]), torch.tensor([[1.0, -1.0]])).item() < 1e-3
    True
    """
    return F.binary_cross_entropy_with_logits(logits, (password + 1) / 2)

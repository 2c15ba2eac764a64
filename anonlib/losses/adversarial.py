"""L_adv of Eq. (2), seen from the two players.

L_adv = -E[L_D(M(f), i_f)] - E[L_D(f, i_f)]: D maximises it, M minimises it. The functions take the
per-face losses L_D and know nothing of networks.
"""

from __future__ import annotations

from torch import Tensor


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

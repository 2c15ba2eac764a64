"""An attacker who has T of FIT, and no password."""

from __future__ import annotations

import torch
from torch import Tensor

from anonlib.metrics.image_quality import total_variation
from anonlib.networks.fit import PLANES, FaceTransformer, all_passwords

PART = 64
"""Pictures that are made at once."""


@torch.inference_mode()
def unlocked(transformer: FaceTransformer, hidden: Tensor) -> Tensor:
    """T(A, q) for a hidden face A `(3, S, S)` and every password q: `(2^bits, 3, S, S)` in [0, 1].

    The order is that of `all_passwords`. The right password is among them, and it gives the original. That
    picture has the least total variation of all, so no clear picture of the person is needed to find it.
    """
    tried = all_passwords(transformer.config.bits).split(PART)
    return torch.cat([transformer(hidden.expand(len(part), -1, -1, -1), part) for part in tried])


@torch.inference_mode()
def bit_by_bit(transformer: FaceTransformer, hidden: Tensor, *, sweeps: int = 3) -> Tensor:
    """The code of a password `(B, PLANES)` that makes hidden faces `(B, 3, S, S)` smooth again.

    Flips one of the directions at a time, and keeps what has less total variation: 16 tries a sweep, where
    the 16 directions have 65,536 combinations. A longer password does not stop this attacker.
    """
    best = torch.ones(len(hidden), PLANES)
    least = total_variation(transformer.turn(hidden, best))
    for plane in list(range(PLANES)) * sweeps:
        other = best.clone()
        other[:, plane] *= -1
        found = total_variation(transformer.turn(hidden, other))
        best = torch.where((found < least)[:, None], other, best)
        least = torch.minimum(found, least)
    return best

"""Solutions of chapter 16.

1. TODO
2. TODO
3. TODO
"""

import numpy as np
import torch.nn.functional as F


def hide(faces):
    """Step 2: sixteen grey cells of four levels, at most 32 bits."""
    return coarse(faces)


def kept(before, after):
    """Step 5."""
    parts = []
    for b, a in zip(before.T, after.T, strict=True):
        varies = min(b.std(), a.std()) > 0.001
        parts.append(max(0, np.corrcoef(b, a)[0, 1]) if varies else 0)
    return np.mean(parts)


def coarse(faces):
    """Exercise 3."""
    cells = F.adaptive_avg_pool2d(faces.mean(1, keepdim=True), 4)
    levels = (3 * cells).round() / 3
    return F.interpolate(levels, faces.shape[2:]).repeat(1, 3, 1, 1)

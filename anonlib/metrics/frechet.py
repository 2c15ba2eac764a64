"""Fréchet distance between two sets of features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def frechet_distance(features: Floats, others: Floats) -> float:
    r"""Squared Fréchet distance of normal distributions fitted to features `(N, F)` and `(M, F)`.

    $$\|\mu_1 - \mu_2\|^2 + \mathrm{tr}(C_1 + C_2 - 2 (C_1 C_2)^{1/2})$$

    Implements the FID of Heusel et al. (NeurIPS 2017). Differs from the paper: the features are the caller's,
    not those of Inception. Fewer features than dimensions make it larger, so compare equal numbers only.

    >>> x = np.random.default_rng(0).normal(size=(500, 3))
    >>> round(frechet_distance(x, x), 6), round(frechet_distance(x, x + 2), 6)
    (0.0, 12.0)
    """
    a, b = (np.cov(each.astype(np.float64), rowvar=False) for each in (features, others))
    root = _root(a)
    both = np.trace(_root(root @ b @ root))
    shift = features.mean(0, dtype=np.float64) - others.mean(0, dtype=np.float64)
    return float(shift @ shift + np.trace(a) + np.trace(b) - 2 * both)


def _root(matrix: Floats) -> Floats:
    """The square root of a symmetric matrix without negative eigenvalues, but for rounding."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    out: Floats = (vectors * values.clip(min=0) ** 0.5) @ vectors.T
    return out

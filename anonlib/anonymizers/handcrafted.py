"""The hand-crafted baselines of the paper.

Each is a pure function of float RGB faces `(B, 3, H, W)` in [0, 1] to the same shape and range.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

EDGE_SIGMA = 1.0
"""Standard deviation in pixels of the Gaussian of the Canny detector."""
SUPERPIXELS = 64
"""Requested number of super-pixels in an enlarged face: as many as pixels in `blur8`."""


def unanonymized(faces: Tensor) -> Tensor:
    """The faces, unchanged.

    >>> faces = torch.rand(2, 3, 8, 8)
    >>> torch.equal(unanonymized(faces), faces)
    True
    """
    return faces.clone()


def blur(faces: Tensor, *, grid: int) -> Tensor:
    """Faces downsampled to `grid` x `grid` pixels and upsampled again.

    Implements Ren et al., section 5.2, Blur. Differs from the paper: the paper does not state the
    filters; here downsampling is bilinear with antialiasing, upsampling bilinear.

    >>> blur(torch.rand(2, 3, 32, 40), grid=8).shape
    torch.Size([2, 3, 32, 40])
    """
    small = F.interpolate(faces, (grid, grid), mode="bilinear", antialias=True)
    return F.interpolate(small, faces.shape[2:], mode="bilinear").clamp(0, 1)


def mask(faces: Tensor) -> Tensor:
    """Black faces.

    Implements Ren et al., section 5.2, Masked. Differs from the paper: none.

    >>> mask(torch.rand(1, 3, 8, 8)).max()
    tensor(0.)
    """
    return torch.zeros_like(faces)


def noise(faces: Tensor, *, variance: float) -> Tensor:
    """Faces plus Gaussian noise of that variance, clipped to [0, 1].

    The seed of the noise is a hash of the face, so that the noise does not depend on the batch and
    differs between faces.

    Implements Ren et al., section 5.2, Noise. Differs from the paper: the paper does not state the
    range of pixel values; here it is [0, 1].

    >>> noise(torch.full((1, 3, 8, 8), 0.5), variance=0.1).std() > 0.2
    tensor(True)
    """
    drawn = [_standard_noise(face) for face in faces]
    return (faces + variance**0.5 * torch.stack(drawn)).clamp(0, 1)


def _standard_noise(face: Tensor) -> Tensor:
    """Standard normal noise `(3, H, W)`, seeded by the 8-bit pixels of the face."""
    pixels = (face.detach() * 255).round().to(device="cpu", dtype=torch.uint8).contiguous()
    digest = hashlib.blake2b(pixels.numpy().tobytes(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
    return torch.randn(face.shape, generator=generator).to(face)


def edge(faces: Tensor) -> Tensor:
    """Edges of the faces, white on black.

    Implements Ren et al., section 5.2, Edge. Differs from the paper: the paper does not name the
    edge detector; here it is Canny's, with a Gaussian of one pixel and thresholds 0.1 and 0.2.

    >>> step = torch.zeros(1, 3, 16, 16)
    >>> step[..., 8:] = 1
    >>> edge(step)[0, 0].any(dim=0).nonzero().flatten()
    tensor([7, 8])
    """
    return torch.stack([_from_array(_canny(_to_array(face)), face) for face in faces])


def superpixel(faces: Tensor) -> Tensor:
    """Faces with each pixel replaced by the mean colour of its super-pixel.

    Implements Ren et al., section 5.2, Super-pixel. Differs from the paper: the paper does not state
    method and number of super-pixels; here SLIC makes about 64 in the enlarged face.

    >>> len(superpixel(torch.rand(1, 3, 32, 32))[0, 0].unique()) <= 100
    True
    """
    return torch.stack([_from_array(_slic_means(_to_array(face)), face) for face in faces])


def _canny(image: NDArray[Any]) -> NDArray[Any]:
    from skimage.feature import canny

    grey = image @ np.array([0.299, 0.587, 0.114])
    edges = canny(grey, sigma=EDGE_SIGMA, low_threshold=0.1, high_threshold=0.2)
    return np.repeat(edges[:, :, None], 3, axis=2)


def _slic_means(image: NDArray[Any]) -> NDArray[Any]:
    from skimage.segmentation import slic

    segments = slic(image, n_segments=SUPERPIXELS, compactness=10, start_label=0, channel_axis=2)
    index = segments.ravel()
    count = np.bincount(index)
    sums = [np.bincount(index, weights=image[:, :, c].ravel()) for c in range(3)]
    return (np.stack(sums, axis=1) / np.maximum(count, 1)[:, None])[segments]


def _to_array(face: Tensor) -> NDArray[Any]:
    return face.detach().permute(1, 2, 0).double().cpu().numpy()


def _from_array(image: NDArray[Any], like: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).to(like).clamp(0, 1)

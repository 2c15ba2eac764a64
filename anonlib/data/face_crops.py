"""Canonical crops of the faces in picture files: find landmarks, rotate upright, crop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from anonlib.data.crop_cache import Arrays, cache_file, cached, stored_images
from anonlib.data.images import read_image, resize_picture
from anonlib.detection.mtcnn import DetectLandmarks, MtcnnLandmarks
from anonlib.geometry import CANONICAL_LANDMARKS, similarity_transform, warp_affine
from anonlib.types import FaceImages, Images, fit_in_memory, join_images

LARGEST_SIDE = 1024
"""Larger pictures are reduced to this many pixels on the longer side before faces are detected."""
_CHUNK = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Crops:
    """Canonical crops of a list of pictures. Pictures without a face have a black crop."""

    images: Images
    """`(N, 3, S, S)` uint8."""
    landmarks: Tensor
    """`(N, 5, 2)` float xy pixels of the crop; 0 without a face."""
    found: Tensor
    """`(N,)` bool, whether the picture holds a face."""

    def faces(self, chosen: Tensor, labels: Tensor | None = None) -> FaceImages:
        """The crops chosen by `(N,)` bool. Their labels, `(N,)` or all 0, are renumbered without gaps."""
        labels = torch.zeros(len(chosen), dtype=torch.int64) if labels is None else labels
        _, compact = torch.unique(labels[chosen], return_inverse=True)
        faces = FaceImages(images=self.images, labels=labels, landmarks=self.landmarks)
        return replace(faces.select(chosen), labels=compact)


def crop_face(picture: Tensor, landmarks: Tensor, *, size: int) -> tuple[Tensor, Tensor]:
    """The canonical crop of a face: upright, with the whole head, eyes 1/4.6 of the side apart.

    Takes a picture, uint8 `(3, H, W)`, and landmarks, `(5, 2)` xy pixels; returns the crop, uint8
    `(3, size, size)`, and the landmarks in it. Beyond the picture, its border is repeated.

    >>> crop, points = crop_face(torch.zeros(3, 50, 50).byte(), 40 * CANONICAL_LANDMARKS, size=20)
    >>> crop.shape, torch.allclose(points, 20 * CANONICAL_LANDMARKS, atol=1e-4)
    (torch.Size([3, 20, 20]), True)
    """
    margin = max(picture.shape[1:]) // 2
    padded = F.pad(picture[None].float(), (margin,) * 4, mode="replicate")
    source = landmarks[None].float() + margin
    matrix = similarity_transform(source, CANONICAL_LANDMARKS * size)
    points = source[0] @ matrix[0, :, :2].T + matrix[0, :, 2]
    fine = max(1, int(np.ceil(1 / float(torch.linalg.vector_norm(matrix[0, 0, :2])) - 1e-3)))
    fine = min(fine, 16)  # samples per pixel and direction, against aliasing
    crop = F.avg_pool2d(warp_affine(padded, matrix * fine, (size * fine, size * fine)), fine)
    return crop[0].round().clamp(0, 255).to(torch.uint8), points


def crop_pictures(
    paths: Sequence[Path], *, size: int, detect: DetectLandmarks | None = None, progress: bool = True
) -> Crops:
    """Canonical crops of the faces in picture files, from the cache where it has them; by default of MTCNN.

    Crops that do not fit into memory stay in the cache and are read when they are used.

    Raises:
        ImageError: a file is no readable picture.
        ResultsError: the crops do not fit into memory, and the cache cannot be written.
    """
    key = getattr(detect or MtcnnLandmarks, "cache_key", None)
    finder = cache(lambda: detect or MtcnnLandmarks())  # loaded only if the cache lacks something
    lazy = key is not None and not fit_in_memory(len(paths), size=size)
    crop = partial(_crop_part, size=size, finder=finder)
    parts = [crop([], key=None, lazy=False)]
    with tqdm(total=len(paths), desc="faces", unit="picture", disable=not progress) as bar:
        for start in range(0, len(paths), _CHUNK):
            parts.append(crop(paths[start : start + _CHUNK], key=key, lazy=lazy))
            bar.update(len(parts[-1].found))
    return join_crops(parts)


def join_crops(parts: Sequence[Crops]) -> Crops:
    """The crops of several lists of pictures as those of one list."""
    return Crops(
        images=join_images([p.images for p in parts]),
        landmarks=torch.cat([p.landmarks for p in parts]),
        found=torch.cat([p.found for p in parts]),
    )


def _crop_part(
    paths: Sequence[Path], *, size: int, key: str | None, lazy: bool, finder: Callable[[], DetectLandmarks]
) -> Crops:
    file = cache_file(paths, key=key, size=size)
    compute = partial(_crop_chunk, paths, size=size, finder=finder)
    arrays = cached(compute, file, without=("images",) if lazy else ())
    images = stored_images(file) if lazy and file else torch.from_numpy(arrays["images"])
    landmarks, found = (torch.from_numpy(arrays[name]) for name in ("landmarks", "found"))
    return Crops(images=images, landmarks=landmarks, found=found)


def _crop_chunk(paths: Sequence[Path], *, size: int, finder: Callable[[], DetectLandmarks]) -> Arrays:
    pictures = [_reduced(read_image(path)) for path in paths]
    images = np.zeros((len(paths), 3, size, size), np.uint8)
    landmarks = np.zeros((len(paths), 5, 2), np.float32)
    found = np.zeros(len(paths), bool)
    for index, points in enumerate(finder()(pictures) if pictures else []):
        if points is not None:
            crop, inside = crop_face(pictures[index], points, size=size)
            images[index], landmarks[index], found[index] = crop.numpy(), inside.numpy(), True
    return {"images": images, "landmarks": landmarks, "found": found}


def _reduced(picture: Tensor) -> Tensor:
    height, width = picture.shape[1:]
    scale = LARGEST_SIDE / max(height, width)
    if scale >= 1:
        return picture
    return resize_picture(picture, (max(1, round(height * scale)), max(1, round(width * scale))))

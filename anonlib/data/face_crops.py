"""Canonical crops of the faces in picture files: find landmarks, rotate upright, crop, cache."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from anonlib.data.images import read_image, resize_picture
from anonlib.detection.mtcnn import DetectLandmarks, MtcnnLandmarks
from anonlib.errors import ResultsError
from anonlib.files import complete
from anonlib.geometry import CANONICAL_LANDMARKS, similarity_transform, warp_affine
from anonlib.types import FaceImages

LARGEST_SIDE = 1024
"""Larger pictures are reduced to this many pixels on the longer side before faces are detected."""
_CHUNK = 128
_FORMAT = 1
_log = logging.getLogger(__name__)
Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crops:
    """Canonical crops of a list of pictures. Pictures without a face have a black crop."""

    images: Tensor
    """`(N, 3, S, S)` uint8."""
    landmarks: Tensor
    """`(N, 5, 2)` float xy pixels of the crop; 0 without a face."""
    found: Tensor
    """`(N,)` bool, whether the picture holds a face."""

    def faces(self, chosen: Tensor, labels: Tensor | None = None) -> FaceImages:
        """The crops chosen by `(N,)` bool. Their labels, `(N,)` or all 0, are renumbered without gaps."""
        labels = torch.zeros(len(chosen), dtype=torch.int64) if labels is None else labels
        _, compact = torch.unique(labels[chosen], return_inverse=True)
        return FaceImages(images=self.images[chosen], labels=compact, landmarks=self.landmarks[chosen])


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

    Raises:
        ImageError: a file is no readable picture.
    """
    key = getattr(detect or MtcnnLandmarks, "cache_key", None)
    finder = cache(lambda: detect or MtcnnLandmarks())  # loaded only if the cache lacks something
    parts = [_crop_chunk([], size=size, finder=finder)]
    with tqdm(total=len(paths), desc="faces", unit="picture", disable=not progress) as bar:
        for start in range(0, len(paths), _CHUNK):
            part = paths[start : start + _CHUNK]
            compute = partial(_crop_chunk, part, size=size, finder=finder)
            parts.append(cached(compute, files=part, key=key, size=size))
            bar.update(len(part))
    return Crops(**{name: torch.from_numpy(np.concatenate([p[name] for p in parts])) for name in parts[0]})


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


def cache_folder() -> Path:
    """Where crops are cached: `$ANONLIB_CACHE`, else `~/.cache/anonlib`. It may be deleted."""
    return Path(os.environ.get("ANONLIB_CACHE") or Path.home() / ".cache" / "anonlib")


def cached(compute: Callable[[], Arrays], *, files: Sequence[Path], key: str | None, size: int) -> Arrays:
    """What `compute` makes of the files, from the cache if their paths, lengths and times are unchanged.

    `key` is the name and version of the method. With None, the cache is neither read nor written.
    """
    if key is None:
        return compute()
    states = [(str(file.resolve()), file.stat()) for file in files if file.exists()]
    facts = [_FORMAT, key, size, [(p, s.st_size, s.st_mtime_ns) for p, s in states]]
    name = hashlib.blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()
    path = cache_folder() / "faces" / f"{name}.npz"
    try:
        with path.open("rb") as old, np.load(old, allow_pickle=False) as stored:
            return {array: stored[array] for array in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        arrays = compute()  # the file is missing or damaged
    try:
        with complete(path) as new:
            np.savez(new, **arrays)  # type: ignore[arg-type]
    except ResultsError:
        pass  # another process is writing the same crops
    except OSError as error:
        _log.warning("face crops are not cached: %s (ANONLIB_CACHE chooses a folder)", error)
    return arrays

"""Canonical face crops of real pictures: find five landmarks, turn upright, cut out, remember."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from anonlib.data.crop_cache import Arrays, cached
from anonlib.data.images import read_image
from anonlib.geometry import CANONICAL_LANDMARKS, similarity_transform, warp_affine

DetectLandmarks = Callable[[Sequence[Tensor]], list[Tensor | None]]
"""Pictures, uint8 RGB `(3, H, W)` of any sizes, to the `(5, 2)` landmarks of the person in each,
or None. Crops are remembered between runs if it has an attribute `cache_key`, a string that
changes with its results."""

LARGEST_SIDE = 1024
"""Pictures are reduced to this many pixels a side before a face is looked for."""
_CHUNK = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Crops:
    """Canonical crops of a list of pictures; those without a face are black."""

    images: Tensor
    """`(N, 3, S, S)` uint8."""
    landmarks: Tensor
    """`(N, 5, 2)` float xy pixels of the crop; 0 without a face."""
    found: Tensor
    """`(N,)` bool, whether the picture holds a face."""


class Mtcnn:
    """Five landmarks of the most prominent face by MTCNN, see `most_prominent`.

    Implements Ren et al., section 5.1, Face Recognition: crops follow MTCNN's keypoints.
    Differs from the paper: none.
    """

    cache_key = "mtcnn 1"

    def __init__(self, *, device: str = "cpu", probability: float = 0.9, batch: int = 16) -> None:
        """Loads the three networks that come with facenet-pytorch."""
        from facenet_pytorch import MTCNN

        self.network = MTCNN(keep_all=True, device=torch.device(device))
        self.probability = probability
        self.batch = batch

    def __call__(self, pictures: Sequence[Tensor]) -> list[Tensor | None]:
        """Landmarks `(5, 2)` in each picture, uint8 `(3, H, W)`, or None."""
        by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, picture in enumerate(pictures):
            by_size[tuple(picture.shape)].append(index)
        found: dict[int, Tensor | None] = {}
        for members in by_size.values():
            for start in range(0, len(members), self.batch):
                part = members[start : start + self.batch]
                stacked = torch.stack([pictures[i] for i in part])
                found.update(zip(part, self._detect(stacked), strict=True))
        return [found[i] for i in range(len(pictures))]

    def _detect(self, pictures: Tensor) -> list[Tensor | None]:
        """Landmarks in pictures of one size, `(B, 3, H, W)`."""
        centre = (pictures.shape[3] / 2, pictures.shape[2] / 2)
        return [
            most_prominent(*one, centre=centre, probability=self.probability)
            for one in run_mtcnn(self.network, pictures)
        ]


def run_mtcnn(network: Any, pictures: Tensor) -> list[tuple[Any, Any, Any]]:
    """Every face that facenet-pytorch's MTCNN finds in pictures of one size.

    Args:
        network: `facenet_pytorch.MTCNN`.
        pictures: `(B, 3, H, W)` uint8 RGB.

    Returns:
        Boxes `(K, 4)`, probabilities `(K,)` and landmarks `(K, 5, 2)` of each picture, arrays of
        numbers or of objects; without a face the boxes are None.
    """
    if min(pictures.shape[2:]) < network.min_face_size:
        return [(None, [None], None)] * len(pictures)
    boxes, chances, points = network.detect(pictures.permute(0, 2, 3, 1).numpy(), landmarks=True)
    return list(zip(boxes, chances, points, strict=True))


def most_prominent(
    boxes: Any, chances: Any, points: Any, *, centre: tuple[float, float], probability: float
) -> Tensor | None:
    """Landmarks of the face whose size, the root of its area, most exceeds its distance from
    the picture's centre.

    Args:
        boxes: `(K, 4)` xyxy, of numbers or of objects, or None.
        chances: `(K,)` probability that a box holds a face.
        points: `(K, 5, 2)` landmarks.
        centre: x and y of the picture's centre.
        probability: faces less sure than this do not count.

    Returns:
        `(5, 2)`, or None if no face counts.

    >>> most_prominent(None, [None], None, centre=(50, 50), probability=0.9) is None
    True
    """
    if boxes is None:
        return None
    boxes, chances = np.asarray(boxes, dtype=np.float64), np.asarray(chances, dtype=np.float64)
    width, height = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).T
    away = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - np.array(centre), axis=1)
    score = np.where(chances >= probability, np.sqrt(width * height) - away, -np.inf)
    best = int(score.argmax())
    if not np.isfinite(score[best]):
        return None
    return torch.as_tensor(np.asarray(points[best], dtype=np.float32))


def crop_face(picture: Tensor, landmarks: Tensor, *, size: int) -> tuple[Tensor, Tensor]:
    """The canonical crop of a face: upright, eyes a 4.6th of the side apart, the whole head in it.

    What lies beyond the picture repeats its border.

    Args:
        picture: uint8 `(3, H, W)`.
        landmarks: `(5, 2)` xy pixels.
        size: side of the crop.

    Returns:
        The crop, uint8 `(3, size, size)`, and the landmarks in it, float `(5, 2)`.

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
    fine = min(fine, 16)  # samples a pixel and direction, so that reducing does not alias
    crop = F.avg_pool2d(warp_affine(padded, matrix * fine, (size * fine, size * fine)), fine)
    return crop[0].round().clamp(0, 255).to(torch.uint8), points


def crop_pictures(
    paths: Sequence[Path],
    *,
    size: int,
    detect: DetectLandmarks | None = None,
    progress: bool = True,
) -> Crops:
    """Canonical crops of the faces in picture files, remembered in the cache.

    Args:
        paths: picture files.
        size: side of the crops.
        detect: finds the landmarks; `Mtcnn` by default.
        progress: whether to show a progress bar.

    Raises:
        ImageError: a file is no readable picture.
    """
    loaded = [] if detect is None else [detect]  # MTCNN is loaded when the cache has not all
    key = getattr(Mtcnn if detect is None else detect, "cache_key", None)

    def compute(part: Sequence[Path]) -> Arrays:
        if not loaded:
            loaded.append(Mtcnn())
        return _crop_chunk(part, size=size, detect=loaded[0])

    parts = []
    with tqdm(total=len(paths), desc="faces", unit="picture", disable=not progress) as bar:
        for start in range(0, len(paths), _CHUNK):
            part = paths[start : start + _CHUNK]
            parts.append(cached(partial(compute, part), files=part, key=key, size=size))
            bar.update(len(part))
    return _join(parts, size)


def _join(parts: list[Arrays], size: int) -> Crops:
    empty = {"images": np.zeros((0, 3, size, size), np.uint8), "found": np.zeros(0, bool),
             "landmarks": np.zeros((0, 5, 2), np.float32)}  # fmt: skip
    joined = {
        k: torch.from_numpy(np.concatenate([empty[k], *(p[k] for p in parts)])) for k in empty
    }
    return Crops(**joined)


def _crop_chunk(paths: Sequence[Path], *, size: int, detect: DetectLandmarks) -> Arrays:
    pictures = [_reduced(read_image(path)) for path in paths]
    images = np.zeros((len(paths), 3, size, size), np.uint8)
    landmarks = np.zeros((len(paths), 5, 2), np.float32)
    found = np.zeros(len(paths), bool)
    for index, points in enumerate(detect(pictures)):
        if points is not None:
            crop, inside = crop_face(pictures[index], points, size=size)
            images[index], landmarks[index], found[index] = crop.numpy(), inside.numpy(), True
    return {"images": images, "landmarks": landmarks, "found": found}


def _reduced(picture: Tensor) -> Tensor:
    height, width = picture.shape[1:]
    scale = LARGEST_SIDE / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = F.interpolate(picture[None].float(), size, mode="bilinear", antialias=True)
    return small[0].round().clamp(0, 255).to(torch.uint8)

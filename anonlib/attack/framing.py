"""People before and after anonymizing, cropped as a recogniser is given them.

In a `frame`, as a user meets it, the faces of a whole picture are found, anonymized and put back,
and then somebody looks for the face again. As a `crop`, the canonical crop is anonymized itself,
which is what M is trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from anonlib.anonymizers.frames import anonymize_frames
from anonlib.attack.verification import Anonymizer
from anonlib.data.face_crops import Arrays, Crops, cached, crop_face, crop_pictures
from anonlib.data.images import read_image
from anonlib.detection import Faces, MtcnnDetector
from anonlib.detection.mtcnn import most_prominent
from anonlib.errors import ConfigError
from anonlib.types import FaceImages

Detector = Callable[[Tensor], list[Faces]]
Find = Callable[[Sequence[Tensor]], list[Faces]]

SIZES = {"frame": 192, "crop": 128}
"""Side of the crops by framing: LFW's faces at their own size, and what M is trained on."""
PROBABILITY = 0.9
"""How sure the detector must be of the person whom a picture is about."""
CHUNK = 128
_CACHE_KEY = "all faces by mtcnn 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The same faces before and after anonymizing."""

    original: Crops
    """`found` says whether the picture holds a face at all; those without are black in both."""
    modified: Crops
    """`found` says whether the detector finds the face again. Its landmarks are then those found
    on the modified face, else those of the original: an attacker may guess as much."""

    @property
    def found_again(self) -> float:
        """Share of the faces that the detector still finds."""
        return float(self.modified.found[self.original.found].float().mean())


def see(
    paths: Sequence[Path],
    anonymizer: Anonymizer,
    *,
    framing: str,
    detector: Detector | None = None,
    progress: bool = True,
) -> Seen:
    """The person of each picture before and after anonymizing.

    Differs from the paper: which verifies crops; `frame` adds the detection around them.

    Args:
        paths: picture files.
        anonymizer: float faces `(N, 3, h, w)` in [0, 1] to the same shape.
        framing: `frame` or `crop`.
        detector: finds the faces, before and after; MTCNN by default, and then what it finds in
            the originals is remembered.
        progress: whether to show a progress bar.

    Raises:
        ConfigError: there is no such framing.
        ImageError: a file is no readable picture.
    """
    check_framing(framing)
    key = _CACHE_KEY if detector is None else None
    find = partial(find_faces, detector or MtcnnDetector())
    look = partial(_in_frames, key=key) if framing == "frame" else _as_crops
    parts = []
    with tqdm(total=len(paths), desc="faces", unit="picture", disable=not progress) as bar:
        for start in range(0, len(paths), CHUNK):
            part = paths[start : start + CHUNK]
            parts.append(look(part, anonymizer, find=find, size=SIZES[framing]))
            bar.update(len(part))
    return Seen(original=_join([p.original for p in parts]), modified=_join([p.modified for p in parts]))


def check_framing(framing: str) -> None:
    """Raises ConfigError if there is no such framing."""
    if framing not in SIZES:
        raise ConfigError(f"framing '{framing}' is unknown: use one of {', '.join(SIZES)}")


def face_images(crops: Crops, there: Tensor, labels: Tensor | None = None) -> FaceImages:
    """The crops that `(N,)` `there` chooses as face images.

    Args:
        crops: N of them.
        there: which hold a face.
        labels: `(N,)` person of each, renumbered without gaps; by default all are 0.
    """
    labels = torch.zeros(len(there), dtype=torch.int64) if labels is None else labels
    _, compact = torch.unique(labels[there], return_inverse=True)
    return FaceImages(images=crops.images[there], labels=compact, landmarks=crops.landmarks[there])


def _in_frames(
    paths: Sequence[Path], anonymizer: Anonymizer, *, find: Find, size: int, key: str | None
) -> Seen:
    pictures = [read_image(path) for path in paths]
    before = _remembered(lambda: find(pictures), paths, key=key)
    points = [_person(faces, picture) for faces, picture in zip(before, pictures, strict=True)]
    hidden = [
        _rounded(anonymize_frames(picture[None] / 255, [faces.boxes], anonymizer))[0]
        for faces, picture in zip(before, pictures, strict=True)
    ]
    again = _found_again(find(hidden), points)
    return Seen(
        original=_crop(pictures, points, size=size),
        modified=replace(
            _crop(hidden, [a if a is not None else p for a, p in zip(again, points, strict=True)], size=size),
            found=torch.tensor([a is not None for a in again], dtype=torch.bool),
        ),
    )


def _as_crops(paths: Sequence[Path], anonymizer: Anonymizer, *, find: Find, size: int) -> Seen:
    original = crop_pictures(paths, size=size, progress=False)
    hidden = _rounded(anonymizer(original.images / 255))
    points = [p if f else None for p, f in zip(original.landmarks, original.found, strict=True)]
    again = _found_again(find(list(hidden)), points)
    landmarks = [p if a is None else a for p, a in zip(original.landmarks, again, strict=True)]
    return Seen(
        original=original,
        modified=Crops(
            images=hidden,
            landmarks=torch.stack(landmarks),
            found=torch.tensor([a is not None for a in again], dtype=torch.bool),
        ),
    )


def find_faces(detector: Detector, pictures: Sequence[Tensor]) -> list[Faces]:
    """The faces of uint8 pictures `(3, H, W)` of any sizes, in order."""
    out: list[Faces] = []
    for _, same_size in groupby(pictures, key=lambda picture: picture.shape):
        out += detector(torch.stack(list(same_size)) / 255)
    return out


def nearest_landmarks(found: Faces, landmarks: Tensor) -> Tensor | None:
    """Landmarks of the found face that is where a face was, or None.

    Its points must be no further from the old ones than those are from their middle, root mean
    squares both: about what an overlap (IoU) of 0.5 asks of boxes.

    Args:
        found: the faces of a picture.
        landmarks: `(5, 2)` xy pixels of the face looked for.

    >>> points = torch.tensor([[0.0, 0.0], [4.0, 0.0], [2.0, 2.0], [0.0, 4.0], [4.0, 4.0]])
    >>> def moved(by):
    ...     return Faces(boxes=torch.zeros(1, 4), scores=torch.ones(1), landmarks=points[None] + by)
    >>> nearest_landmarks(moved(1.0), points) is None, nearest_landmarks(moved(2.0), points) is None
    (False, True)
    """
    if not len(found):
        return None
    away = (found.landmarks - landmarks).square().sum(2).mean(1)
    reach = (landmarks - landmarks.mean(0)).square().sum(1).mean()
    best = int(away.argmin())
    return found.landmarks[best] if away[best] <= reach else None


def _found_again(found: list[Faces], points: list[Tensor | None]) -> list[Tensor | None]:
    return [
        None if before is None else nearest_landmarks(faces, before)
        for faces, before in zip(found, points, strict=True)
    ]


def _person(faces: Faces, picture: Tensor) -> Tensor | None:
    """Landmarks of the person whom the picture is about."""
    if not len(faces):
        return None
    centre = (picture.shape[2] / 2, picture.shape[1] / 2)
    return most_prominent(faces, centre=centre, probability=PROBABILITY)


def _crop(pictures: list[Tensor], points: list[Tensor | None], *, size: int) -> Crops:
    images = torch.zeros(len(pictures), 3, size, size, dtype=torch.uint8)
    landmarks = torch.zeros(len(pictures), 5, 2)
    for index, (picture, found) in enumerate(zip(pictures, points, strict=True)):
        if found is not None:
            images[index], landmarks[index] = crop_face(picture, found, size=size)
    there = torch.tensor([found is not None for found in points], dtype=torch.bool)
    return Crops(images=images, landmarks=landmarks, found=there)


def _rounded(images: Tensor) -> Tensor:
    return (images * 255).round().to(torch.uint8)


def _remembered(compute: Callable[[], list[Faces]], paths: Sequence[Path], *, key: str | None) -> list[Faces]:
    """The faces of picture files, from the cache if there is a key and they have not changed."""

    def arrays() -> Arrays:
        faces = compute()
        return {
            "boxes": np.concatenate([f.boxes.numpy() for f in faces]),
            "scores": np.concatenate([f.scores.numpy() for f in faces]),
            "landmarks": np.concatenate([f.landmarks.numpy() for f in faces]),
            "counts": np.array([len(f) for f in faces]),
        }

    stored = cached(arrays, files=paths, key=key, size=0)
    counts = stored["counts"].tolist()
    boxes, scores, landmarks = (
        torch.from_numpy(stored[name]).split(counts) for name in ("boxes", "scores", "landmarks")
    )
    return [Faces(boxes=b, scores=s, landmarks=p) for b, s, p in zip(boxes, scores, landmarks, strict=True)]


def _join(parts: list[Crops]) -> Crops:
    return Crops(
        images=torch.cat([p.images for p in parts]),
        landmarks=torch.cat([p.landmarks for p in parts]),
        found=torch.cat([p.found for p in parts]),
    )

"""Do modified pictures of one person show one new person? Numbers for Fig. 6 (section 5.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from anonlib.attack.verification import face_features, recognisability
from anonlib.errors import ConfigError, FaceDatasetError, ImageError
from anonlib.geometry import box_corners, clip_boxes, crop_boxes, enlarge_boxes
from anonlib.networks import SphereFace
from anonlib.types import ActionFrames, FaceImages


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """Mean cosine similarity of two sets of pictures of the same people."""

    pictures: str
    """What is compared with what."""
    within: float
    """Over pairs of different pictures of one person."""
    between: float
    """Over pairs of pictures of two people."""

    @property
    def gap(self) -> float:
        """How much more similar pictures of one person are than pictures of two people."""
        return self.within - self.between


def similarity(name: str, first: np.ndarray, second: np.ndarray, labels: Tensor) -> Similarity:
    """Mean similarity within and between people; no picture is compared with itself.

    `first` and `second` are `(N, F)` unit features of the same pictures, original or modified, and `labels`
    the `(N,)` person of each. The `name` says in tables what is compared.

    Raises:
        FaceDatasetError: nobody has two pictures, or there is only one person.

    >>> two, labels = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0, 1])
    >>> similarity("clear", two, two, labels).gap
    1.0
    """
    within, between = pair_similarities(first, second, labels)
    if not len(within) or not len(between):
        raise FaceDatasetError("similarities need two people, and two pictures of one of them")
    return Similarity(pictures=name, within=float(within.mean()), between=float(between.mean()))


def pair_similarities(first: np.ndarray, second: np.ndarray, labels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Cosine similarity of every pair of different pictures: of one person, and of two people.

    Each pair counts twice, as (i, j) and (j, i), because `first` and `second` may differ. See `similarity`
    for the arguments.
    """
    same = (labels[:, None] == labels[None]).numpy()
    cosines = first @ second.T
    return cosines[same & ~np.eye(len(labels), dtype=bool)], cosines[~same]


def consistency(before: np.ndarray, after: np.ndarray, labels: Tensor) -> tuple[Similarity, ...]:
    """Similarity of original, of modified, and of modified to original pictures.

    Implements Ren et al., section 5.4, Different modified pictures of the same person.
    Differs from the paper: the paper shows pictures; here a face classifier measures them.
    `before` and `after` are `(N, F)` unit features of the same pictures, original and modified.
    """
    return (
        similarity("original, original", before, before, labels),
        similarity("modified, modified", after, after, labels),
        similarity("modified, original", after, before, labels),
    )


def blend(before: Tensor, after: Tensor, *, strength: float) -> Tensor:
    """A mixture of original and modified uint8 pictures of any shape: f + s (M(f) - f).

    The `strength` s is in [0, 1]; 0 returns `before` and 1 returns `after`, exactly.
    Differs from the paper: the paper always uses s = 1.

    Raises:
        ConfigError: the strength is outside [0, 1].
        ImageError: the shapes differ.
    """
    if not 0 <= strength <= 1:
        raise ConfigError(f"strength {strength}: use a number from 0 to 1")
    if before.shape != after.shape:
        raise ImageError(f"pictures of {tuple(before.shape)} and {tuple(after.shape)} do not pair")
    mixed = before.float() + strength * (after.float() - before.float())
    return mixed.round().to(torch.uint8)


def blend_faces(before: FaceImages, after: FaceImages, *, strength: float) -> FaceImages:
    """`blend` on face images; people and landmarks stay."""
    return replace(before, images=blend(before.images[:], after.images[:], strength=strength))


def strength_sweep(
    before: FaceImages, after: FaceImages, classifier: SphereFace, *, strengths: Sequence[float]
) -> list[dict[str, float]]:
    """How similar a classifier finds faces that are modified by each strength of `blend`.

    A row has the `strength`, the mean similarities of modified faces `within` and `between` people and
    `to_original` (another, unmodified picture of the person), and the `recognisability` as `recognised`.
    """
    clear = face_features(classifier, before)
    rows = []
    for strength in strengths:
        features = face_features(classifier, blend_faces(before, after, strength=strength))
        _, modified, crossed = consistency(clear, features, before.labels)
        rows.append(
            {
                "strength": strength,
                "within": modified.within,
                "between": modified.between,
                "to_original": crossed.within,
                "recognised": recognisability(features, before.labels),
            }
        )
    return rows


def face_track(clip: ActionFrames, *, person: int, size: int) -> FaceImages:
    """One person's enlarged face box from every frame of a clip that shows it, in order.

    `person` is a number of `ActionFrames.identities`, `size` the side of the crops; every label is 0.

    Raises:
        FaceDatasetError: no frame shows this person's face.
    """
    images, landmarks = [], []
    height, width = clip.frames.shape[2:]
    for i, people in enumerate(clip.identities):
        for face in (people == person).nonzero().flatten():
            wide = enlarge_boxes(clip.face_boxes[i][face][None])
            (box,) = box_corners(clip_boxes(wide, height=height, width=width))
            frame = clip.frames[i][None].float() / 255
            images.append(crop_boxes(frame, [torch.tensor([box])], size)[0])
            corner = torch.tensor(box, dtype=torch.float32)
            scale = size / (corner[2:] - corner[:2])
            landmarks.append((clip.landmarks[i][face] - corner[:2]) * scale)
    if not images:
        raise FaceDatasetError(f"no frame shows the face of person {person}")
    pixels = (torch.stack(images) * 255).round().to(torch.uint8)
    labels = torch.zeros(len(pixels), dtype=torch.int64)
    return FaceImages(images=pixels, labels=labels, landmarks=torch.stack(landmarks))


def consecutive_similarity(features: np.ndarray) -> np.ndarray:
    """Cosine similarity `(T - 1,)` of each face's unit features `(T, F)` to those of the face before.

    >>> consecutive_similarity(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).tolist()
    [1.0, 0.0]
    """
    return np.einsum("tf,tf->t", features[:-1], features[1:])


def flicker(before: Tensor, after: Tensor) -> float:
    """Mean change from frame to frame of the modified face crops `(T, ...)`, divided by that of the original.

    It is 1 where both change alike, and larger where the modification itself flickers. A low value alone does
    not show quality: a mask has 0.

    Raises:
        ImageError: there are fewer than two frames, or the original ones do not change.

    >>> flicker(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.0, 3.0, 0.0]))
    3.0
    """
    if len(before) < 2 or before.shape != after.shape:
        raise ImageError("flicker needs two frames or more, and as many before as after")
    original, modified = ((x[1:].float() - x[:-1].float()).abs().mean().item() for x in (before, after))
    if original == 0:
        raise ImageError("flicker needs original frames that change")
    return modified / original

"""Pose, expression and light of each training face, and covariances between and within people."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from recipes.face_pictures import SIZE, Array

ATTRIBUTES = ("yaw", "pitch", "mouth_open", "smile", "light_right", "light_top", "brightness")


def attributes(points: Array, luma: Tensor, mean: Array) -> Tensor:
    """ATTRIBUTES (N, 7), unscaled, of shapes (N, 68, 2) and mean-face lumas (N, S, S)."""
    eyes = (points[:, 36:42].mean(1) + points[:, 42:48].mean(1)) / 2
    apart = points[:, 42:48, 0].mean(1) - points[:, 36:42, 0].mean(1)
    yaw = points[:, 30, 0] - points[:, [0, 16], 0].mean(1)
    pitch = (points[:, 30, 1] - eyes[:, 1]) / (points[:, 8, 1] - eyes[:, 1])
    mouth = points[:, 66, 1] - points[:, 62, 1]
    smile = (points[:, 54, 0] - points[:, 48, 0]) / apart
    face = cv2.fillConvexPoly(np.zeros((SIZE, SIZE), np.uint8), cv2.convexHull(mean[:27].astype(np.int32)), 1)
    y, x = np.nonzero(face)
    skin = luma[:, torch.from_numpy(y), torch.from_numpy(x)].numpy()
    plane = np.linalg.pinv(np.stack([x / SIZE - 0.5, 0.6 - y / SIZE, np.ones(len(x))], 1))
    right, top, level = plane @ skin.T
    columns = [yaw, pitch, mouth, smile, right / level, top / level, np.log(level)]
    return torch.from_numpy(np.stack(columns, 1).astype(np.float32))


def by_person(rows: Tensor, names: Array) -> tuple[Tensor, Tensor, Tensor]:
    """Each row's person mean (N, D), its person's picture count (N,), and the persons' weights."""
    _, who, count = np.unique(names, return_inverse=True, return_counts=True)
    index = torch.from_numpy(who)
    number = torch.from_numpy(count).float()
    sums = torch.zeros(len(count), rows.shape[1]).index_add_(0, index, rows)
    return (sums / number[:, None])[index], number[index], 1 / number[index]


def directions(scores: Tensor, known: Tensor, names: Array) -> tuple[Tensor, Tensor]:
    """Change of scores with one within-person standard deviation of each attribute, and the rest.

    What a person's attributes have in common (the skin's brightness, a wide mouth) stays with the
    identity: only deviations from the shrunken person mean are explained away.
    """
    known = known - known.mean(0)
    mean, count, _ = by_person(known, names)
    several = count > 1
    people = (1 / count[several]).sum()
    inside = ((known - mean)[several] ** 2).sum(0) / (several.sum() - people)
    between = (known.var(0) - inside).clamp(min=0)
    share = count[:, None] * between / (count[:, None] * between + inside)
    own = (known - share * mean) / inside.sqrt()
    for name, spread, part in zip(ATTRIBUTES, inside.sqrt(), between / (between + inside), strict=True):
        print(f"{name}: within-person sd {spread:.3f}, identity share {part:.2f}")
    deviation = (scores - by_person(scores, names)[0])[several]
    A = torch.linalg.lstsq(((known - mean) / inside.sqrt())[several], deviation).solution
    return A, scores - own @ A


def root(matrix: Tensor) -> Tensor:
    """Symmetric square root with negative eigenvalues clipped."""
    values, vectors = torch.linalg.eigh(matrix.double())
    return ((vectors * values.clamp(min=0).sqrt()) @ vectors.T).float()


def covariances(rows: Tensor, names: Array) -> tuple[Tensor, Tensor]:
    """The covariance between people and the one within a person, each with equal say a person."""
    mean, count, weight = by_person(rows, names)
    several = count > 1
    deviation = (rows - mean)[several]
    within = deviation.T @ deviation / (several.sum() - weight[several].sum())
    centred = rows - (rows * weight[:, None]).sum(0) / weight.sum()
    total = (centred * weight[:, None]).T @ centred / weight.sum()
    print(f"variance within people: {float(within.trace() / total.trace()):.2f} of the total")
    return root(total - within), root(within)


def looks(
    rows: Tensor, names: Array, covariance: tuple[Tensor, Tensor], lengths: Tensor
) -> dict[str, Tensor]:
    """People fall into looks (hair long or short, dark or fair, skin, beard): a mixture's means.

    A single normal distribution would mix the looks into half-long, half-dark hair that nobody
    has. The looks are part of the identity: hair seldom changes from picture to picture, though
    an outline drawn by GrabCut does, which the covariance within a person cannot tell.

    Args:
        rows: scores without pose, expression and light, `(N, K)`.
        names: the person in each picture.
        covariance: square roots of the covariances between people and within a person.
        lengths: `(K,)` what one unit of each score weighs when faces are compared.
    """
    between, within = covariance
    mean, _, _ = by_person(rows, names)
    people = mean[torch.from_numpy(np.unique(names, return_index=True)[1])]
    people = people - people.mean(0)
    nearest = k_means((people * lengths).numpy(), LOOKS)
    centres = torch.stack([people[nearest == k].mean(0) for k in range(LOOKS)])
    share = torch.bincount(nearest, minlength=LOOKS) / len(nearest)
    print("people in each look:", [f"{float(s):.2f}" for s in share])
    spread = (centres * share[:, None]).T @ centres
    both = between @ between + within @ within
    print(f"looks explain {float(spread.trace() / both.trace()):.2f} of the variance")
    even = share**0.5  # rare looks are drawn more often than press photographs show them
    rest = root(between @ between - 0.5 * spread)
    return {"looks.means": centres, "looks.shares": even / even.sum(), "between": rest}


LOOKS = 12
"""Looks in the mixture of identities."""


def k_means(rows: Array, count: int) -> Tensor:
    """The cluster of each row, by OpenCV's k-means++ from a fixed seed."""
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-4)
    _, nearest, _ = cv2.kmeans(rows, count, None, stop, 10, cv2.KMEANS_PP_CENTERS)
    return torch.from_numpy(nearest[:, 0].astype(np.int64))

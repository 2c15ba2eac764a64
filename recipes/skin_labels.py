"""Crops of faces by their meshes, and which of their pixels are hair over the face, by colour.

The labels are guesses of a colour model of each picture: skin (cheeks and nose) against what is above the
outline of the mesh. They are used where they are certain; all else is `UNSURE` and not learned from.
"""

from __future__ import annotations

import cv2
import numpy as np

from anonlib.networks.face_mesh import topology

WIDE = 128
"""Side of a stored crop; the mesh spans half of it. The network's crop of 96 pixels is its middle."""
KEEP, UNSURE, REPLACE = 0, 128, 255
OVAL = topology().oval.numpy()
_CHEEKS = [50, 205, 101, 36, 118, 280, 425, 330, 266, 347, 6, 197, 195, 5]
_BROWS = [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]
_EYES = ([46, 53, 52, 65, 55, 133, 145, 33], [276, 283, 282, 295, 285, 362, 374, 263])
_NOSE, _LIP = 4, 0


def upright_crop(picture: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An upright crop `(WIDE, WIDE, 3)` uint8 of twice the extent of the mesh, and the points in it.

    Args:
        picture: `(H, W, 3)` uint8 RGB.
        points: `(468, 2)` xy pixels.
    """
    across = points[263] - points[33]
    angle = np.arctan2(across[1], across[0])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = points @ turn.T
    low, high = turned.min(0), turned.max(0)
    scale = WIDE / (2 * (high - low).max())
    matrix = np.column_stack([scale * turn, WIDE / 2 - scale * (low + high) / 2])
    by = max(1, int(1 / scale))  # averaged first, against aliasing
    height, width = picture.shape[0] // by, picture.shape[1] // by
    picture = cv2.resize(picture[: by * height, : by * width], (width, height), interpolation=cv2.INTER_AREA)
    shrunk = matrix * [by, by, 1]
    crop = cv2.warpAffine(
        picture, shrunk, (WIDE, WIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return crop, points @ matrix[:, :2].T + matrix[:, 2]


def filled(points: np.ndarray, size: int = WIDE) -> np.ndarray:
    """A polygon as `(size, size)` uint8, 0 or 255."""
    canvas = np.zeros((size, size), np.uint8)
    cv2.fillPoly(canvas, [np.round(points * 8).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=3)
    return canvas


def guess(crop: np.ndarray, points: np.ndarray) -> np.ndarray:
    """`KEEP`, `UNSURE` or `REPLACE` for each pixel of a crop `(WIDE, WIDE)`."""
    oval = filled(points[OVAL]) > 127
    lab = cv2.cvtColor(cv2.GaussianBlur(crop, (0, 0), 0.8), cv2.COLOR_RGB2LAB).astype(np.float32)
    rows = np.arange(WIDE)[:, None]
    brow, nose = points[_BROWS, 1].min(), points[_NOSE, 1]
    labels = np.full((WIDE, WIDE), UNSURE, np.uint8)
    middle = _shrunk(points[OVAL], 0.72)
    inner = filled(middle) > 127
    labels[oval & (rows > brow - 2) & inner] = REPLACE
    skin = _likeness(lab, points)
    labels[oval & (skin < 6.0)] = REPLACE
    above = _above(oval, skin, rows, brow)
    if above.sum() < 60:
        labels[oval & inner] = REPLACE
        return labels
    hair = _cut(crop, points, oval, above, skin, rows, brow, nose)
    near = (rows < nose) & ~(inner & (rows > brow - 2))
    labels[near & oval & hair & (skin > 12.0)] = KEEP
    labels[near & oval & hair & (skin <= 12.0)] = UNSURE
    labels[near & oval & ~hair & (skin >= 6.0)] = UNSURE
    return labels


def _shrunk(points: np.ndarray, factor: float) -> np.ndarray:
    centre = points.mean(0)
    return centre + factor * (points - centre)


def _likeness(lab: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Squared distance of each pixel from the colours of cheeks and nose, in their spread; small is skin."""
    spots = np.clip(np.round(points[_CHEEKS]).astype(int), 2, WIDE - 3)
    samples = np.concatenate([lab[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3) for x, y in spots])
    mean = np.median(samples, 0)
    near = samples[(np.abs(samples - mean) < [40, 12, 12]).all(1)]
    spread = np.cov(near.T) + np.diag([120.0, 6.0, 6.0]) if len(near) > 20 else np.diag([300.0, 20.0, 20.0])
    away = lab - mean
    return np.einsum("hwi,ij,hwj->hw", away, np.linalg.inv(spread), away)


def _above(oval: np.ndarray, skin: np.ndarray, rows: np.ndarray, brow: float) -> np.ndarray:
    """Pixels above and beside the forehead, outside the outline, that are not like skin."""
    ring = cv2.dilate(oval.astype(np.uint8), np.ones((25, 25))) - cv2.dilate(
        oval.astype(np.uint8), np.ones((5, 5))
    )
    return (ring > 0) & (rows < brow) & (skin > 10.0)


def _cut(
    crop: np.ndarray,
    points: np.ndarray,
    oval: np.ndarray,
    above: np.ndarray,
    skin: np.ndarray,
    rows: np.ndarray,
    brow: float,
    nose: float,
) -> np.ndarray:
    """GrabCut of hair against skin, above the tip of the nose; eyes and brows are painted over first."""
    plain = crop.copy()
    tone = np.median(crop[(skin < 4.0) & oval] if ((skin < 4.0) & oval).sum() > 20 else crop[oval], 0)
    for side in _EYES:
        plain[
            cv2.dilate(filled(cv2.convexHull(points[side].astype(np.float32))[:, 0]), np.ones((5, 5))) > 0
        ] = tone
    last = int(np.clip(nose, 40, WIDE))
    mask = np.where(oval, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    mask[above] = cv2.GC_BGD
    sure = filled(_shrunk(points[OVAL], 0.72)) > 127
    mask[oval & (skin < 4.0) & sure] = cv2.GC_FGD
    mask[sure & (rows > brow)] = cv2.GC_FGD
    part = mask[:last].copy()
    cv2.grabCut(plain[:last], part, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    hair = np.zeros((WIDE, WIDE), bool)
    hair[:last] = (part == cv2.GC_BGD) | (part == cv2.GC_PR_BGD)
    _, parts = cv2.connectedComponents(hair.astype(np.uint8))
    touching = np.unique(parts[above & hair])
    return np.isin(parts, touching[touching > 0])

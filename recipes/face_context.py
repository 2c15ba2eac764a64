"""Faces, or whole heads, filled without features: what is left is the context of a face.

Whoever sees such a picture has hair, ears, neck, clothes and background as far as they are not filled. Meshes
are those of `anonlib.detection.mesh.MeshLandmarks`, in pixels of the picture.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from anonlib.networks.face_mesh import topology

TOP, CHIN, LEFT, RIGHT = 10, 152, 234, 454
"""Points of the mesh: the forehead at the hair, the chin, and the cheeks before the ears."""


def scaled_oval(mesh: np.ndarray, scale: float) -> np.ndarray:
    """The outline `(36, 2)` of a face's mesh `(468, 2)`, scaled about the mean of its points."""
    oval: np.ndarray = mesh[topology().oval.numpy()]
    centre = oval.mean(axis=0)
    return centre + scale * (oval - centre)


def head_outline(mesh: np.ndarray) -> np.ndarray:
    """Two polygons `(2, K, 2)`, drawn over each other, around hair, ears and neck of a mesh `(468, 2)`.

    An ellipse, 2.2 face widths wide and 1.9 face heights high, whose middle is 0.28 face heights above that
    of the face; and a wedge from there to 0.55 face heights under the chin, where it is 1.1 face widths wide.
    Long hair on the shoulders stays.
    """
    down = mesh[CHIN] - mesh[TOP]
    height = float(np.linalg.norm(down))
    down = down / height
    across = np.array([down[1], -down[0]])  # to the right for an upright face
    width = max(abs(float((mesh[RIGHT] - mesh[LEFT]) @ across)), 0.75 * height)
    centre = mesh[topology().oval.numpy()].mean(axis=0) - 0.28 * height * down
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    sides = [centre + s * 1.1 * width * across for s in (1, -1)]
    neck = [mesh[CHIN] + s * 0.55 * width * across + 0.55 * height * down for s in (-1, 1)]
    ellipse = (
        centre
        + 1.1 * width * np.cos(angles)[:, None] * across
        + 0.97 * height * np.sin(angles)[:, None] * down
    )
    wedge = np.array([sides[0], sides[1], *neck])
    return np.stack([ellipse, wedge[np.arange(72) * 4 // 72]])


def inside(polygons: np.ndarray, height: int, width: int) -> np.ndarray:
    """Boolean `(height, width)`, whether a pixel touches one of the polygons `(P, K, 2)`."""
    image = Image.new("1", (width, height))
    draw = ImageDraw.Draw(image)
    for polygon in polygons:
        draw.polygon([(float(x), float(y)) for x, y in polygon], fill=1)
    return np.array(image, bool)


def filled(image: np.ndarray, mask: np.ndarray, sigma: float | None = None) -> np.ndarray:
    """A picture `(3, H, W)` uint8 whose masked pixels have their mean colour, or their own blurred colours.

    The blur, of `sigma` pixels, averages over masked pixels only.
    """
    out = image.copy()
    if not mask.any():
        return out
    if sigma is None:
        out[:, mask] = image[:, mask].mean(axis=1).round()[:, None]
        return out
    weight = gaussian_filter(mask.astype(np.float32), sigma)
    for channel in range(3):
        field = gaussian_filter(np.where(mask, image[channel], 0).astype(np.float32), sigma)
        out[channel, mask] = (field / np.maximum(weight, 1e-6))[mask].round()
    return out

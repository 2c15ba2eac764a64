"""A generative model of heads: identity, pose, expression and light in, pictures out.

An active appearance model. One coefficient vector z holds three principal component scores:

    shape    s   a flow that maps the picture to the mean face, and five landmarks
    texture  t   luma and two colour differences in the mean face
    outline  o   signed distance to the head's edge, hair and neck included

and z = h + w + A a, with the identity h ~ N(0, Sb), the variation w ~ N(0, Sw) of one person
from picture to picture, and A a linear in pose, expression and illumination. Every component is
scaled to unit variance over the training pictures. See data/face_model/MODEL_CARD.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from anonlib.assets import data_path
from anonlib.errors import FaceDatasetError
from anonlib.types import Heads
from anonlib.world.hair import TRAITS, paint

VARIATION_SPREAD = 0.5
"""Pictures of one person vary as N(0, VARIATION_SPREAD^2 Sw)."""
LUMA = 128
"""Side of the stored luma; colour differences are coarser."""
_RGB = torch.tensor([[1.0, 0.0, 1.402], [1.0, -0.344, -0.714], [1.0, 1.772, 0.0]])


def normals(*keys: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers that depend only on the keys, on every machine (Philox generator).

    They are clipped to [-2.3, 2.3], because extreme faces are drawn badly.

    >>> torch.equal(normals(3, 7, shape=(4,)), normals(3, 7, shape=(4,)))
    True
    """
    sequence = np.random.SeedSequence([key % 2**63 for key in keys])
    draw = np.random.Generator(np.random.Philox(sequence)).standard_normal(shape)
    return torch.from_numpy(draw.clip(-2.3, 2.3).astype(np.float32))


class FaceModel:
    """Heads of people who do not exist.

    >>> model = FaceModel.load()
    >>> people = model.identity([0, 1])
    >>> rest = torch.zeros(2, 3)
    >>> heads = model.render(people, pose=rest, expression=rest[:, :2], illumination=rest, size=32)
    >>> heads.rgb.shape, heads.alpha.shape, heads.landmarks.shape
    (torch.Size([2, 3, 32, 32]), torch.Size([2, 1, 32, 32]), torch.Size([2, 5, 2]))
    """

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        """Takes the tensors of the file that `recipes/build_face_model.py` writes."""
        self._t = {k: v.float() for k, v in tensors.items() if v.dtype is not torch.int8}
        for name in ("texture", "outline"):
            stored, scale = tensors[f"{name}.basis"], self._t[f"{name}.scale"]
            self._t[f"{name}.basis"] = stored.float() * scale[:, None]
        self._parts = [len(self._t[f"{name}.basis"]) for name in ("shape", "texture", "outline")]
        self._learned = sum(self._parts)
        self.components = self._learned + TRAITS
        """K, the length of an identity: learned coefficients, then the traits of the hair."""
        self._sized: dict[int, list[tuple[Tensor, Tensor]]] = {}

    @classmethod
    def load(cls, path: Path | None = None) -> FaceModel:
        """Read a face model, the shipped one by default.

        Raises:
            FaceDatasetError: the file is missing or damaged.
        """
        path = path or data_path("face_model", "face_model.safetensors")
        try:
            return cls(load_file(path))
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise FaceDatasetError(
                f"face model '{path}' cannot be read ({error}): restore it from the repository or "
                "build it with recipes/build_face_model.py"
            ) from error

    def identity(self, people: Sequence[int]) -> Tensor:
        """The identities h of these person numbers, `(B, K)`, the same on every machine.

        A person is the mean of one cluster of the training people (hair, skin, age) plus a random
        deviation within this cluster.
        """
        draws = torch.stack([normals(person, shape=(1 + self.components,)) for person in people])
        edges = self._t["looks.shares"].cumsum(0)[:-1]
        look = torch.bucketize(torch.special.ndtr(draws[:, 0]), edges)
        own, traits = draws[:, 1:].split([self._learned, TRAITS], 1)
        return torch.cat([self._t["looks.means"][look] + own @ self._t["between"], traits], 1)

    def render(
        self,
        identity: Tensor,
        *,
        pose: Tensor,
        expression: Tensor,
        illumination: Tensor,
        variation: Tensor | None = None,
        size: int,
    ) -> Heads:
        """Draw one head for each row, in a canonical face crop of `size` pixels.

        All parameters are in standard deviations over the pictures of LFW; 0 is the mean. Beyond
        2 or 3 the drawing is no longer a face.

        Args:
            identity: `(B, K)` from `identity`.
            pose: `(B, 3)` yaw (nose to the image's right), pitch (nose down), roll (clockwise).
            expression: `(B, 2)` mouth open, smile.
            illumination: `(B, 3)` light from the image's right, from above, brightness.
            variation: `(B, K)` normal numbers for all else that varies within one person.
        """
        identity, traits = identity.split([self._learned, TRAITS], 1)
        z = identity + torch.cat([pose[:, :2], expression, illumination], 1) @ self._t["attributes"]
        if variation is not None:
            z = z + VARIATION_SPREAD * variation[:, : self._learned] @ self._t["within"]
        shape, texture, outline = z.split(self._parts, 1)
        roll = pose[:, 2] * 0.07  # radians
        where = self._where(shape, roll, size)
        _, known_texture, known_outline = identity.split(self._parts, 1)
        known = self._layers(known_texture, known_outline, 32)  # small: only for the kind of hair
        layers = paint(self._layers(texture, outline, size), known, traits, illumination)
        layers = F.grid_sample(layers, where, mode="bicubic", padding_mode="border", align_corners=False)
        rgb = torch.einsum("ij,njhw->nihw", _RGB, layers[:, :3])
        alpha = (layers[:, 3:] * size / 1.6 + 0.5).clamp(0, 1)
        points = (self._t["landmarks.mean"] + shape @ self._t["landmarks.basis"]).reshape(-1, 5, 2) - 0.5
        x, y = points[..., 0], points[..., 1]
        cos, sin = roll.cos()[:, None], roll.sin()[:, None]
        landmarks = (torch.stack([cos * x - sin * y, sin * x + cos * y], -1) + 0.5) * size
        return Heads(rgb=rgb.clamp(0, 1), alpha=alpha, landmarks=landmarks)

    def _where(self, shape: Tensor, roll: Tensor, size: int) -> Tensor:
        """Position in the mean face from which each pixel is sampled: (B, S, S, 2) in [-1, 1]."""
        flow = self._t["shape.mean"] + shape @ self._t["shape.basis"]
        side = int((flow.shape[1] // 2) ** 0.5)
        flow = 2 * flow.reshape(-1, side, side, 2).permute(0, 3, 1, 2)
        cos, sin, zero = roll.cos(), roll.sin(), torch.zeros_like(roll)
        turn = torch.stack([cos, sin, zero, -sin, cos, zero], 1).reshape(-1, 2, 3)
        upright = F.affine_grid(turn, [len(roll), 1, size, size], align_corners=False)
        moved = F.grid_sample(flow, upright, padding_mode="border", align_corners=False)
        return upright + moved.permute(0, 2, 3, 1)

    def _layers(self, texture: Tensor, outline: Tensor, size: int) -> Tensor:
        """Luma, two colour differences and the outline in the mean face, (B, 4, S, S)."""
        (pixel_mean, pixel_basis), (edge_mean, edge_basis) = self._bases(size)
        layers = torch.cat([pixel_mean + texture @ pixel_basis, edge_mean + outline @ edge_basis], 1)
        return layers.reshape(-1, 4, size, size)

    def _bases(self, size: int) -> list[tuple[Tensor, Tensor]]:
        """Mean and basis of the texture (3 S^2) and of the outline (S^2); each size is kept."""
        if size not in self._sized:
            self._sized[size] = []
            for name in ("texture", "outline"):
                rows = torch.cat([self._t[f"{name}.mean"][None], self._t[f"{name}.basis"]])
                rows = _resized(rows, size)
                self._sized[size].append((rows[0], rows[1:]))
        return self._sized[size]


def _resized(rows: Tensor, size: int) -> Tensor:
    """Resize the planes in each row: an outline, or luma followed by two coarser colour planes."""
    resized = []
    for part, planes in ((rows[:, : LUMA**2], 1), (rows[:, LUMA**2 :], 2)):
        if part.numel():
            side = round((part.shape[1] / planes) ** 0.5)
            images = part.reshape(-1, planes, side, side)
            images = F.interpolate(images, size=(size, size), mode="bicubic", antialias=True)
            resized.append(images.flatten(1))
    return torch.cat(resized, 1)

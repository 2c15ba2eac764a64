"""The mesh model: statistics of face shape, expression and skin, from which new people are drawn.

It holds no photograph and no person, only means and principal components. See the model card in
`data/face_model`.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.assets import data_path, load_weights
from anonlib.errors import CheckpointError
from anonlib.networks.face_mesh import topology

MEASURES = (
    "mouth opening",
    "mouth width",
    "lift of the mouth's corners",
    "opening of the image's left eye",
    "opening of the image's right eye",
    "height of the image's left brow",
    "height of the image's right brow",
)
"""The expression: what `expression_measures` returns, in this order."""
_DISTANCES = ((13, 14), (61, 291), None, (159, 145), (386, 374), None, None)
TEXTURE = (176, 152)
"""Height and width in pixels of a texture."""


def mesh_model_file() -> Path:
    """The shipped model."""
    return data_path("face_model", "face_mesh_model.safetensors")


def expression_measures(shape: Tensor) -> Tensor:
    """The `MEASURES` of upright faces `(N, 468, 3)`, in units of the mesh model; `(N, 7)`."""

    def apart(i: int, j: int) -> Tensor:
        return (shape[:, i] - shape[:, j]).norm(dim=1)

    lips, corners = (shape[:, 13, 1] + shape[:, 14, 1]) / 2, (shape[:, 61, 1] + shape[:, 291, 1]) / 2
    brows = [shape[:, lid, 1] - shape[:, brow, 1] for lid, brow in ((145, 105), (374, 334))]
    eyes = [apart(159, 145), apart(386, 374)]
    return torch.stack([apart(13, 14), apart(61, 291), lips - corners, *eyes, *brows], 1)


class MeshModel:
    """Shapes `(468, 3)` have a root mean square of 1; x is right, y down, z away from the viewer."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        """Takes the tensors of the file that `recipes/build_mesh_model.py` writes."""
        t = {name: value if value.dtype is torch.int8 else value.float() for name, value in tensors.items()}
        self.rest = t["rest"]
        """`(468, 3)` the mean face at mean expression."""
        self.expression = t["expression"]
        """`(7, 468, 3)` change of the shape with each measure."""
        self.measures = t["measures"]
        """`(7,)` mean of each measure."""
        self.spread = t["measures.spread"]
        """`(7,)` standard deviation of each measure over pictures."""
        self.shapes = t["shapes"]
        """`(S, 468, 3)` differences between people, one standard deviation each."""
        self.uv = t["uv"]
        """`(468, 2)` place of each point in the texture, in [0, 1]."""
        self.inside = t["inside"].bool()
        """`(H, W)` pixels of the texture that hold skin."""
        self.mean, self.scale, self._basis = t["texture.mean"], t["texture.scale"], t["texture.basis"]
        self._changes = t["texture.expression"].float() * t["texture.expression_scale"][:, None]
        self.looks = t["texture.spread"]
        """`(K,)` standard deviations of the texture's components over people of one look."""
        self.look = t["look"]
        """`(K, 1 + C)`: the components that people with such a context have, see `person.context`."""
        mesh = topology()
        self.triangles, self.oval = mesh.triangles, mesh.oval

    @classmethod
    def load(cls, path: Path | None = None) -> MeshModel:
        """The shipped model, or another file.

        Raises:
            CheckpointError: the file is missing, damaged or of another kind.
        """
        path = path or mesh_model_file()
        try:
            return cls(load_weights(path)[0])
        except KeyError as error:
            raise CheckpointError(f"'{path}' is no mesh model: restore it from the repository") from error

    def texture(self, components: Tensor) -> Tensor:
        """Skin `(3, H, W)` at mean expression for texture components `(K,)`: luma, blue and red difference.

        It holds no light and no colour of the face as a whole: values are relative to the mean luma of
        the face, and its coarse part is 0.
        """
        return self._plane(self.mean + (components * self.scale) @ self._basis.float())

    @cached_property
    def changes(self) -> Tensor:
        """`(7, 3, H, W)` change of the texture with each measure: teeth, wrinkles, lids."""
        return torch.stack([self._plane(change) for change in self._changes])

    def _plane(self, flat: Tensor) -> Tensor:
        luma, small = int(self.inside.sum()), self.inside[::2, ::2]
        texture = torch.zeros(3, *TEXTURE)
        texture[0][self.inside] = flat[:luma]
        chroma = torch.zeros(2, *small.shape)
        chroma[:, small] = flat[luma:].reshape(2, -1)
        texture[1:] = F.interpolate(chroma[None], TEXTURE, mode="bilinear")[0]
        return texture

    @cached_property
    def follow(self) -> Tensor:
        """`(468, 36)`: how far each point moves with each point of the outline.

        The points inside move as a membrane that is fixed at the outline (harmonic interpolation).
        """
        edges = torch.zeros(468, 468)
        for i, j in ((0, 1), (1, 2), (2, 0)):
            edges[self.triangles[:, i], self.triangles[:, j]] = 1
        edges = ((edges + edges.T) > 0).double()
        laplacian = torch.diag(edges.sum(1)) - edges
        free = torch.ones(468, dtype=torch.bool)
        free[self.oval] = False
        out = torch.zeros(468, len(self.oval), dtype=torch.float64)
        out[self.oval] = torch.eye(len(self.oval), dtype=torch.float64)
        out[free] = torch.linalg.solve(laplacian[free][:, free], -laplacian[free][:, self.oval])
        return out.float()

"""Which pixels the new face replaces: those inside the outline of the mesh, but not what is in front.

Two things pass from the real face: the 36 points of its outline, and the border of what is in front of it
(`networks.skin`). Where the network is unsure, the pixel is replaced. Glasses are replaced too, because
lenses show the eyes behind them, and because half a pair could be left.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor, nn

from anonlib.assets import data_path, load_weights
from anonlib.networks.compiled import compiled_if_possible
from anonlib.networks.face_mesh import topology
from anonlib.networks.skin import SIDE, SkinMask

MARGIN = 1.5
"""Side of the network's crop, in multiples of the extent of the mesh."""
SHARPNESS = 4.0
"""Factor on the logits, for a narrow edge at an occluder."""
_EYES = (33, 263)
_FINE = 2


class Masker:
    """Soft masks of what is replaced in crops of faces."""

    def __init__(self, *, network: nn.Module | None = None) -> None:
        """Loads the shipped network, compiled, or takes another one.

        Raises:
            CheckpointError: the shipped weights are missing or damaged.
        """
        self.network = network or _shipped()

    @torch.inference_mode()
    def __call__(self, crop: Tensor, points: Tensor) -> Tensor:
        """The mask `(1, h, w)` in [0, 1] of a crop `(3, h, w)` in [0, 1]; 1 is replaced.

        `points` are `(468, 2)` or `(468, 3)`, xy pixels of the crop.
        """
        return soft_mask(self.logits([crop], [points])[0], points, (crop.shape[1], crop.shape[2]))

    @torch.inference_mode()
    def logits(self, crops: Sequence[Tensor], points: Sequence[Tensor]) -> Tensor:
        """What the network says, `(B, 1, 96, 96)` in the upright crop of the mesh; above 0 is skin.

        Being upright and centred, the logits of the frames of a track may be averaged over time.
        """
        upright = [upright_crop(c, p) for c, p in zip(crops, points, strict=True)]
        return self.network(torch.stack(upright))


@functools.cache
def _shipped() -> nn.Module:
    tensors, _ = load_weights(data_path("weights", "skin.safetensors"))
    network = SkinMask()
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return compiled_if_possible(network.eval(), torch.zeros(1, 4, SIDE, SIDE), threads=1, keep=True)


def upright_crop(crop: Tensor, points: Tensor) -> Tensor:
    """The network's input `(4, 96, 96)`: the face upright and centred, and the filled outline of its mesh."""
    frame = _frame(points)
    by = max(1, int(frame[:, 0].norm()))  # averaged first where the crop is much larger
    picture = F.avg_pool2d(crop[None], by) if by > 1 else crop[None]
    size = (by * picture.shape[2], by * picture.shape[3])
    face = _sampled(picture, frame, (SIDE, SIDE), size)[0]
    return torch.cat([face, outline(points)])


def outline(points: Tensor) -> Tensor:
    """The filled outline of the mesh `(1, 96, 96)` in [0, 1], in the upright crop."""
    frame = _frame(points)
    corners = (points[topology().oval, :2] - frame[:, 2]) @ torch.linalg.inv(frame[:, :2]).T * _FINE
    canvas = Image.new("L", (SIDE * _FINE, SIDE * _FINE))
    ImageDraw.Draw(canvas).polygon([(x, y) for x, y in corners.tolist()], fill=255)
    small = torch.frombuffer(bytearray(canvas.reduce(_FINE).tobytes()), dtype=torch.uint8)
    return small.reshape(1, SIDE, SIDE) / 255


def soft_mask(logits: Tensor, points: Tensor, size: tuple[int, int], *, edge: bool = True) -> Tensor:
    """The mask `(1, h, w)` of a crop of that height and width from the logits `(1, 96, 96)` of its face.

    It falls to 0 at the outline of the mesh, over 5% of the face inside, so that it does not spill onto the
    background behind the far cheek. At what is in front of the face the edge is narrow. Without `edge`, only
    what is in front is masked; use it if you know the outline of what you draw.
    """
    both = (SHARPNESS * logits)[None]
    if edge:
        both = torch.cat([both, _inside(points)[None]], 1)
    frame = _frame(points)
    linear = torch.linalg.inv(frame[:, :2])
    back = torch.cat([linear, -linear @ frame[:, 2:]], 1)
    both = _sampled(both, back, size, (SIDE, SIDE))[0]
    return both[:1].sigmoid() * both[1:] if edge else both[:1].sigmoid()


def free_share(logits: Tensor, points: Tensor) -> float:
    """Share of a face that nothing covers, from the logits `(1, 96, 96)` in its upright crop."""
    inside = _inside(points)
    return float(((SHARPNESS * logits).sigmoid() * inside).sum() / inside.sum().clamp(min=1))


def _inside(points: Tensor) -> Tensor:
    """1 inside the outline of the mesh `(1, 96, 96)`, falling to 0 at it over 5% of the face."""
    blurred = F.avg_pool2d(F.avg_pool2d(outline(points), 5, 1, 2), 3, 1, 1)
    return (2 * blurred - 1).clamp(0, 1)


def _frame(points: Tensor) -> Tensor:
    """`(2, 3)`: pixels of the upright crop to pixels of the picture."""
    xy = points[:, :2].float()
    across = xy[_EYES[1]] - xy[_EYES[0]]
    cos, sin = (across / across.norm()).tolist()
    turn = torch.tensor([[cos, -sin], [sin, cos]])
    upright = xy @ turn
    low, high = upright.amin(0), upright.amax(0)
    linear = turn * (MARGIN * (high - low).max() / SIDE)
    centre = turn @ (low + high) / 2
    return torch.cat([linear, (centre - linear @ torch.full((2,), SIDE / 2))[:, None]], 1)


def _sampled(picture: Tensor, frame: Tensor, size: tuple[int, int], extent: tuple[int, int]) -> Tensor:
    """A picture of that extent seen through `frame`, which maps pixels of the result to its own."""
    target, source = (torch.tensor([w / 2, h / 2]) for h, w in (size, extent))
    linear = frame[:, :2] * target / source[:, None]
    shift = (frame[:, :2] @ target + frame[:, 2]) / source - 1
    theta = torch.cat([linear, shift[:, None]], 1)[None]
    grid = F.affine_grid(theta, [1, 1, *size], align_corners=False)
    return F.grid_sample(picture, grid, padding_mode="border", align_corners=False)

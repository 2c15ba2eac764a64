"""Replaces a whole head: hair, ears, neck and outline, for `--extent head`.

1. `head_parser` finds old hair, skin and clothes. Together with a fixed ellipse they say what is taken away.
2. The hole is filled smoothly: from the background, and below the shoulder line from the clothes.
3. A drawn head is put there: neck, ears and a rough face, in front of it hair. Its outline is a random one of
   a model (principal components of signed distances), turned to the pose; hair is drawn as smeared noise
   along the direction of the strands.

What passes from the real head: place, size, roll, yaw and pitch; mean colour of the face and the slope of its
brightness; where hats, hands and clothes are in front. The edge of the hole shows how far the old hair
reached, but only where the hair was larger than the ellipse.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers.swap.ears_and_jaw import ears, under_jaw
from anonlib.anonymizers.swap.head_frame import SIDE, HeadFrame, places, step
from anonlib.anonymizers.swap.hole import Hole, reach
from anonlib.anonymizers.swap.light import SCALE, light_field
from anonlib.anonymizers.swap.strands import comb
from anonlib.anonymizers.swap.surrounding import fill, grain_like
from anonlib.assets import data_path, load_weights
from anonlib.errors import CheckpointError, ImageError
from anonlib.networks.head import head_parser, head_shader

COARSE = 48
"""Side of the frame in which the surrounding is continued."""
LARGEST = 256
"""A head is drawn with at most this many pixels a side of the frame."""
DARKEST = 0.03
"""Added before logarithms of colours."""
JAW, EARS = [172, 152, 397], [234, 454]
"""Points of the mesh."""


def heads_file() -> Path:
    """The shipped statistics and networks."""
    return data_path("face_model", "heads.safetensors")


class Head(NamedTuple):
    """A crop with another head."""

    crop: Tensor
    """`(3, h, w)`; outside the changed region the pixels are those of the input."""
    front: Tensor
    """`(1, h, w)` opacity of the hair in front of the face, which no drawn face may cover."""
    tone: Tensor
    """`(3,)` RGB of the drawn skin, in the mean over the face."""


@dataclass(frozen=True, slots=True)
class HeadStyle:
    """The look of one new head, independent of its pose; drawn once for each track."""

    outline: Tensor
    """`(K,)` scores of the outline of hair and skin."""
    tone: Tensor
    """`(4,)` random numbers for the colour of hair."""
    strands: Tensor
    """`(1, 2, 192, 192)` fine and coarse strands, of variance 1."""


class HeadModel:
    """Statistics of heads, and the two networks; everything that the file `heads.safetensors` holds."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        tensors = {name: x.float() for name, x in tensors.items()}
        self.parser, self.shader = head_parser().eval(), head_shader().eval()
        for network, prefix in ((self.parser, "parser."), (self.shader, "shader.")):
            own = {k.removeprefix(prefix): x for k, x in tensors.items() if k.startswith(prefix)}
            network.load_state_dict(own)
        self._t = tensors
        still = torch.zeros(())
        kinds = torch.cat([self._outline(scores, still, still) for scores in tensors["cluster.mean"]])
        self._long = (kinds[:, 0, _beside(self.shader.side)] > 0).float().mean(1) > 0.2

    @classmethod
    def load(cls, path: Path | None = None) -> HeadModel:
        """Read the shipped file, or another one.

        Raises:
            FaceDatasetError: the shipped file is missing.
            CheckpointError: the file is missing or damaged.
        """
        path = path or heads_file()
        try:
            return cls(load_weights(path)[0])
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(f"head model {path} is of another kind: restore it ({error})") from error

    @torch.no_grad()
    def style(self, crop: Tensor, points: Tensor, generator: torch.Generator) -> HeadStyle:
        """A random head: a kind of hair, a deviation from it, a colour and strands.

        Of the real head (crop and points as in `replace`) it takes one bit: whether the hair is long.
        """
        frame = HeadFrame.of(points)
        parts = self._parts(_cut(crop, frame, self.parser.side))
        long = bool(parts[0, 0, _beside(self.parser.side)].mean() > 0.35)
        shares = self._t["cluster.share"].sqrt() * (self._long == long)
        kind = torch.multinomial(shares, 1, generator=generator)[0]
        mean, spread = self._t["cluster.mean"][kind], self._t["cluster.spread"][kind]
        outline = mean + 0.4 * spread * torch.randn(len(mean), generator=generator).clamp(-2, 2)
        tone = torch.cat([torch.rand(1, generator=generator), torch.randn(3, generator=generator)])
        return HeadStyle(outline, tone, comb(192, generator))

    @torch.no_grad()
    def replace(self, crop: Tensor, points: Tensor, style: HeadStyle) -> Head:
        """Replace the head in the crop by one of this style.

        Args:
            crop: `(3, h, w)` in [0, 1], at least 3 faces wide and high, else some of the old hair remains.
            points: `(468, 3)` the mesh of the face, in pixels of the crop.

        Raises:
            ImageError: crop or points have another shape.
        """
        if crop.ndim != 3 or crop.shape[0] != 3 or points.shape != (468, 3):
            raise ImageError(
                f"crop {tuple(crop.shape)} with points {tuple(points.shape)}: pass (3, h, w) and (468, 3)"
            )
        height, width = crop.shape[1:]
        frame = HeadFrame.of(points)
        side = 16 * round(min(max(SIDE * float(frame.unit), 96), LARGEST) / 16)
        old = _cut(crop, frame, side)
        seen = torch.cat([frame.of_picture(points[JAW]), frame.of_picture(points[EARS])])
        new, front, tone = self._drawn(old, self._parts(old), frame, seen, style)
        grid = frame.to_picture(height=height, width=width)
        new = F.grid_sample(torch.cat([new, front], 1), grid, padding_mode="border", align_corners=False)[0]
        new = new * (grid[0].abs() < 1).all(-1)
        opacity = torch.where(new[3:4] < 1 / 255, 0.0, new[3:4])
        return Head(crop + opacity * (new[:3].clamp(0, 1) - crop), new[4:5], tone)

    def _drawn(
        self, old: Tensor, parts: Tensor, frame: HeadFrame, seen: Tensor, style: HeadStyle
    ) -> tuple[Tensor, Tensor, Tensor]:
        """RGB and opacity of all that changes `(1, 4, S, S)`, opacity of hair `(1, 1, S, S)`, tone."""
        side = old.shape[-1]
        hole = Hole(side, reach(parts))
        new = self._surrounding(old, parts, hole)
        skin, light = _face_light(old, parts)
        outline = self._outline(style.outline, frame.yaw, frame.pitch)
        look = _resized(self._shaded(outline, light), side)
        hair_edge, skin_edge = _resized(outline, side).split(1, 1)
        pixel = SIDE / side
        noise = grain_like(old, 1 - hole.depth, torch.Generator().manual_seed(0))
        _, y = places(side)
        both, hollow = ears(seen[3:], frame.yaw, side)
        bare = (skin_edge.maximum(both) / (2.2 * pixel) + 0.5).clamp(0, 1) * (1 - step(y, 0.75, 0.95))
        shadow = under_jaw(seen[:3], side) + hollow
        field = _face_light_field(old, parts)
        new = new.lerp(field * (0.3 * look[:, 1:4] - shadow).exp(), bare)
        fine, coarse = _resized(style.strands, side).split(1, 1)
        new = (new + noise).lerp(old, _resized(_in_front(parts), side))
        edge = hair_edge + 0.009 * (fine + coarse).clamp(-3, 3)
        hair = (edge / (3.5 * pixel) + 0.35).clamp(0, 1)
        relief = look[:, 6:].exp() * (0.6 * fine + 0.4 * coarse).clamp(-2, 1.6)
        colour = (self._tone(skin, style) + look[:, :1] + relief).exp() - DARKEST
        new = new.lerp(colour + noise, hair)
        opacity = hole.depth.maximum(bare).maximum(hair)
        return torch.cat([new, opacity], 1), hair, (skin[0, :, 0, 0].exp() - DARKEST).clamp(0, 1)

    def _surrounding(self, old: Tensor, parts: Tensor, hole: Hole) -> Tensor:
        """The frame without the old head: background above, clothes below the shoulder line.

        Near the edge of the hole it is the mirror image of what is outside, further in it is smooth.
        """
        side = old.shape[-1]
        hidden = F.max_pool2d(_resized(hole.depth, COARSE), 3, 1, 1)
        outside = ((hidden < 0.1) & (_resized(old, COARSE).amax(1, keepdim=True) > 0.02)).float()
        person = 1 - _resized(parts[:, 3:], COARSE)
        known = torch.cat([outside * step(1 - person, 0.6, 0.95), outside * step(person, 0.6, 0.95)])
        smooth = _resized(fill(_resized(old, COARSE).expand(2, -1, -1, -1), known + 1e-9), side)
        usual = _resized(self._t["body"], COARSE) * step(places(COARSE)[1], 0.3, 0.55)  # shoulders alone
        covered = step(_resized(fill(person - usual, outside + 1e-9) + usual, side), 0.4, 0.65)
        mirrored = F.grid_sample(old, hole.mirror, padding_mode="border", align_corners=False)
        dark = (_resized(old, parts.shape[-1]).amax(1, keepdim=True) < 0.03).float()
        usable = 1 - F.max_pool2d(dark, 5, 1, 2)  # not the black border of a picture that was turned
        sources = torch.cat([usable * parts[:, 3:], usable * (1 - parts[:, 3:])], 1)
        behind, before = F.grid_sample(sources, hole.mirror, align_corners=False).split(1, 1)
        shallow = 1 - step(hole.inward, 0.3, 0.6)
        background = smooth[:1].lerp(mirrored, shallow * step(behind, 0.8, 0.95))
        body = smooth[1:].lerp(mirrored, shallow * step(before, 0.8, 0.95))
        return background.lerp(body, covered)

    def _outline(self, scores: Tensor, yaw: Tensor, pitch: Tensor) -> Tensor:
        """Distance into hair and into skin `(1, 2, 64, 64)`, in heights of the face."""
        turn = torch.stack([yaw, pitch, yaw**2, yaw * pitch, pitch**2, yaw**3])
        own = (self._t["outline.mean"] + scores @ self._t["outline.basis"]).reshape(1, 2, 64, 64)
        own = (0.68 * own).add(own.flip(3), alpha=0.32)  # half of the asymmetry is errors of the labels
        return own + (turn @ self._t["outline.pose"]).reshape(1, 2, 64, 64)

    def _parts(self, frame: Tensor) -> Tensor:
        """Probabilities of hair, skin, clothes and background in the frame of a picture, `(1, 4, 96, 96)`."""
        parts: Tensor = self.parser(_resized(frame, self.parser.side) - 0.5).softmax(1)
        return parts

    def _shaded(self, outline: Tensor, light: Tensor) -> Tensor:
        """The seven outputs of the shader for an outline and light from the right and from below."""
        cover = (20 * outline + 0.5).clamp(0, 1)
        field = light.reshape(1, 2, 1, 1).expand(-1, -1, *outline.shape[2:])
        look: Tensor = self.shader(torch.cat([cover, field], 1))
        return look

    def _tone(self, skin: Tensor, style: HeadStyle) -> Tensor:
        """Log RGB of hair `(1, 3, 1, 1)`: a natural tone that goes with the skin, never blue."""
        near = torch.exp(-(((self._t["tone.skin"] - skin.mean()) / 0.5) ** 2)) * self._t["tone.share"]
        near = near * (self._t["tone.mean"].mean(1) < -0.2)  # lighter hair looks like a wig
        kind = torch.searchsorted(near.cumsum(0), style.tone[:1] * near.sum())[0].clamp(max=len(near) - 1)
        tone = self._t["tone.mean"][kind] + 0.12 * style.tone[1] + 0.03 * style.tone[1:]
        red, green, blue = (tone + skin[0, :, 0, 0]).tolist()
        green = min(green, red)
        return torch.tensor([red, green, min(blue, green)]).reshape(1, 3, 1, 1)


def _beside(side: int) -> Tensor:
    """The pixels beside the mouth and the chin, where only long hair is: `(side, side)` bool."""
    x, y = places(side)
    return (x.abs() > 0.4) & (x.abs() < 0.7) & (y > 0.2) & (y < 0.5)


def _in_front(parts: Tensor) -> Tensor:
    """Clothes and other things in front of the neck, which stay: `(1, 1, n, n)` in [0, 1]."""
    _, y = places(parts.shape[-1])
    clear = parts[:, 2:3] * (1 - F.max_pool2d(parts[:, :1], 5, 1, 2))
    return step(clear, 0.35, 0.65) * step(y, 0.45, 0.55)


def _face_light(old: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
    """Mean log RGB of the face `(1, 3, 1, 1)`, and the slope of its log luma to the right and down `(2,)`."""
    old = (_resized(old, COARSE) + DARKEST).log()
    x, y = places(COARSE)
    face = ((x / 0.3) ** 2 + ((y - 0.1) / 0.38) ** 2 < 1) * (_resized(parts[:, 1:2], COARSE) > 0.5)
    count = face.sum().clamp(min=1)
    mean = (old * face).sum((2, 3), keepdim=True) / count
    luma = (old - mean).mean(1) * face[:, 0]
    slopes = []
    for place in (x, y):
        place = (place - (place * face).sum() / count) * face[0, 0] / (SIDE / 2)
        slopes.append((luma * place).sum() / (place.square().sum() + 0.01))
    return mean, torch.stack(slopes).clamp(-1.2, 1.2)


def _face_light_field(old: Tensor, parts: Tensor) -> Tensor:
    """Colour of the face on a coarse scale, as `light_field`, continued over the frame `(1, 3, S, S)`."""
    x, y = places(COARSE)
    face = ((x / 0.33) ** 2 + ((y - 0.08) / 0.42) ** 2 < 1) * (_resized(parts[:, 1:2], COARSE)[0, 0] + 0.01)
    field = light_field(_resized(old, COARSE)[0], face, sigma=SCALE * COARSE / SIDE)
    return _resized(field[None], old.shape[-1])


def _cut(crop: Tensor, frame: HeadFrame, side: int) -> Tensor:
    """The frame of a crop `(1, 3, side, side)`, the border repeated."""
    grid = frame.to_frame(side, height=crop.shape[1], width=crop.shape[2])
    return F.grid_sample(crop[None], grid, padding_mode="border", align_corners=False)


def _resized(x: Tensor, side: int) -> Tensor:
    if x.shape[-1] == side:
        return x
    smaller = side < x.shape[-1]
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False, antialias=smaller)

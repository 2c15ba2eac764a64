"""Hair for the face model: a sharp layer that is drawn over the mean face.

The average of many photographs shows no hair, because its edges are elsewhere in each of them. So the
learned identity only sets the kind of hair: long where the outline is wide beside the jaw, dark where
the crown is darker than the cheeks. The hairline, volume and strands are drawn.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

TRAITS = 8 + 96
"""Normal numbers of one person's hair: its form (8) and its strands (96)."""
COLOURS = torch.tensor(
    [
        [0.07, 0.06, 0.06],
        [0.12, 0.09, 0.07],
        [0.20, 0.13, 0.09],
        [0.30, 0.20, 0.13],
        [0.36, 0.24, 0.15],
        [0.50, 0.38, 0.24],
        [0.48, 0.47, 0.45],
        [0.68, 0.66, 0.63],
    ]
)
"""Black, browns, fair, grey and white, from the darkest crowns to the lightest."""
BALD = 0.93
"""Hair of this tone or lighter is not painted: the person is bald."""


def paint(layers: Tensor, known: Tensor, traits: Tensor, light: Tensor) -> Tensor:
    """Add hair to a head's layers (B, 4, S, S): luma, two colour differences and outline distance.

    The kind of hair is estimated from `known`, layers of the identity alone, of any size. `traits` are
    `(B, TRAITS)` standard normal numbers of the person; `light` is the `(B, 3)` illumination.
    """
    size = layers.shape[-1]
    x, y = pixel_centres(size)
    length, tone = _kind(known, traits)
    form = traits[:, :8, None, None].unbind(1)
    strands = _strands(traits[:, 8:], x, y)
    bare = _face(x, y, form) + 0.005 * strands
    head = layers[:, 3]
    scalp = head.minimum(0.44 + 0.5 * length - y)  # the learned outline includes hair, too
    volume = (_volume(x, y, form, length) + 0.005 * strands).maximum(scalp)
    neck = (0.13 - (x - 0.5).abs()).clamp(max=0.05).minimum(y - 0.78)
    hair = (volume + 0.012).minimum((-bare).maximum(-head - 0.006)).minimum(-neck)
    hair = torch.where(tone < BALD, hair, -1.0)[:, None]
    colour = _shaded(_colour(tone, known), strands, x, y, light)
    cover = (hair * size / 4 + 0.4).clamp(0, 1)
    edge = torch.where(tone < BALD, head.maximum(volume), head)[:, None]
    return torch.cat([layers[:, :3].lerp(colour, cover), edge], 1)


def pixel_centres(size: int) -> tuple[Tensor, Tensor]:
    """x and y of the pixel centres of a square picture, (S, S) each, as fractions of its side."""
    step = (torch.arange(size) + 0.5) / size
    y, x = torch.meshgrid(step, step, indexing="ij")
    return x, y


def _kind(known: Tensor, traits: Tensor) -> tuple[Tensor, Tensor]:
    """Length (0 short to 1 below the chin) and tone (0 black to 1 bald) of hair: (B, 1, 1) each."""
    side = known.shape[-1]
    rows, columns = slice(int(0.62 * side), int(0.75 * side)), int(0.22 * side)
    beside = known[:, 3, rows, [columns, side - 1 - columns]].mean((1, 2))
    crown = known[:, 0, int(0.12 * side) : int(0.2 * side), int(0.35 * side) : int(0.65 * side)]
    cheeks = known[:, 0, int(0.55 * side) : int(0.68 * side), int(0.3 * side) : int(0.7 * side)]
    contrast = crown.mean((1, 2)) - cheeks.mean((1, 2))
    length = torch.sigmoid(130.0 * (beside - 0.001) + 0.4 * traits[:, 0])
    tone = torch.special.ndtr((contrast + 0.05) * 6.0 + 0.5 * traits[:, 1])
    return length[:, None, None], tone[:, None, None]


def _face(x: Tensor, y: Tensor, form: tuple[Tensor, ...]) -> Tensor:
    """Distance from the hairline into the bare face, as a fraction of the side: (B, S, S)."""
    top = 0.235 + 0.022 * form[2].clamp(-1.5, 1.5)
    part = 0.05 * form[3]
    high = ((0.5 - y) / (0.5 - top + 0.25 * part * (x - 0.5))).clamp(min=0)
    low = ((y - 0.5) / 0.42).clamp(min=0)
    width = 0.243 + 0.006 * form[4]
    across = (x - 0.5).abs() / width
    radius = (across**2.6 + high**2.6 + 1.2 * low**2.6 + 1e-6) ** (1 / 2.6)
    return (1 - radius) * 0.25


def _volume(x: Tensor, y: Tensor, form: tuple[Tensor, ...], length: Tensor) -> Tensor:
    """Distance into the hair's volume, which is a dome, longer beside the face for long hair."""
    puff = 0.012 * form[5] + 0.03 * length
    top = 0.105 - puff
    wide = 0.275 + 0.8 * puff
    high = ((0.40 - y) / (0.40 - top)).clamp(min=0)
    low = (y - 0.40).clamp(min=0)
    flare = wide + low * (0.10 * length - 0.12 * (1 - length))
    across = (x - 0.5 - 0.01 * form[6]).abs() / flare
    radius = (across**2.3 + high**2.3 + 1e-6) ** (1 / 2.3)
    end = 0.46 + 0.03 * form[7] + (length - 0.35).clamp(min=0) * 0.75
    end = end - length * 6 * ((x - 0.5).abs() - 0.22) ** 2
    return ((1 - radius) * wide).minimum(end - y)


def _strands(draws: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Noise that changes fast across the strands and slowly along them: (B, S, S)."""
    angle = torch.atan2(x - 0.5, 0.42 - y) / math.pi
    radius = ((x - 0.5) ** 2 + (y - 0.42) ** 2).sqrt() * 2 - 1
    where = torch.stack([angle, radius], -1).expand(len(draws), -1, -1, -1)
    coarse, fine = draws.reshape(-1, 2, 2, 24).unbind(1)
    fine = torch.cat([fine, fine.flip(-1), -fine, fine.roll(7, -1), -fine.flip(-1)], -1)
    noise = [
        F.grid_sample(n[:, None], where, mode="bicubic", padding_mode="border", align_corners=False)
        for n in (coarse, fine)
    ]
    return (0.5 * noise[0] + 0.8 * noise[1])[:, 0]


def _colour(tone: Tensor, known: Tensor) -> Tensor:
    """Hair as luma and colour differences (B, 3, 1, 1); people with dark skin get dark hair."""
    side = known.shape[-1]
    middle = slice(int(0.55 * side), int(0.68 * side))
    skin = known[:, 0, middle, int(0.3 * side) : int(0.7 * side)].mean((1, 2))
    limit = (4 + 14 * (skin - 0.30)).clamp(1, 7)
    place = (tone[:, 0, 0] / BALD * 7).minimum(limit).clamp(0, 6.999)
    below = place.long()
    rgb = torch.lerp(COLOURS[below], COLOURS[below + 1], (place - below)[:, None])
    r, g, b = rgb.unbind(1)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    return torch.stack([luma, (b - luma) * 0.564, (r - luma) * 0.713], 1)[..., None, None]


def _shaded(colour: Tensor, strands: Tensor, x: Tensor, y: Tensor, light: Tensor) -> Tensor:
    """The colour with strands, a reflection on the crown and the face's light: (B, 3, S, S)."""
    right, top, level = light[:, :, None, None].unbind(1)
    gain = 1 + 0.45 * right * (x - 0.5) + 0.25 * top * (0.4 - y) + 0.10 * level
    gloss = 0.25 * torch.exp(-((((x - 0.46) / 0.16) ** 2) + ((y - 0.17) / 0.045) ** 2))
    shade = (0.9 + 0.10 * strands + gloss - 0.35 * (y - 0.3)) * gain.clamp(0.4, 1.7)
    tinted = colour * shade[:, None]
    return torch.cat([tinted[:, :1] + 0.02 * shade[:, None], tinted[:, 1:]], 1)

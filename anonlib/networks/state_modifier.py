"""M-state: a face modifier that does not see the face that it replaces."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.config import ModifierConfig
from anonlib.geometry import CANONICAL_LANDMARKS, similarity_transform, warp_affine
from anonlib.networks.face_reader import FaceReader, Reading
from anonlib.networks.modifier import Modifier

CODE = 48
"""Numbers that say which person M draws."""
PEOPLE = 1000
"""Number of codes that a modifier holds. A random person is one of them."""
NOISE = 0.25
"""Standard deviation of the noise that is added to each number of the state."""
LARGEST = 2.5
"""Larger values of the state are clipped, in standard deviations of the drawn pictures."""
DOUBT = 0.25
"""Where something is in front of the head with a lower probability than this, the head is redrawn."""
SKETCH = 32
"""Side of the sketch, the coarse head that a linear layer draws: colours and opacity."""
_TEMPLATE = (CANONICAL_LANDMARKS - torch.tensor([0.5, 0.56])) * 1.6 + torch.tensor([0.5, 0.56])
"""Landmarks of the sketch, in its sides. They are laid over the landmarks of the face."""
READ = 64
"""Side of the picture that the reader sees. M folds pixels of larger crops into channels to get this side."""
_CENTRE = (0.5, 0.47)
"""Centre of the ellipse that M always redraws, in sides of the crop."""
_FEATHER = 0.11
"""Width of its soft edge, outside the ellipse, as a share of its radius."""


class StateModifier(Modifier):
    """M-state: it reads the crop without the head, the state of the head, and a code of the person to draw.

    A frozen `FaceReader` finds the head and what is in front of it. The head is removed before M sees the
    crop. Of the face only the state passes, `config.state` numbers with noise, see `state_bits`. Hands and
    tools in front stay as they are. A linear layer sketches the head of a person in a state over the filled
    scene, and the residual network adds what is missing.

    Implements Ren et al., section 4, Face Modification.
    Differs from the paper: the paper's M reads the whole face and returns the whole crop. A network that
    sees a face can hide the person in the picture that it draws, where a retrained D finds it again. The
    encoder, residual blocks and decoder are the paper's. With crops of 128 pixels, for photographs, every 2x2
    pixels are folded into channels (Shi et al., CVPR 2016), so that M is fast enough on a CPU. The sketch
    is then moved, turned and scaled to the place of the face, so four more numbers pass.

    >>> network = StateModifier(ModifierConfig(size=64, width=8, blocks=1, reads="state"))
    >>> faces = torch.rand(2, 3, 64, 64)
    >>> network(faces).shape, network.layer(faces).shape
    (torch.Size([2, 3, 64, 64]), torch.Size([2, 4, 64, 64]))
    """

    people: Tensor
    region: Tensor

    def __init__(self, config: ModifierConfig) -> None:
        fold = max(1, config.size // READ)
        super().__init__(config, inputs=8 * fold**2, outputs=3 * fold**2, kernel=7 if fold == 1 else 3)
        w, self.fold, numbers = config.width, fold, CODE + config.state
        self.reader = FaceReader().requires_grad_(False)
        self.sketch = nn.Linear(numbers, 4 * (SKETCH * fold) ** 2)
        self.person = nn.Sequential(
            nn.Linear(numbers, 8 * w * 16),
            nn.LeakyReLU(0.2),
            nn.Unflatten(1, (8 * w, 4, 4)),
            nn.Upsample(scale_factor=config.size // fold // 32),
            nn.Conv2d(8 * w, 4 * w, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(4 * w, 4 * w, 3, padding=1),
            nn.LeakyReLU(0.2),
        )
        self.join = nn.Conv2d(8 * w, 4 * w, 3, padding=1)
        last = self.decoder[-1]
        assert isinstance(last, nn.Conv2d)
        nn.init.normal_(last.weight, std=1e-3)  # at first M draws the sketch
        self.register_buffer("people", torch.randn(PEOPLE, CODE))
        self.register_buffer("region", redrawn_region(config.size, config.region), persistent=False)

    def train(self, mode: bool = True) -> StateModifier:
        """Training mode, or not; the reader never trains."""
        super().train(mode)
        self.reader.eval()
        return self

    def draw_codes(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random codes `(count, CODE + config.state)`: one of the `people`, and normal numbers for the noise.

        Without a generator they come from PyTorch's global one.
        """
        rows = torch.randint(len(self.people), (count,), generator=generator)
        noise = torch.randn(count, self.config.state, generator=generator)
        return torch.cat([self.people[rows.to(self.people.device)], noise.to(self.people.device)], 1)

    def forward(self, faces: Tensor, codes: Tensor | None = None) -> Tensor:
        """Modified faces, `(B, 3, S, S)` in [0, 1] to the same; S is `config.size`.

        The `codes` are as `draw_codes` returns them; None draws random ones.
        """
        colours, opacity = self.layer(faces, codes).split([3, 1], 1)
        return torch.lerp(faces, colours, opacity)

    def layer(self, faces: Tensor, codes: Tensor | None = None) -> Tensor:
        """What is laid over the crop: `(B, 4, S, S)` in [0, 1], colours and opacity."""
        codes = self.draw_codes(len(faces)) if codes is None else codes
        with torch.no_grad():
            reading = self.read(faces)
            seen, opacity = self.remove_head(faces, reading.head.sigmoid(), reading.front.sigmoid())
        drawn = self.draw(seen, reading.state, codes, place=self.place(reading.landmarks))
        return torch.cat([drawn, opacity], 1)

    def read(self, faces: Tensor) -> Reading:
        """What the reader finds in faces `(B, 3, S, S)`, in their pixels. It sees them at 64 pixels."""
        if self.fold == 1:
            return self.reader(faces)
        head, front, state, landmarks = self.reader(F.avg_pool2d(faces, self.fold))
        head, front = F.interpolate(torch.cat([head, front], 1), faces.shape[2:], mode="bilinear").split(1, 1)
        return Reading(head, front, state, landmarks * self.fold)

    def place(self, landmarks: Tensor) -> Tensor | None:
        """Where the sketch goes: `(B, 2, 3)`, from its pixels to those of the crop; None for the whole crop.

        Only size, place and roll of the face pass.
        """
        if self.fold == 1:
            return None
        template = (_TEMPLATE.to(landmarks) * SKETCH * self.fold).expand_as(landmarks)
        return similarity_transform(template, landmarks)

    def remove_head(self, faces: Tensor, head: Tensor, front: Tensor) -> tuple[Tensor, Tensor]:
        """What M sees of the faces `(B, 4, S, S)`, and where it draws `(B, 1, S, S)`.

        M draws in a fixed ellipse and wherever a part of the head is outside it, but not where something is
        in front. M gets colours in [-1, 1], which are 0 where it draws, and a plane that is 1 where the
        colours are visible.

        Args:
            head: `(B, 1, S, S)` opacity of the head, as if nothing were in front of it.
            front: `(B, 1, S, S)` opacity of what is in front of it.
        """
        outside = F.max_pool2d((head > 0.25).float(), (7, 1), 1, (3, 0))  # in two steps, for speed
        outside = F.max_pool2d(outside, (1, 7), 1, (0, 3))
        hole = torch.maximum(
            self.region.expand_as(outside), F.avg_pool2d(outside, 3, 1, 1, count_include_pad=False)
        )
        front = ((front - DOUBT) / (1 - 2 * DOUBT)).clamp(0, 1)  # so that no face shines through
        visible = ((hole <= 0) | (front > 0.5)).float()
        seen = torch.cat([(faces * 2 - 1) * visible, visible], 1)
        return seen, hole * (1 - front)

    def draw(self, seen: Tensor, state: Tensor, codes: Tensor, *, place: Tensor | None = None) -> Tensor:
        """The person of the codes in a state, with the scene around, `(B, 3, S, S)` in [0, 1].

        Args:
            seen: `(B, 4, S, S)` from `remove_head`.
            state: `(B, 8)` from the reader; only the first `config.state` numbers are used.
            codes: from `draw_codes`.
            place: from `place`.
        """
        people, noise = codes.tensor_split([CODE], 1)
        state = state[:, : self.config.state].clamp(-LARGEST, LARGEST)
        numbers = torch.cat([people, state + NOISE * noise], 1)
        sketch = self.sketch(numbers).reshape(-1, 4, SKETCH * self.fold, SKETCH * self.fold)
        size = (seen.shape[2], seen.shape[3])
        if place is None:
            sketch = F.interpolate(sketch, size, mode="bilinear")
        else:
            sketch = warp_affine(sketch, place, size)
        head, opacity = sketch.split([3, 1], 1)
        coarse = fill(*seen.split([3, 1], 1)) * (1 - opacity) + head
        x = F.pixel_unshuffle(torch.cat([seen, coarse, opacity], 1), self.fold)
        x = self.encoder(channels_last(x))  # (B, 4w, s/4, s/4) with s = S / fold
        x = self.join(torch.cat([x, channels_last(self.person(numbers))], 1))
        x = F.pixel_shuffle(self.decoder(self.blocks(x)), self.fold)  # (B, 3, S, S)
        return ((coarse + x + 1) / 2).clamp(0, 1)


def fill(seen: Tensor, visible: Tensor) -> Tensor:
    """What is not visible, filled with a mean of what is visible around it; coarser where that is far.

    Both `(B, C, S, S)` and the `(B, 1, S, S)` plane are 0 where nothing is visible.

    >>> fill(torch.tensor([[[[3.0, 0.0], [0.0, 0.0]]]]), torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]]))
    tensor([[[[3., 3.],
              [3., 3.]]]])
    """
    if seen.shape[-1] % 2 or seen.shape[-1] == 1:
        return seen + (1 - visible) * seen.sum((2, 3), True) / visible.sum((2, 3), True).clamp(min=1e-6)
    share = F.avg_pool2d(visible, 2)
    mean = F.avg_pool2d(seen, 2) / share.clamp(min=1e-6)
    coarse = fill(mean * (share > 0), (share > 0).float())
    return seen + (1 - visible) * F.interpolate(coarse, scale_factor=2.0, mode="bilinear")


def channels_last(x: Tensor) -> Tensor:
    """The same images in the memory layout in which convolutions are fast."""
    return x.contiguous(memory_format=torch.channels_last)


def redrawn_region(size: int, radii: tuple[float, float]) -> Tensor:
    """The ellipse that M always redraws: `(1, 1, size, size)`, 1 inside, with a soft edge outside.

    Its `radii` are shares of the size.
    """
    line = (torch.arange(size) + 0.5) / size
    y, x = torch.meshgrid(line, line, indexing="ij")
    away = (((x - _CENTRE[0]) / radii[0]) ** 2 + ((y - _CENTRE[1]) / radii[1]) ** 2).sqrt()
    return ((1 + _FEATHER - away) / _FEATHER).clamp(0, 1)[None, None]


def state_bits(spread: Sequence[float], noise: float = NOISE) -> float:
    """Most bits of information that the state of one face can pass, for normal numbers of this spread.

    The capacity of a Gaussian channel for each number, log2(1 + spread^2 / noise^2) / 2.

    >>> round(state_bits([1.0] * 8), 1)
    16.3
    """
    return sum(0.5 * math.log2(1 + (each / noise) ** 2) for each in spread)

"""M-state: a face modifier that does not see the face it replaces."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.config import ModifierConfig
from anonlib.networks.blocks import ResidualBlock, instance_norm_layer
from anonlib.networks.face_reader import STATE, FaceReader

CODE = 48
"""Numbers that say which person M draws."""
_CENTRE, _RADII = (0.5, 0.47), (0.40, 0.50)
"""Ellipse that is always removed, as shares of the side of the crop."""
_FEATHER = 0.05
"""Width of its soft edge, outside the ellipse."""
_LARGEST = 2.5
"""Larger values of the state are clipped, in standard deviations."""


class StateModifier(nn.Module):
    def __init__(self, config: ModifierConfig) -> None:
        super().__init__()
        self.config = config
        w = config.width
        self.reader = FaceReader().requires_grad_(False)
        self.encoder = nn.Sequential(
            instance_norm_layer(4, w, 7),
            instance_norm_layer(w, 2 * w, 3, stride=2),
            instance_norm_layer(2 * w, 4 * w, 3, stride=2),
        )
        self.person = nn.Sequential(
            nn.Linear(CODE + STATE, 8 * w * 16),
            nn.LeakyReLU(0.2),
            nn.Unflatten(1, (8 * w, 4, 4)),
            nn.Upsample(scale_factor=config.size // 32),
            nn.Conv2d(8 * w, 4 * w, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(4 * w, 4 * w, 3, padding=1),
            nn.LeakyReLU(0.2),
        )
        self.join = nn.Conv2d(8 * w, 4 * w, 3, padding=1)
        self.blocks = nn.Sequential(*[ResidualBlock(4 * w) for _ in range(config.blocks)])
        self.decoder = nn.Sequential(
            nn.Upsample(scale_factor=2),
            instance_norm_layer(4 * w, 2 * w, 3),
            nn.Upsample(scale_factor=2),
            instance_norm_layer(2 * w, w, 3),
            nn.ReflectionPad2d(3),
            nn.Conv2d(w, 3, 7),
        )
        self.register_buffer("people", torch.randn(16, CODE))
        line = (torch.arange(config.size) + 0.5) / config.size
        y, x = torch.meshgrid(line, line, indexing="ij")
        away = (((x - _CENTRE[0]) / _RADII[0]) ** 2 + ((y - _CENTRE[1]) / _RADII[1]) ** 2).sqrt()
        region = ((1 + _FEATHER / 0.45 - away) / (_FEATHER / 0.45)).clamp(0, 1)
        self.register_buffer("region", region[None, None], persistent=False)
        self.noise = 0.25

    def train(self, mode=True):
        super().train(mode)
        self.reader.eval()
        return self

    def hole(self, reading):
        head = F.max_pool2d((reading.head > -1).float(), 5, 1, 2)
        head = F.avg_pool2d(F.max_pool2d(head, 3, 1, 1), 3, 1, 1)
        return torch.maximum(self.region.expand_as(head), head)

    def layer(self, faces: Tensor, codes: Tensor | None = None) -> Tensor:
        with torch.no_grad():
            reading = self.reader(faces)
            front = torch.sigmoid(reading.front * 2)
            hole = self.hole(reading)
            keep = torch.where(front > 0.5, 1.0, (hole <= 0).float())
            state = reading.state.clamp(-_LARGEST, _LARGEST)
            state = state + self.noise * torch.randn_like(state)
            if codes is None:
                codes = self.people[torch.randint(len(self.people), (len(faces),))]
        return torch.cat([self.draw(faces, keep, state, codes), hole * (1 - front)], 1)

    def draw(self, faces, keep, state, codes):
        seen = torch.cat([(faces * 2 - 1) * keep, keep * 2 - 1], 1).contiguous(memory_format=torch.channels_last)
        person = self.person(torch.cat([codes, state], 1)).contiguous(memory_format=torch.channels_last)
        x = self.join(torch.cat([self.encoder(seen), person], 1))
        x = self.decoder(self.blocks(x))
        return (torch.tanh(x) + 1) / 2

    def forward(self, faces, codes=None):
        rgb, opacity = self.layer(faces, codes).split([3, 1], 1)
        return faces + opacity * (rgb - faces)

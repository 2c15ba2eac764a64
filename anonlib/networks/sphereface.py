"""Face classifier D: SphereFace (Liu et al., CVPR 2017) with 4, 10 or 20 convolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.config import ClassifierConfig

_UNITS = {4: (0, 0, 0, 0), 10: (0, 1, 2, 0), 20: (1, 2, 4, 1)}
"""Residual units of the four stages by depth."""


class _Unit(nn.Module):
    """Two 3x3 convolutions with PReLU, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first = nn.Conv2d(channels, channels, 3, padding=1)
        second = nn.Conv2d(channels, channels, 3, padding=1)
        self.body = nn.Sequential(first, nn.PReLU(channels), second, nn.PReLU(channels))
        for layer in (first, second):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class SphereFace(nn.Module):
    """D: maps aligned faces to features, and holds one weight vector for each person.

    Implements Ren et al., section 4, Face Identity Classification.
    Differs from the paper: none with the defaults (20 layers, 112x96, 512 features).

    `losses.angular_softmax_loss` takes the features and the weight vectors, `identities`.
    """

    def __init__(self, config: ClassifierConfig, *, people: int) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        inputs = 3
        for stage, units in enumerate(_UNITS[config.depth]):
            outputs = config.width * 2**stage
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.PReLU(outputs)]
            layers += [_Unit(outputs) for _ in range(units)]
            inputs = outputs
        self.stages = nn.Sequential(*layers)
        height, width = config.size
        self.embed = nn.Linear(inputs * (height // 16) * (width // 16), config.features)
        self.identities = nn.Parameter(torch.randn(people, config.features))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, aligned: Tensor) -> Tensor:
        """Features `(B, features)`, to be compared by cosine similarity.

        Faces come aligned from `geometry.align_faces`, `(B, 3, height, width)` in [0, 1].
        """
        x = (aligned - 0.5) / 0.5  # (B, 3, h, w)
        x = self.stages(x)  # (B, 8 * width, h/16, w/16)
        return self.embed(x.flatten(1))


def flip_averaged_features(classifier: nn.Module, aligned: Tensor) -> Tensor:
    """The mean feature of each face `(B, 3, h, w)` in [0, 1] and its mirror image, `(B, F)` of length one.

    Implements Ren et al., section 5.1, Face Recognition (features after the last fully connected
    layer, cosine similarity). Differs from the paper: none.
    """
    return F.normalize(classifier(aligned) + classifier(aligned.flip(3)), dim=1)

"""M-state as an anonymizer: every face becomes a random person."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from anonlib.anonymizers.sessions import face_seed
from anonlib.errors import NumericError
from anonlib.geometry import resize
from anonlib.networks import StateModifier

CPU_BATCH = 16
"""Faces in a batch of the modifier on a CPU: as many as fit into its cache."""
DIVERGED = (
    "the modifier returned NaN or infinity for face {}: its training diverged, use an earlier checkpoint or "
    "a lower learning rate"
)


class StateAnonymizer:
    """M-state: every face becomes a random person, the same in all frames of a track.

    Differs from the paper: the paper's M has no choice of the person.

    >>> from anonlib.config import ModifierConfig
    >>> modifier = StateModifier(ModifierConfig(size=64, width=8, blocks=1, reads="state"))
    >>> hide = StateAnonymizer(modifier, seed=1)
    >>> faces = torch.rand(3, 3, 80, 70)
    >>> torch.allclose(hide(faces)[:2], hide(faces[:2]), atol=1e-4)
    True
    """

    def __init__(self, modifier: StateModifier, *, seed: int | None = None) -> None:
        """Puts M into evaluation mode. The seed and the pixels of a face decide who is drawn for it.

        Without a seed the people differ in each run.
        """
        self.modifier = modifier.eval()
        self.size = modifier.config.size
        self.given_seed = seed
        self.seed = secrets.randbits(63) if seed is None else seed

    def __call__(self, faces: Tensor) -> Tensor:
        """Modified faces, `(B, 3, H, W)` in [0, 1] to the same, each as a person of its own.

        Raises:
            NumericError: the modifier returned NaN or infinity.
        """
        return torch.stack(self.redraw(list(faces), [self.code_for(face) for face in faces]))

    def session(self, seed: int | None = None) -> StateSession:
        """A session for one file; see `anonlib.anonymizers.Session`.

        Without a seed each session draws other people, so that nobody can link two files.
        """
        chosen = self.given_seed if seed is None else seed
        return StateSession(StateAnonymizer(self.modifier, seed=chosen))

    def code_for(self, face: Tensor) -> Tensor:
        """The code `(1, 56)` of the person for a new face; the seed and the pixels of the face decide."""
        generator = torch.Generator().manual_seed(face_seed(face, self.seed))
        return self.modifier.draw_codes(1, generator)

    @torch.no_grad()
    def redraw(self, crops: Sequence[Tensor], codes: Sequence[Tensor]) -> list[Tensor]:
        """Crops `(3, h, w)` with the people of these codes; outside M's region they stay as they are."""
        out: list[Tensor] = []
        device = self.modifier.people.device
        for first in range(0, len(crops), CPU_BATCH):
            part = crops[first : first + CPU_BATCH]
            small = torch.cat([resize(crop[None], (self.size, self.size)) for crop in part]).to(device)
            layers = self.modifier.layer(small, torch.cat(list(codes[first : first + CPU_BATCH])))
            for index, (crop, layer) in enumerate(zip(part, layers.to(crops[0]), strict=True)):
                if not bool(torch.isfinite(layer).all()):
                    raise NumericError(DIVERGED.format(first + index))
                drawn = resize(layer[None], crop.shape[1:])[0].clamp(0, 1)
                out.append(torch.lerp(crop, drawn[:3], drawn[3:]))
        return out


class StateSession:
    """M-state for one file: each track is one person."""

    def __init__(self, method: StateAnonymizer) -> None:
        self.method = method
        self.counts: Counter[str] = Counter()
        self.codes: dict[int, Tensor] = {}

    def replace(self, crops: list[Tensor], tracks: list[int], corners: list[tuple[int, int]]) -> list[Tensor]:
        """See `anonlib.anonymizers.Session.replace`."""
        for crop, track in zip(crops, tracks, strict=True):
            if track not in self.codes:
                self.codes[track] = self.method.code_for(crop)
        self.counts["redrawn"] += len(crops)
        return self.method.redraw(crops, [self.codes[track] for track in tracks])

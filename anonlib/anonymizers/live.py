"""Live de-identification as an anonymizer: every face is drawn again, less like its own person."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import torch
from torch import Tensor, nn

from anonlib.anonymizers.aligned import TEMPLATE, aligned_window, five_points
from anonlib.anonymizers.ciagan import VEIL
from anonlib.anonymizers.conditions import FindPoints, into_picture
from anonlib.anonymizers.handcrafted import blur
from anonlib.anonymizers.m_state import DIVERGED
from anonlib.assets import data_path, load_weights
from anonlib.config import LIVE_STRENGTHS, ClassifierConfig, LiveConfig
from anonlib.detection.mesh import PRESENT, MeshLandmarks
from anonlib.detection.windows import view
from anonlib.errors import CheckpointError, ConfigError, NumericError
from anonlib.geometry import align_faces
from anonlib.networks.live import SIZE, LiveNetwork, activations
from anonlib.networks.sphereface import SphereFace

_FADE = 6
"""Pixels at the border of the aligned crop in which the drawing fades, so that no seam is left."""


class LiveAnonymizer:
    """The network draws a face again, pushed away from the descriptor of a target picture of the same person.

    The target of a single face is the face itself; in a session it is the first picture of the track. Where
    no mesh is found, the whole crop is blurred.
    Implements Gafni, Wolf and Taigman (ICCV 2019), the pipeline at test time. Differs from the paper: the
    drawing fades at the border of the aligned crop, the paper's is cut at the convex hull of the landmarks;
    strength 0 hides nobody.
    """

    def __init__(
        self,
        network: LiveNetwork,
        face: SphereFace,
        *,
        strength: float | None = None,
        find: FindPoints | None = None,
    ) -> None:
        """`strength` is one of `LIVE_STRENGTHS`, by default the largest; `face` describes the targets.

        Raises:
            ConfigError: the strength is another number.
        """
        self.strength = check_strength(LIVE_STRENGTHS[-1] if strength is None else strength)
        self.network, self.face, self.find = network.eval(), face.eval(), find or MeshLandmarks()

    def __call__(self, faces: Tensor) -> Tensor:
        """Modified faces, `(B, 3, H, W)` in [0, 1] to the same; NumericError if the network diverged."""
        return torch.stack(self.session().replace(list(faces), list(range(len(faces))), []))

    def session(self, seed: int | None = None) -> LiveSession:
        """What anonymizes one file; see `anonlib.anonymizers.Session`. Nothing is random."""
        return LiveSession(self)

    @torch.no_grad()
    def describe(self, aligned: Tensor) -> Tensor:
        """Descriptors `(B, F)` of faces `(B, 3, SIZE, SIZE)`."""
        points = TEMPLATE.to(aligned).expand(len(aligned), -1, -1)
        return activations(self.face, align_faces(aligned, points, self.face.config.size))[-1]

    @torch.no_grad()
    def layer(self, aligned: Tensor, target: Tensor) -> Tensor:
        """Colours and opacity `(1, 4, SIZE, SIZE)` to lay over an aligned face `(1, 3, SIZE, SIZE)`."""
        drawn, mask = self.network(aligned, target, aligned.new_tensor([self.strength]))
        border = (torch.arange(SIZE).to(aligned) + 0.5).clamp(max=_FADE) / _FADE
        fade = border.minimum(border.flip(0))
        return torch.cat([drawn, mask * torch.outer(fade, fade)], 1)


class LiveSession:
    """Live de-identification for one file: each track has one target."""

    def __init__(self, method: LiveAnonymizer) -> None:
        self.method = method
        self.counts: Counter[str] = Counter()
        self.targets: dict[int, Tensor] = {}

    def replace(self, crops: list[Tensor], tracks: list[int], corners: list[tuple[int, int]]) -> list[Tensor]:
        """See `anonlib.anonymizers.Session.replace`. NumericError if the network returns NaN or infinity."""
        points, scores = self.method.find([crop.cpu() for crop in crops])
        out = []
        for index, (crop, track) in enumerate(zip(crops, tracks, strict=True)):
            if scores[index] >= PRESENT:
                self.counts["redrawn"] += 1
                out.append(self._redrawn(crop, five_points(points[index]), track, index))
            else:
                self.counts["veiled"] += 1
                out.append(blur(crop[None], grid=VEIL)[0])
        return out

    def _redrawn(self, crop: Tensor, landmarks: Tensor, track: int, index: int) -> Tensor:
        window = aligned_window(landmarks)
        device = next(self.method.network.parameters()).device
        aligned = view(crop.cpu(), window, SIZE)[None].to(device)
        if track not in self.targets:
            self.targets[track] = self.method.describe(aligned)
        layer = self.method.layer(aligned, self.targets[track]).to(crop)
        if not bool(torch.isfinite(layer).all()):
            raise NumericError(DIVERGED.format(index))
        placed = into_picture(layer, window, (crop.shape[1], crop.shape[2]))
        return torch.lerp(crop, placed[:3], placed[3:])


def check_strength(strength: float) -> float:
    """The strength, if it is one of `LIVE_STRENGTHS`.

    Raises:
        ConfigError: it is another number.

    >>> check_strength(0.3)
    Traceback (most recent call last):
    anonlib.errors.ConfigError: strength 0.3: use one of 0, 0.25, 0.5, 0.75, 1
    """
    if strength not in LIVE_STRENGTHS:
        raise ConfigError(f"strength {strength:g}: use one of {', '.join(f'{s:g}' for s in LIVE_STRENGTHS)}")
    return strength


def load_live(
    path: Path | None = None, *, device: str = "cpu", strength: float | None = None
) -> LiveAnonymizer:
    """The anonymizer with the weights of a file of `recipes/train_live.py`, the shipped ones by default.

    Raises:
        ConfigError: the strength is none of `LIVE_STRENGTHS`.
        FaceDatasetError: the shipped weights are missing.
        CheckpointError: the file is missing, damaged or of another network.
    """
    path = path or data_path("weights", "live.safetensors")
    tensors, config = load_weights(path)
    try:
        network = LiveNetwork(LiveConfig(**config["network"]))
        shape = config["face"]
        face = SphereFace(ClassifierConfig(**{**shape, "size": tuple(shape["size"])}), people=1)
        both = nn.ModuleDict({"network": network, "face": face})
        both.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (KeyError, TypeError, RuntimeError, ConfigError) as error:
        raise CheckpointError(
            f"weights {path} do not fit live de-identification: use a file of recipes/train_live.py"
        ) from error
    both.to(device)
    return LiveAnonymizer(network, face, strength=strength, find=MeshLandmarks(device=device))

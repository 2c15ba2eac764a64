"""What a method keeps besides the person: can the face be found, its state, its looks; flicker and time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib import detection
from anonlib.anonymizers import Anonymizer
from anonlib.anonymizers.aligned import aligned_window
from anonlib.anonymizers.sessions import session_of
from anonlib.assets import data_path
from anonlib.attack.recognizers import recognizing_classifier
from anonlib.attack.verification import anonymize_faces, face_features
from anonlib.config import DETECTOR, profile
from anonlib.detection.mesh import MeshLandmarks
from anonlib.detection.windows import view
from anonlib.experiment.identity_consistency import flicker
from anonlib.metrics.frechet import frechet_distance
from anonlib.networks.face_reader import STATE
from anonlib.training.start import starting_modifier
from anonlib.types import FaceImages, Images
from anonlib.world.face_model import normals
from anonlib.world.faces import BACKGROUND, SyntheticPeople, backgrounds, drawn_states, synthetic_faces

KEPT = STATE[:5]
"""The numbers of the state that a method should keep: pose and expression, not the light."""
DETECTORS = ("mtcnn", DETECTOR)
"""Who looks for the modified faces."""
EYES = (33, 133, 159, 145, 362, 263, 386, 374)
"""Corners and lids of both eyes in the mesh."""
CLIPS, FRAMES, TIMED = 10, 24, 40
"""Clips, frames of each, and faces whose time is taken."""
_STILL = 1e-3
"""Standard deviation below which a number of the state counts as constant."""


class Clip(NamedTuple):
    """One person in T frames."""

    frames: Tensor
    """`(T, 3, S, S)` in [0, 1]."""
    landmarks: Tensor
    """`(T, 5, 2)` true ones, in pixels."""


class Bench:
    """Clear pictures and clips of drawn people, and what is known of them."""

    def __init__(self, people: Sequence[int], *, images: int, seed: int) -> None:
        size, self.seed = profile("laptop").modifier.size, seed
        self.clear = synthetic_faces(people, images=images, size=size, seed=seed)
        self.state = drawn_states(people, images=images, seed=seed)[:, : len(KEPT)].numpy()
        self.clips = [drawn_clip(person, frames=FRAMES, size=size, seed=seed) for person in people[:CLIPS]]
        self.detectors = {name: detection.create(name) for name in DETECTORS}
        self.find = MeshLandmarks()
        self.eyes = aligned_points(self.clear, self.find, EYES)
        d_start = recognizing_classifier(data_path("weights", "D-start.safetensors"))
        self.features = partial(face_features, d_start)
        self.others = self.features(synthetic_faces(people, images=images, size=size, seed=seed + 1))

    def row(self, hide: Anonymizer) -> dict[str, float]:
        """All figures of a method that takes faces of 64 pixels.

        - found_*: see `found`;
        - pose, mouth, smile: root mean square error of the state that `read_state` reads on the modified
          face, against what was drawn, in standard deviations of drawn people;
        - eyes: mean distance of `EYES` to those of the clear face, in pixels of an aligned face;
        - frechet: `frechet_distance` to other clear pictures of the same people, in the features of D-start;
        - flicker: see `experiment.flicker`, of aligned faces in clips; one session a clip;
        - milliseconds: see `milliseconds`.
        """
        faces = anonymize_faces(self.clear, hide)
        row = {f"found_{name}": found(detector, faces) for name, detector in self.detectors.items()}
        row |= state_errors(read_state(faces.images), self.state)
        moved = aligned_points(faces, self.find, EYES) - self.eyes
        row["eyes"] = float(moved.norm(dim=2).mean())
        row["frechet"] = frechet_distance(self.features(faces), self.others)
        before = [aligned_faces(*clip) for clip in self.clips]
        after = [aligned_faces(hidden_clip(hide, one.frames, self.seed), one.landmarks) for one in self.clips]
        row["flicker"] = flicker(torch.stack(before, 1), torch.stack(after, 1))
        row["milliseconds"] = milliseconds(hide, self.clear.images[:TIMED].float() / 255)
        return row


def found(detector: detection.Detector, faces: FaceImages) -> float:
    """The share of pictures in which a box holds the middle of the face; each lies in a grey frame."""
    images = faces.images[:]
    size = images.shape[-1]
    frames = F.pad(images.float() / 255, [size // 2] * 4, value=0.5)
    middles = faces.landmarks.mean(1) + size // 2
    hits = []
    for part, points in zip(frames.split(50), middles.split(50), strict=True):
        for seen, (x, y) in zip(detector(part), points, strict=True):
            left, top, right, bottom = seen.boxes.unbind(1)
            hits.append(bool(((left <= x) & (x <= right) & (top <= y) & (y <= bottom)).any()))
    return float(np.mean(hits))


@torch.inference_mode()
def read_state(images: Images) -> np.ndarray:
    """Yaw, pitch, roll, mouth open and smile of uint8 faces `(N, 3, 64, 64)`; `(N, 5)`.

    They are read by the reader of M-state, which was trained on clear drawn faces, in its units.
    """
    modifier = starting_modifier(profile("laptop"), seed=0).eval()
    parts: list[Tensor] = [modifier.read(part.float() / 255).state for part in images.split(128)]  # type: ignore[operator]
    return torch.cat(parts)[:, : len(KEPT)].numpy()


def state_kept(before: np.ndarray, after: np.ndarray) -> float:
    """How much of the state of N faces a method keeps, in [0, 1], from `(N, K)` numbers before and after.

    The mean over the K numbers of Pearson's correlation. It is 0 for a number that is constant after the
    method, or that is reversed.

    >>> turned = np.array([[-1.0, 3], [0, 5], [1, 4]])
    >>> state_kept(turned, turned * [0.5, 0])
    0.5
    """
    there = (before.std(axis=0) > _STILL) & (after.std(axis=0) > _STILL)
    each = [np.corrcoef(before[:, k], after[:, k])[0, 1] for k in there.nonzero()[0]]
    return float(np.clip(each, 0, 1).sum() / before.shape[1])


def state_errors(read: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    """Root mean square errors of pose (three angles together), mouth and smile, from `(N, 5)` each.

    >>> state_errors(np.array([[3.0, 0, 0, 1, 0]]), np.array([[0.0, 0, 0, 0, 2]]))["smile"]
    2.0
    """
    square = ((read - drawn) ** 2).mean(axis=0)
    means = {"pose": square[:3].mean(), "mouth": square[3], "smile": square[4]}
    return {name: float(mean**0.5) for name, mean in means.items()}


def aligned_points(
    faces: FaceImages, find: Callable[[list[Tensor]], tuple[Tensor, Tensor]], numbers: Sequence[int]
) -> Tensor:
    """Points of the mesh `(N, len(numbers), 2)`, in pixels of a face that is aligned by true landmarks."""
    size = profile("laptop").modifier.size
    mesh = torch.cat([find(list(part.float() / 255))[0] for part in faces.images.split(100)])
    scales = [size / aligned_window(marks).side for marks in faces.landmarks]
    return mesh[:, list(numbers), :2] * torch.tensor(scales)[:, None, None]


def drawn_clip(person: int, *, frames: int, size: int, seed: int) -> Clip:
    """A person who moves before a background that does not."""
    head = SyntheticPeople().heads(person, seed=seed, frames=frames, size=size)
    scene = backgrounds(normals(person, seed, 4, shape=(1, BACKGROUND)), size)
    return Clip(scene.lerp(head.rgb, head.alpha), head.landmarks)


def hidden_clip(hide: Anonymizer, frames: Tensor, seed: int | None = None) -> Tensor:
    """Frames `(T, 3, S, S)` as a method shows them: as one track of a session, if it has sessions."""
    session, count = session_of(hide, seed), len(frames)
    if session is None:
        return hide(frames)
    return torch.stack(session.replace(list(frames), [0] * count, [(0, 0)] * count))


def aligned_faces(frames: Tensor, landmarks: Tensor) -> Tensor:
    """The faces of frames `(T, 3, S, S)`, turned and scaled onto a mean face by landmarks `(T, 5, 2)`."""
    size, pairs = frames.shape[-1], zip(frames, landmarks, strict=True)
    return torch.stack([view(frame, aligned_window(marks), size) for frame, marks in pairs])


def milliseconds(hide: Anonymizer, faces: Tensor) -> float:
    """Median processor time for one of the faces `(N, 3, H, W)`, one at a time; the first does not count.

    The times of all cores are added. A method that needs landmarks finds them itself; no detector runs.
    """
    spent = []
    for face in faces.split(1):
        start = time.process_time()
        hide(face)
        spent.append(1000 * (time.process_time() - start))
    return float(np.median(spent[1:]))

"""The attacker who restores: a network learns to undo the method, then D recognises the restored faces."""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.attack.budget import Budget
from anonlib.attack.subjects import Part
from anonlib.geometry import align_faces
from anonlib.networks import SphereFace, flip_averaged_features
from anonlib.networks.restorer import Restorer
from anonlib.training.batches import face_batch
from anonlib.training.loop import TrainingState, training_steps
from anonlib.types import FaceImages

RATE = 2e-3
LR_DROP = 0.75
FEATURES = 0.3
"""Weight of the feature loss beside L1."""
BATCH = 128


def train_restorer(
    classifier: SphereFace, lessons: Part, budget: Budget, *, seed: int, progress: bool = True
) -> Restorer:
    """Learns clear faces from modified ones of training people, both aligned by the modified one's landmarks.

    The loss is the L1 distance to the clear face, and one minus the cosine of D's features of both.
    """
    torch.manual_seed(seed)
    judge = copy.deepcopy(classifier).eval().requires_grad_(False)
    device, size = judge.identities.device, judge.config.size
    restorer = Restorer().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(restorer.parameters(), lr=RATE)
    state = TrainingState(modules={"restorer": restorer.train()}, optimizers={"optimizer": optimizer})
    half = max(1, budget.faces // 2)
    for step, losses in training_steps(
        state, name="restorer", steps=budget.restoring_steps, seed=seed, lr_drop=LR_DROP, progress=progress
    ):
        seen = face_batch(lessons.modified, half, seed=seed, step=step, device=device)
        true = face_batch(lessons.clear, half, seed=seed, step=step, device=device)  # the same pictures
        modified, clear = (align_faces(one.images, seen.landmarks, size) for one in (seen, true))
        restored = restorer(modified)
        pixels = (restored - clear).abs().mean()
        with torch.no_grad():
            wanted = judge(clear)
        features = 1 - F.cosine_similarity(judge(restored), wanted).mean()
        optimizer.zero_grad(set_to_none=True)
        (pixels + FEATURES * features).backward()
        optimizer.step()
        losses |= {"pixels": pixels.detach(), "features": features.detach()}
    return restorer.eval()


@torch.inference_mode()
def restored_features(classifier: SphereFace, restorer: Restorer, faces: FaceImages) -> np.ndarray:
    """Flip-averaged unit features of restored faces; `(N, F)`."""
    classifier.eval()
    parts = zip(faces.images.split(BATCH), faces.landmarks.split(BATCH), strict=True)
    out = [
        flip_averaged_features(classifier, restore(classifier, restorer, *part)).float().cpu()
        for part in parts
    ]
    return torch.cat(out).numpy()


def restore(classifier: SphereFace, restorer: Restorer, images: Tensor, landmarks: Tensor) -> Tensor:
    """Restored aligned faces `(B, 3, h, w)` in [0, 1] of uint8 faces `(B, 3, S, S)`."""
    device = classifier.identities.device
    floats = (images.float() / 255).contiguous(memory_format=torch.channels_last).to(device)
    restored: Tensor = restorer(align_faces(floats, landmarks.to(device), classifier.config.size))
    return restored

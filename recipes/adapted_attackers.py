"""Recognisers that are adapted to modified pictures of other people than the test's.

Two networks: `dlib` (King, 2017; 99% on clear LFW) and `D`, the SphereFace-20 that ships. dlib's network
first learns to see past filled regions of any extent, once for all methods (`start`). For each method then,
kernel ridge regression learns on a network's activations for modified pictures of the training people to
predict the features that dlib gives the clear picture, and who it is. It has one solution, takes a minute on
a CPU, and on LFW's fold 5 it was better than as long a training of the network itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.attack import recognizers
from anonlib.config import ClassifierConfig
from anonlib.geometry import align_faces, similarity_transform, warp_affine
from anonlib.networks.dlib_resnet import DlibResNet
from recipes.face_context import filled, head_outline, inside, scaled_oval

BATCH, START_STEPS, START_RATE = 48, 250, 5e-3
"""The rate is Adam's step in standard deviations of a weight tensor; those of dlib differ 70 times."""
FROZEN = 3
"""Residual blocks of dlib's network that keep their weights."""
VIEWS = {"face": 0.8, "head": 0.6}
"""How far an attacker looks: the eyes are so much closer together than in dlib's own crops, which
are 2.75 eye distances wide."""
TOWARDS_MEAN = 0.7
LAYERS = {"dlib": (9, 12), "D": (12, 15)}
SPLIT = {"dlib": 8192, "D": 6144}
"""Blocks whose activations are read: of dlib's network 128 channels of 8x8 and 256 of 4x4 pixels."""
GAMMA, RIDGE = 3.0, 0.1
"""Of the kernel exp(GAMMA (cosine - 1)) and of the regression, chosen on fold 5."""
_CHIP = torch.tensor(recognizers._CHIP_LANDMARKS)
Batch = Callable[[np.random.Generator], tuple[Tensor, Tensor, Tensor]]
"""Crops `(B, 3, S, S)` uint8, their landmarks `(B, 5, 2)` and targets `(B, 128)`."""


def dlib_view(images: Tensor, landmarks: Tensor, zoom: Tensor | float) -> Tensor:
    """Faces `(N, 3, S, S)` uint8 as dlib's network takes them, in [0, 1]; a smaller zoom shows more."""
    side = recognizers.CHIP
    matrices = similarity_transform(landmarks, ((_CHIP - 0.5) * zoom + 0.5) * side)
    return warp_affine(images.float() / 255, matrices, (side, side))


def d_view(images: Tensor, landmarks: Tensor) -> Tensor:
    """Faces as D takes them; it always sees the same part."""
    return align_faces(images.float() / 255, landmarks, ClassifierConfig(size=(64, 48)).size)


def network_of(kind: str, path: Path | None = None) -> nn.Module:
    """`dlib` or `D` as it ships; dlib's network can have the weights that stage `start` wrote."""
    network: nn.Module = recognizers.recognizing_classifier()
    if kind == "dlib":
        network = DlibResNet(recognizers.model_file("dlib"))
        if path is not None:
            network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def targets(features: Tensor, people: np.ndarray) -> tuple[Tensor, Tensor]:
    """Unit targets `(N, F)` of clear features `(N, F)`, and their mean `(F,)`.

    A target lies between the picture's own direction from the mean and that of its person.
    """
    mean = features.mean(0)
    own = F.normalize(features - mean, dim=1)
    _, label = np.unique(people, return_inverse=True)
    sums = torch.zeros(label.max() + 1, features.shape[1]).index_add_(0, torch.from_numpy(label), own)
    return F.normalize(own + TOWARDS_MEAN * F.normalize(sums, dim=1)[label], dim=1), mean


def train_start(network: DlibResNet, batch: Batch, mean: Tensor) -> None:
    """Trains dlib's network in place; the loss is 1 - cosine of its features to the targets.

    Crops are mirrored, shifted by about a pixel, lit at random, and seen from near or far.
    """
    torch.manual_seed(0)
    rng, zooms = np.random.default_rng(0), (np.log(VIEWS["head"]), 0.03)
    network.requires_grad_(True)
    network.stem.requires_grad_(False)
    network.blocks[:FROZEN].requires_grad_(False)
    trained = [p for p in network.parameters() if p.requires_grad]
    rates = [START_RATE * max(float(p.detach().std()), 2e-3) for p in trained]
    optimizer = torch.optim.Adam([{"params": [p]} for p in trained])
    for step in range(START_STEPS):
        share = min(1, (step + 1) / 20) * (0.5 + 0.5 * np.cos(np.pi * step / START_STEPS))
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * share
        images, landmarks, target = batch(rng)
        count = len(images)
        shaken = landmarks + torch.randn(count, 1, 2) + 0.5 * torch.randn_like(landmarks)
        faces = dlib_view(images, shaken, torch.empty(count, 1, 1).uniform_(*zooms).exp())
        faces = torch.where(torch.rand(count, 1, 1, 1) < 0.5, faces.flip(3), faces)
        faces = faces * (1 + 0.15 * torch.randn(count, 1, 1, 1)) + 0.05 * torch.randn(count, 1, 1, 1)
        found = network(faces.clamp(0, 1).contiguous(memory_format=torch.channels_last))
        loss = (1 - (F.normalize(found - mean, dim=1) * target).sum(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 9:
            print(f"step {step + 1}: {float(loss.detach()):.3f}", flush=True)


def start_batch(images: np.ndarray, meshes: np.ndarray, landmarks: Tensor, target: Tensor) -> Batch:
    """Clear pictures, and pictures filled over 0.9 to 1.8 times the face, or over the whole head."""

    def one(n: int, rng: np.random.Generator) -> np.ndarray:
        chance, extent = rng.random(), rng.uniform(0.9, 1.8)
        if chance < 0.25:
            return images[n]
        outline = head_outline(meshes[n]) if chance < 0.4 else scaled_oval(meshes[n], extent)[None]
        return filled(images[n], inside(outline, *images.shape[2:]))

    def batch(rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        i = rng.choice(len(images), BATCH, replace=False)
        return torch.from_numpy(np.stack([one(n, rng) for n in i])), landmarks[i], target[i]

    return batch


@torch.inference_mode()
def activations(network: nn.Module, images: np.ndarray, landmarks: Tensor, zoom: float) -> np.ndarray:
    """Activations of two layers `(N, F)`, float16, of crops `(N, 3, S, S)` uint8."""
    kind = "dlib" if isinstance(network, DlibResNet) else "D"
    blocks: nn.Sequential = network.blocks if kind == "dlib" else network.stages  # type: ignore[assignment]
    kept: list[Tensor] = []
    hooks = [
        blocks[layer].register_forward_hook(lambda _, __, found: kept.append(found.flatten(1).half()))
        for layer in LAYERS[kind]
    ]
    out = []
    for start in range(0, len(images), 64):
        part, points = torch.from_numpy(np.array(images[start : start + 64])), landmarks[start : start + 64]
        view = dlib_view(part, points, zoom) if kind == "dlib" else d_view(part, points)
        network(view.contiguous(memory_format=torch.channels_last))
        out.append(torch.cat(kept, dim=1))
        kept.clear()
    for hook in hooks:
        hook.remove()
    return torch.cat(out).numpy()


class KernelRidge:
    """Predicts targets `(N, T)` from activations `(N, F)`."""

    def __init__(self, known: np.ndarray, target: np.ndarray, *, split: int) -> None:
        """`split` is the number of activations of the first layer; both layers count the same."""
        roots = signed_roots(known)
        self.split, self.mean = split, roots.mean(axis=0)
        self.known = self._normalised(roots)
        kernel = self._kernel(self.known)
        kernel[np.diag_indices_from(kernel)] += RIDGE
        self.weights = scipy.linalg.solve(kernel, target.astype(np.float32), assume_a="pos", overwrite_a=True)

    def __call__(self, seen: np.ndarray) -> np.ndarray:
        """`(M, T)` of activations `(M, F)`."""
        parts = [seen[start : start + 512] for start in range(0, len(seen), 512)]
        return np.concatenate(
            [self._kernel(self._normalised(signed_roots(part))) @ self.weights for part in parts]
        )

    def _normalised(self, roots: np.ndarray) -> np.ndarray:
        centred = roots - self.mean
        layers = np.split(centred, [self.split], axis=1)
        return np.concatenate([unit(layer) for layer in layers], axis=1) / np.sqrt(2, dtype=np.float32)

    def _kernel(self, seen: np.ndarray) -> np.ndarray:
        return np.exp(GAMMA * (seen @ self.known.T - 1))


def signed_roots(values: np.ndarray) -> np.ndarray:
    """Square roots that keep the sign, float32: a few strong activations would decide otherwise."""
    values = values.astype(np.float32)
    return np.sign(values) * np.sqrt(np.abs(values))


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length one."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def memberships(people: np.ndarray) -> np.ndarray:
    """`(N, P)`: who is on each picture, weighted so that everybody counts the same."""
    _, label, count = np.unique(people, return_inverse=True, return_counts=True)
    return np.eye(len(count), dtype=np.float32)[label] / np.sqrt(count).astype(np.float32)

"""Learn the generative face model of anonlib from LFW: statistics only, no photograph is kept.

    python -m recipes.build_face_model --lfw datasets/lfw --cache face_pictures.npz

An active appearance model: one PCA each for shape, texture and the outline of the head; linear directions
for pose, expression and light; covariances between and within people.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from recipes.face_pictures import SIZE, Array, collect
from recipes.face_statistics import ATTRIBUTES, attributes, covariances, directions, looks

FLOW, OUTLINE, CHROMA = 24, 64, 48
"""Sides of the grids that hold the flow, the outline and the two colour-difference channels."""
SHAPES, TEXTURES, OUTLINES = 32, 300, 40
"""Principal components kept of each."""
YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]])


def radial(a: Tensor, b: Tensor) -> Tensor:
    """Thin-plate kernel r^2 log r between points (..., P, 2) and (..., Q, 2)."""
    square = ((a[..., :, None, :] - b[..., None, :, :]) ** 2).sum(-1)
    return 0.5 * square * torch.log(square + 1e-9)


def spline(source: Tensor, target: Tensor, where: Tensor, *, stiffness: float = 2e-3) -> Tensor:
    """Thin-plate spline that carries `source` (B or 1, P, 2) to `target`, at `where` (Q, 2)."""
    batch, count = source.shape[:2]
    ones = torch.ones(batch, count, 1)
    affine = torch.cat([ones, source], -1)
    kernel = radial(source, source) + stiffness * torch.eye(count)
    system = torch.zeros(batch, count + 3, count + 3)
    system[:, :count, :count], system[:, :count, count:] = kernel, affine
    system[:, count:, :count] = affine.mT
    right = torch.cat([target, torch.zeros(len(target), 3, 2)], 1)
    weights = torch.linalg.solve(system.double(), right.double()).float()
    at = torch.cat([torch.ones(len(where), 1), where], -1).expand(batch, -1, -1)
    return torch.cat([radial(where.expand(batch, -1, -1), source), at], -1) @ weights


def lattice(side: int) -> Tensor:
    """Pixel centres of a (side, side) grid over the unit square, (side^2, 2) xy."""
    step = (torch.arange(side) + 0.5) / side
    return torch.stack(torch.meshgrid(step, step, indexing="xy"), -1).reshape(-1, 2)


def with_border(points: Tensor) -> Tensor:
    """Append fixed anchors outside the crop, where the warp fades out: (N, 68, 2) to (N, 80, 2)."""
    t = torch.tensor([-0.1, 0.3, 0.7])
    low, high = torch.full_like(t, -0.1), torch.full_like(t, 1.1)
    sides = [(t, low), (high, t), (1 - t, high), (low, 1 - t)]
    border = torch.cat([torch.stack(s, -1) for s in sides])
    return torch.cat([points, border.expand(len(points), -1, -1)], 1)


def flows(points: Tensor, mean: Tensor) -> Tensor:
    """Where each point of a FLOW grid over the picture lies in the mean shape, as displacements."""
    grid = lattice(FLOW)
    found = [spline(p, mean.expand(len(p), -1, -1), grid) - grid for p in points.split(256)]
    return torch.cat(found).reshape(len(points), -1)


def extend(rgb: Tensor, mask: Tensor) -> Tensor:
    """Spread the colours of the head (B, 3, S, S) under its mask (B, 1, S, S) over the rest."""
    levels = [(rgb * mask, mask)]
    while levels[-1][1].shape[-1] > 1:
        levels.append(tuple(F.avg_pool2d(x, 2) for x in levels[-1]))
    filled = levels[-1][0] / levels[-1][1].clamp(min=1e-6)
    for colour, weight in reversed(levels[:-1]):
        up = F.interpolate(filled, scale_factor=2.0, mode="bilinear")
        filled = colour + up * (1 - weight)
    return filled


def to_mean_shape(pictures: Array, masks: Array, points: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Textures and masks warped to the mean shape: (N, 3, S, S) in [0, 1] and (N, 1, S, S)."""
    grid = lattice(SIZE)
    textures, outlines = [], []
    for part in tqdm(torch.arange(len(points)).split(32), desc="to the mean shape"):
        where = spline(mean, points[part], grid)
        where = where.reshape(-1, SIZE, SIZE, 2) * 2 - 1
        rgb = torch.from_numpy(pictures[part.numpy()]).permute(0, 3, 1, 2) / 255
        head = torch.from_numpy(masks[part.numpy()]).float()[:, None]
        rgb = F.grid_sample(rgb, where, mode="bicubic", padding_mode="border", align_corners=False)
        head = F.grid_sample(head, where, padding_mode="border", align_corners=False)
        inner = -F.max_pool2d(-(head > 0.5).float(), 5, 1, 2)
        textures.append(extend(rgb.clamp(0, 1), inner).half())
        outlines.append(head > 0.5)
    return torch.cat(textures), torch.cat(outlines)


def signed_distances(masks: Tensor) -> Tensor:
    """Distance to the outline, positive inside, in crop sides, at OUTLINE resolution: (N, O^2)."""
    found = np.empty((len(masks), OUTLINE, OUTLINE), np.float32)
    for row, mask in zip(found, masks[:, 0].numpy().astype(np.uint8), strict=True):
        padded = cv2.copyMakeBorder(mask, 0, 24, 0, 0, cv2.BORDER_REPLICATE)
        inside = cv2.distanceTransform(padded, cv2.DIST_L2, 5)
        outside = cv2.distanceTransform(1 - padded, cv2.DIST_L2, 5)
        row[:] = cv2.resize((inside - outside)[:SIZE], (OUTLINE, OUTLINE), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(np.clip(found, -16, 16) / SIZE).reshape(len(masks), -1)


def colour_vectors(textures: Tensor) -> Tensor:
    """Luma at SIZE and colour differences at CHROMA in one row each: (N, SIZE^2 + 2 CHROMA^2)."""
    rows = []
    for part in textures.split(256):
        ycc = torch.einsum("ij,njhw->nihw", YCC, part.float())
        small = F.interpolate(ycc[:, 1:], size=(CHROMA, CHROMA), mode="bilinear", antialias=True)
        rows.append(torch.cat([ycc[:, 0].flatten(1), small.flatten(1)], 1))
    return torch.cat(rows)


def texture_weights(masks: Tensor, mean: Array) -> Tensor:
    """How much each entry of a colour vector counts: eyes, nose and mouth most."""
    seen = masks.float().mean(0)[0]
    face = np.zeros((SIZE, SIZE), np.float32)
    cv2.fillConvexPoly(face, cv2.convexHull(mean[:27].astype(np.int32)), 1.0)
    for part in (slice(36, 42), slice(42, 48), slice(48, 68), slice(27, 36)):
        cv2.fillConvexPoly(face, cv2.convexHull(mean[part].astype(np.int32)), 2.0)
    weight = 0.1 + 0.6 * seen + 0.5 * torch.from_numpy(cv2.GaussianBlur(face, (0, 0), 3))
    small = F.interpolate(weight[None, None], size=(CHROMA, CHROMA), mode="area").flatten()
    ratio = SIZE / CHROMA  # a coarse pixel stands for several
    return torch.cat([weight.flatten(), small * ratio, small * ratio])


def principal(rows: Tensor, count: int, *, weights: Tensor | None = None) -> dict[str, Tensor]:
    """PCA by randomised subspace iteration: mean (D,), basis (count, D) scaled to unit scores."""
    mean = rows.mean(0)
    w = torch.ones_like(mean) if weights is None else weights
    rows = (rows - mean) * w
    torch.manual_seed(0)
    q = torch.randn(rows.shape[1], count + 40)
    for _ in range(4):
        q = torch.linalg.qr(rows.T @ (rows @ q)).Q
    u, s, v = torch.linalg.svd(rows @ q, full_matrices=False)
    basis = (q @ v.T)[:, :count].T * (s[:count, None] / len(rows) ** 0.5)
    scores = u[:, :count] * len(rows) ** 0.5
    kept = float((s[:count] ** 2).sum() / (rows**2).sum())
    print(f"{count} components keep {kept:.1%} of the variance")
    return {"mean": mean, "basis": basis / w, "scores": scores}


def quantised(name: str, basis: Tensor) -> dict[str, Tensor]:
    """One byte an entry, one scale a component."""
    scale = basis.abs().amax(1) / 127
    return {f"{name}.basis": (basis / scale[:, None]).round().to(torch.int8), f"{name}.scale": scale}


def five(points: Array) -> Tensor:
    """Eyes, nose and mouth corners from 68 landmarks: (N, 10) in crop sides."""
    groups = [slice(36, 42), slice(42, 48), slice(30, 31), slice(48, 49), slice(54, 55)]
    return torch.from_numpy(np.concatenate([points[:, g].mean(1) for g in groups], 1) / SIZE)


def importance(shape: dict, texture: dict, outline: dict, weights: Tensor) -> Tensor:
    """How far a unit of each score moves the picture; shape, texture and outline alike in all."""
    lengths = [
        shape["basis"].norm(dim=1),
        (texture["basis"] * weights).norm(dim=1),
        outline["basis"].norm(dim=1),
    ]
    shares = (0.3, 1.0, 0.8)
    return torch.cat([s * a / a.norm() for s, a in zip(shares, lengths, strict=True)])


def sharpen(lumas: Tensor, *, amount: float = 0.7, radius: float = 1.2) -> None:
    """Unsharp mask on rows of SIZE x SIZE lumas, in place: averaging faces has blurred them."""
    for row in lumas:
        image = row.reshape(SIZE, SIZE).numpy()
        image += amount * (image - cv2.GaussianBlur(image, (0, 0), radius))


def build(data: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Everything the file holds, from crops, masks, landmarks and names."""
    mean = torch.from_numpy(data["mean"])[None] / SIZE
    points = with_border(torch.from_numpy(data["landmarks"]) / SIZE)
    mean = with_border(mean)
    textures, masks = to_mean_shape(data["crops"], data["masks"], points, mean)
    colours = colour_vectors(textures)
    weights = texture_weights(masks, data["mean"])
    shape = principal(flows(points, mean), SHAPES)
    texture = principal(colours, TEXTURES, weights=weights)
    outline = principal(signed_distances(masks), OUTLINES)
    scores = torch.cat([p["scores"] for p in (shape, texture, outline)], 1)
    marks = five(data["landmarks"])
    fit = torch.linalg.lstsq(shape["scores"], marks - marks.mean(0)).solution
    known = attributes(data["landmarks"], colours[:, : SIZE**2].reshape(-1, SIZE, SIZE), data["mean"])
    A, rest = directions(scores, known, data["names"])
    between, within = covariances(rest, data["names"])
    lengths = importance(shape, texture, outline, weights)
    identities = looks(rest, data["names"], (between, within), lengths)
    for part in (texture["mean"][None], texture["basis"]):
        sharpen(part[:, : SIZE**2])
    return {
        "shape.mean": shape["mean"],
        "shape.basis": shape["basis"].half(),
        "landmarks.mean": marks.mean(0),
        "landmarks.basis": fit,
        "texture.mean": texture["mean"].half(),
        **quantised("texture", texture["basis"]),
        "outline.mean": outline["mean"].half(),
        **quantised("outline", outline["basis"]),
        "attributes": A,
        **{k: v.half() for k, v in identities.items()},
        "within": within.half(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lfw", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="crops and masks, kept between runs")
    parser.add_argument("--out", type=Path, default=Path("data/face_model/face_model.safetensors"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    tensors = build(collect(args.lfw, args.cache))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.contiguous() for k, v in tensors.items()}
    save_file(tensors, args.out, metadata={"attributes": ",".join(ATTRIBUTES)})
    print(args.out, f"{args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()

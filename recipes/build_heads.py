"""Builds data/face_model/heads.safetensors: statistics of heads, and the networks that find and shade them.

    pip install opencv-python-headless tflite
    pip download --no-deps mediapipe==0.10.9   # unzip it for selfie_segmentation.tflite
    python -m recipes.build_heads DATASETS --segmentation selfie_segmentation.tflite --cache FRAMES.npz

Reads DATASETS/lfw (nobody of folds 5 to 10) and DATASETS/celeba-ids; `--exclude` names a file with the
folders of people who may be in the test pairs. FRAMES.npz holds pictures: keep it outside the repository.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from anonlib.anonymizers.swap.head_frame import HeadFrame, places
from anonlib.anonymizers.swap.model import MeshModel
from anonlib.anonymizers.swap.surrounding import blur
from anonlib.assets import data_path
from anonlib.data.lfw import people_in_folds
from anonlib.detection.mesh import MeshLandmarks
from anonlib.networks.head import HeadNet, head_parser, head_shader
from recipes.head_labels import SIDE, SelfieSegmentation, first_prior, label

Frames = dict[str, NDArray[np.generic]]
GRID, COMPONENTS, KINDS, TONES = 64, 32, 14, 16


def pictures(root: Path, exclude: set[str]) -> list[Path]:
    """At most 2 pictures a person of LFW and 5 of celeba-ids."""
    forbidden = people_in_folds(root / "lfw", (5, 6, 7, 8, 9, 10)) | exclude
    found: dict[str, list[Path]] = defaultdict(list)
    for most, folder in ((2, root / "lfw" / "lfw-deepfunneled"), (5, root / "celeba-ids")):
        for path in sorted(folder.glob("*/*.jpg")):
            if path.parent.name not in forbidden and len(found[path.parent.name]) < most:
                found[path.parent.name].append(path)
    return [path for paths in found.values() for path in paths]


def pack(paths: list[Path], segmentation: SelfieSegmentation) -> Frames:
    """Frames of the pictures: rgb, valid, person, points in pixels of the frame, yaw and pitch."""
    landmarks, rows = MeshLandmarks(), defaultdict(list)
    for path in tqdm(paths, desc="frames"):
        picture = np.array(Image.open(path).convert("RGB"))
        crop = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
        points, scores = landmarks([crop])
        if scores[0] < 0.9:
            continue
        frame = HeadFrame.of(points[0])
        grid = frame.to_frame(SIDE, height=crop.shape[1], width=crop.shape[2])
        extra = [torch.from_numpy(segmentation(picture)), torch.from_numpy(not_border(picture)).float()]
        both = torch.cat([crop, torch.stack(extra)])[None]
        cut = (F.grid_sample(both, grid, padding_mode="border", align_corners=False)[0] * 255).byte().numpy()
        within = (grid[0].abs() < 1).all(-1).numpy()
        place = (frame.of_picture(points[0]) + torch.tensor([1.25, 1.1])) * SIDE / 2.5 - 0.5
        rows["rgb"].append(cut[:3].transpose(1, 2, 0))
        rows["person"].append(cut[3])
        rows["valid"].append(cut[4] * within)
        rows["points"].append(place.numpy())
        rows["pose"].append([float(frame.yaw), float(frame.pitch)])
    return {name: np.array(values) for name, values in rows.items()}


def not_border(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """False on the black border of a deep-funneled picture."""
    black = cv2.erode(np.uint8(picture.max(2) < 8), np.ones((3, 3)))
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(black)
    height, width = black.shape
    border = np.zeros_like(black)
    for k in range(1, count):
        x, y, wide, high, area = boxes[k]
        if area > 30 and (x == 0 or y == 0 or x + wide == width or y + high == height):
            border[parts == k] = 1
    return cv2.dilate(border, np.ones((5, 5))) == 0


def label_all(frames: Frames, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Labels `(N, 4, SIDE, SIDE)`; the prior is estimated three times from 150 pictures."""
    oval, prior = MeshModel.load().oval.tolist(), first_prior()

    def one(i: int) -> NDArray[np.float32]:
        person, valid = (np.float32(frames[name][i]) / 255 for name in ("person", "valid"))
        return label(frames["rgb"][i], person, valid, frames["points"][i], oval, prior)

    for _ in range(3):
        found = sum(one(i)[:3] for i in rng.permutation(len(frames["rgb"]))[:150])
        found = found + found[..., ::-1]
        prior = 0.85 * found / (found.sum(0) + 1e-6) + 0.05
        prior = np.stack([cv2.GaussianBlur(np.float32(p), (0, 0), 3) for p in prior])
        prior /= prior.sum(0)
    return np.stack([np.uint8(255 * one(i)) for i in tqdm(range(len(frames["rgb"])), desc="labels")])


def train_parser(rgb: Tensor, valid: Tensor, labels: Tensor, *, steps: int) -> HeadNet:
    """The parser, from uint8 frames `(N, C, SIDE, SIDE)`, mirrored, turned, scaled, in other colours."""
    generator, net = torch.Generator().manual_seed(0), head_parser()
    optimiser = torch.optim.AdamW(net.parameters(), 4e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
    for step in range(steps):
        i = torch.randint(len(rgb), (16,), generator=generator)
        batch = torch.cat([rgb[i], labels[i], valid[i]], 1).float() / 255
        batch = torch.where(torch.rand(16, 1, 1, 1, generator=generator) < 0.5, batch.flip(3), batch)
        noise = torch.randn(16, 12, generator=generator)
        angle, scale, shift = 0.08 * noise[:, 0], 1 + 0.07 * noise[:, 1], 0.03 * noise[:, 2:4]
        row = [scale * angle.cos(), -scale * angle.sin(), shift[:, 0]]
        matrix = torch.stack([*row, scale * angle.sin(), scale * angle.cos(), shift[:, 1]], 1).reshape(
            16, 2, 3
        )
        grid = F.affine_grid(matrix, [16, 8, net.side, net.side], align_corners=False)
        x, y, shown = F.grid_sample(batch, grid, padding_mode="border", align_corners=False).split(
            [3, 4, 1], 1
        )
        tint = (1 + 0.15 * noise[:, 5:6]) * (1 + 0.06 * noise[:, 6:9])
        x = (x.clamp(0, 1) ** (0.35 * noise[:, 4, None, None, None]).exp() * tint[:, :, None, None]).clamp(
            0, 1
        )
        x = x + 0.02 * torch.randn(x.shape, generator=generator)
        y = y / (y.sum(1, keepdim=True) + 1e-4)
        sure = (1.5 * y.amax(1, keepdim=True) - 0.5).clamp(0.05, 1)
        loss = (-(y * net(x - 0.5).log_softmax(1)).sum(1, keepdim=True) * shown * sure).mean()
        update(loss, optimiser, schedule, step)
    return net.eval()


def update(loss: Tensor, optimiser: torch.optim.Optimizer, schedule: object, step: int) -> None:
    """One step; the loss is printed every hundred."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    schedule.step()
    if step % 100 == 0:
        print(step, float(loss.detach()))


def distances(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Signed distance into the largest region of a mask, in heights of the face, `(GRID, GRID)`."""
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(np.uint8(mask > 0.5))
    if count > 1:
        mask = mask * cv2.dilate(np.uint8(parts == 1 + boxes[1:, 4].argmax()), np.ones((3, 3)))
    inside = np.uint8(cv2.resize(mask, (192, 192)) > 0.5)
    found = cv2.distanceTransform(inside, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    found = np.float32(np.clip(found * 2.5 / 192, -0.3, 0.3))
    return cv2.resize(found, (GRID, GRID), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def outlines(frames: Frames, parts: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
    """Mean, change with the pose and components of hair and skin, and kinds of hair."""
    x, y = (v.numpy() for v in places(GRID))
    valid = (
        np.stack([cv2.resize(v, (GRID, GRID), interpolation=cv2.INTER_AREA) for v in frames["valid"]]) > 200
    )
    both = np.stack([[distances(p) for p in part[:2].numpy()] for part in parts])
    needed = (abs(x) < 0.75) & (y > -0.9) & (y < 0.6)
    whole = (valid & needed).sum((1, 2)) > 0.985 * needed.sum()
    pose = np.float64(frames["pose"])
    whole &= ((both[:, 0] > 0).mean((1, 2)) > 0.02) & (abs(pose[:, 0]) < 0.8) & (abs(pose[:, 1]) < 0.6)
    both, pose = both[whole], pose[whole]
    rows = np.concatenate([both, both[..., ::-1]]).reshape(2 * len(both), -1)
    yaw, pitch = np.concatenate([pose, pose * [-1, 1]]).T
    turn = np.stack([np.ones_like(yaw), yaw, pitch, yaw**2, yaw * pitch, pitch**2, yaw**3], 1)
    good = np.ones(len(rows), bool)
    for _ in range(2):  # the second time without the pictures that fit worst
        fit = np.linalg.lstsq(turn[good], rows[good].astype(np.float64), rcond=None)[0]
        rest = np.float32(rows - turn @ fit)
        some = rest[good][rng.permutation(good.sum())[:1200]]
        basis = np.linalg.svd(some, full_matrices=False)[2][:40]
        error = np.square(rest - rest @ basis.T @ basis).mean(1)
        good = error < np.quantile(error, 0.88)
    scores = rest[good] @ basis[:COMPONENTS].T
    size = scores.std(0)
    scores /= size
    kind, _ = clusters(scores, KINDS, rng, weight=size / size.max())
    tensors = {
        "outline.mean": fit[0],
        "outline.pose": fit[1:],
        "outline.basis": basis[:COMPONENTS] * size[:, None],
        "cluster.mean": np.stack([scores[kind == k].mean(0) for k in range(KINDS)]),
        "cluster.spread": np.stack([scores[kind == k].std(0) for k in range(KINDS)]),
        "cluster.share": np.bincount(kind, minlength=KINDS),
    }
    return {name: torch.from_numpy(np.float32(value)) for name, value in tensors.items()}


def clusters(
    rows: NDArray[np.float32],
    count: int,
    rng: np.random.Generator,
    *,
    weight: NDArray[np.float32] | float = 1.0,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Forty rounds of k-means: the cluster of each row, and the means."""
    means = rows[rng.permutation(len(rows))[:count]]
    for _ in range(40):
        own = np.square((rows[:, None] - means) * weight).sum(2).argmin(1)
        means = np.stack([rows[own == k].mean(0) if (own == k).any() else means[k] for k in range(count)])
    return own, means


def appearance(rgb: Tensor, valid: Tensor, parts: Tensor, face: Tensor) -> tuple[Tensor, ...]:
    """Targets of the shader `(B, 7, GRID, GRID)`, their weights, light, log RGB of skin and of hair."""
    log_rgb = (rgb + 0.03).log()
    luma = ((rgb * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True) + 0.03).log()
    shown = valid > 0.9
    hair, skin = ((parts[:, :1] > 0.8) & shown).float(), ((parts[:, 1:2] > 0.7) & shown).float()
    face = face * skin

    def mean(values: Tensor, where: Tensor) -> Tensor:
        return (values * where).sum((2, 3), keepdim=True) / (where.sum((2, 3), keepdim=True) + 1e-3)

    down, right = torch.gradient(luma, dim=(2, 3))
    xx, yy, xy = (blur(v, 1.5) for v in (right * right, down * down, right * down))
    strands = torch.cat([yy - xx, -2 * xy], 1) / (xx + yy + 2e-4)
    contrast = (blur((luma - blur(luma, 2.0)).square(), 2.0) + 1e-5).log() / 2
    tone = mean(log_rgb, face)
    relative = [(luma - mean(luma, hair)).clamp(-1.5, 1.5), (log_rgb - tone).clamp(-1.5, 1.5)]
    targets = torch.cat([*relative, strands, contrast], 1)
    weights = torch.cat([hair, skin.expand(-1, 3, -1, -1), hair.expand(-1, 3, -1, -1)], 1)
    slopes = []
    for axis in places(SIDE):
        place = (axis - mean(axis.expand_as(luma), face)) / 1.25
        slopes.append(
            (luma - mean(luma, face)).mul(place * face).sum((2, 3)) / (place**2 * face).sum((2, 3)).add(1e-3)
        )
    light = torch.cat(slopes, 1).clamp(-2, 2)
    small = F.avg_pool2d(weights, 2)
    targets = F.avg_pool2d(targets * weights, 2) / (small + 1e-3)
    return targets, small, light, tone[:, :, 0, 0], mean(log_rgb, hair)[:, :, 0, 0]


def train_shader(covers: Tensor, targets: Tensor, weights: Tensor, light: Tensor, *, steps: int) -> HeadNet:
    """The shader; every second batch is mirrored."""
    net = head_shader()
    optimiser = torch.optim.AdamW(net.parameters(), 4e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
    turned = torch.tensor([1, 1, 1, 1, 1, -1, 1.0])[:, None, None]
    for step in range(steps):
        i = torch.randint(len(covers), (24,))
        x = torch.cat([covers[i], light[i, :, None, None].expand(-1, -1, GRID, GRID)], 1)
        y, weight = targets[i], weights[i]
        if step % 2:
            x = x.flip(3) * torch.tensor([1, 1, -1, 1.0])[:, None, None]
            y, weight = y.flip(3) * turned, weight.flip(3)
        error = net(x) - y
        error = torch.cat([error[:, :4].abs(), error[:, 4:6].square(), error[:, 6:].abs()], 1)
        update((error * weight).mean(), optimiser, schedule, step)
    return net.eval()


def main(arguments: argparse.Namespace) -> None:
    """Pack, label, train, fit, write."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    if not arguments.cache.exists():
        exclude = set(arguments.exclude.read_text().split()) if arguments.exclude else set()
        frames = pack(pictures(arguments.datasets, exclude), SelfieSegmentation(arguments.segmentation))
        np.savez(arguments.cache, **frames, labels=label_all(frames, rng))
    frames = dict(np.load(arguments.cache))
    rgb = torch.from_numpy(frames["rgb"]).permute(0, 3, 1, 2)
    valid, labels = torch.from_numpy(frames["valid"])[:, None], torch.from_numpy(frames["labels"])
    parser = train_parser(rgb, valid, labels, steps=700)
    small = torch.cat(
        [F.interpolate(x.float() / 255, (96, 96), mode="bilinear", antialias=True) for x in rgb.split(64)]
    )
    with torch.no_grad():
        parts = torch.cat([parser(x - 0.5).softmax(1) for x in small.split(64)])
    tensors = outlines(frames, parts, rng)
    shader, tones = shading(frames, rgb[::4], valid[::4], parts[::4], rng)
    body, shown = parts[:, 1:3].sum(1), F.interpolate(valid.float(), (96, 96)).squeeze(1) > 200
    usual = (body * shown).sum(0) / ((body + parts[:, 3]) * shown).sum(0).clamp(min=1)
    tensors["body"] = blur((usual + usual.flip(1))[None, None] / 2, 2.0)
    tensors |= tones
    nets: dict[str, nn.Module] = {"parser": parser, "shader": shader}
    for name, net in nets.items():
        tensors |= {f"{name}.{k}": v for k, v in net.state_dict().items() if "num_batches" not in k}
    path = data_path("face_model", "MODEL_CARD.md").with_name("heads.safetensors")
    save_file(
        {k: v.half().contiguous() for k, v in tensors.items()},
        path,
        metadata={"config": json.dumps({"heads": 1})},
    )


def shading(
    frames: Frames, rgb: Tensor, valid: Tensor, parts: Tensor, rng: np.random.Generator
) -> tuple[HeadNet, dict[str, Tensor]]:
    """The shader and the colours of hair, from every fourth picture."""
    oval, points = MeshModel.load().oval.tolist(), frames["points"][::4]
    face = torch.zeros(len(rgb), 1, SIDE, SIDE)
    for one, mesh in zip(face, points, strict=True):
        cv2.fillPoly(one[0].numpy(), [np.round(mesh[oval, :2] * 8).astype(np.int32)], 1.0, shift=3)
    large = F.interpolate(parts, (SIDE, SIDE), mode="bilinear")
    found = [
        appearance(a.float() / 255, b.float() / 255, c, d)
        for a, b, c, d in zip(rgb.split(32), valid.split(32), large.split(32), face.split(32), strict=True)
    ]
    targets, weights, light, skin, hair = (torch.cat(rows) for rows in zip(*found, strict=True))
    haired = weights[:, 0].sum((1, 2)) > 75
    good = haired & (weights[:, 1].sum((1, 2)) > 100)
    covers = F.avg_pool2d(large[:, :2], 2)
    shader = train_shader(covers[good], targets[good], weights[good], light[good], steps=300)
    rows = torch.cat([hair - skin, skin.mean(1, keepdim=True) / 2], 1)[haired].numpy()
    kind, means = clusters(rows, TONES, rng)
    share = torch.from_numpy(np.bincount(kind, minlength=TONES)).float()
    means = torch.from_numpy(means)
    return shader, {"tone.mean": means[:, :3], "tone.skin": 2 * means[:, 3], "tone.share": share}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--segmentation", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--exclude", type=Path)
    main(parser.parse_args())

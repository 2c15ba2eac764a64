"""Trains the skin mask, `data/weights/skin.safetensors`.

    pip install opencv-python-headless
    python -m recipes.train_skin_mask pack draw train choose --lfw LFW --faces CELEBA --work WORK

pack    Crops photographs of training people by their meshes, and guesses what is hair (`skin_labels`).
        Fold 5 of LFW is held back.
draw    Draws clips and crops their faces; they know what is in front (`skin_scenes`).
train   Pastes occluders over the photographs (`skin_occluders`) and learns which pixels are skin. Then it
        drops the labels of photographs that it strongly disagrees with: real hands and cups, and
        learns on.
choose  Finds the threshold at which 99% of the free skin of fold 5 is replaced, and writes the weights.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import AdamW
from tqdm import tqdm

from anonlib.data.face_folders import FaceFolder
from anonlib.data.images import read_image
from anonlib.data.lfw import people_in_folds
from anonlib.detection.mesh import PRESENT, MeshLandmarks
from anonlib.experiment.people import LFW_TEST_FOLDS
from anonlib.files import provenance, write_atomically
from anonlib.networks.skin import SIDE, SkinMask
from anonlib.training.checkpoints import save_weights
from recipes.skin_labels import KEEP, OVAL, REPLACE, UNSURE, WIDE, filled, guess, upright_crop
from recipes.skin_occluders import KINDS, Rng, beard, glasses, occlude, shadow
from recipes.skin_scenes import drawn_faces

Mesh = Callable[[np.ndarray, np.ndarray | None], tuple[np.ndarray, float]]
"""Picture `(H, W, 3)` uint8 and five landmarks or None -> 468 xy points and their score."""
WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "weights"
HELD_BACK = 5
"""Fold of LFW on which the threshold is chosen. Nobody in it is trained on."""
STEPS = 1350
BATCH = 24
FRESH = 8
"""New pictures a step; the rest of a batch is drawn from the last 1,024 with other turns and colours."""
POOL = 1024
DRAWN = 0.3
"""Share of drawn faces among the new pictures."""
RECALL = 0.99
"""Share of the skin of free faces that is replaced: when unsure, a pixel is."""


@dataclass(frozen=True, slots=True)
class Example:
    """A crop `(WIDE, WIDE, 3)` with skin `(WIDE, WIDE)` 0 to 255, where that is known, and its mesh."""

    picture: np.ndarray
    skin: np.ndarray
    known: np.ndarray
    points: np.ndarray


class Source:
    """Photographs and drawn faces in memory, and new examples from them."""

    def __init__(self, photographs: dict[str, np.ndarray], drawn: dict[str, np.ndarray]) -> None:
        self.photographs, self.drawn = photographs, drawn

    def example(self, rng: Rng) -> Example:
        """A drawn face, or a photograph with up to two things in front of it."""
        if rng.random() < DRAWN:
            k = int(rng.integers(len(self.drawn["crop"])))
            return drawn_example(self.drawn, k)
        k, other = (int(v) for v in rng.integers(len(self.photographs["crop"]), size=2))
        count = int(rng.choice(3, p=(0.25, 0.6, 0.15)))
        return self.photograph(k, rng, other=other, count=count)

    def photograph(self, k: int, rng: Rng, *, other: int, count: int, kind: str = "") -> Example:
        """One photograph with `count` things in front."""
        p = self.photographs
        picture, points, label = p["crop"][k], p["points"][k], p["label"][k]
        skin, known = (label == REPLACE).astype(np.float32), (label != UNSURE).astype(np.float32)
        if rng.random() < 0.12:
            picture = glasses(picture, points, rng)
        if rng.random() < 0.12:
            picture = beard(picture, points, rng)
        for _ in range(count):
            picture, cover = occlude(picture, points, p["crop"][other], rng, kind)
            skin, known = skin * (1 - cover), np.maximum(known, cover > 0.5)
        if rng.random() < 0.25:
            picture = shadow(picture, rng)
        return Example(picture, np.uint8(255 * skin), np.uint8(255 * known), points)


def drawn_example(drawn: dict[str, np.ndarray], k: int) -> Example:
    """A face of a drawn clip; all its pixels are known."""
    whole = np.full((WIDE, WIDE), 255, np.uint8)
    return Example(drawn["crop"][k], drawn["skin"][k], whole, drawn["points"][k])


def view(example: Example, rng: Rng | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The network's input `(4, S, S)` and its target and weight `(S, S)`, all in [0, 1].

    Without random numbers it is the plain crop; with them it is turned, mirrored, recoloured and coarsened.
    """
    matrix = np.array([[1.0, 0, (SIDE - WIDE) / 2], [0, 1, (SIDE - WIDE) / 2]])
    if rng is not None:
        matrix = cv2.getRotationMatrix2D(
            (WIDE / 2, WIDE / 2), rng.normal(0, 7), math.exp(rng.normal(0, 0.08))
        )
        matrix[:, 2] += (SIDE - WIDE) / 2 + rng.normal(0, 2.5, 2)
        if rng.random() < 0.5:
            matrix[0] = -matrix[0]
            matrix[0, 2] += SIDE - 1
    picture, skin, known = (
        cv2.warpAffine(part, matrix, (SIDE, SIDE), borderMode=mode)
        for part, mode in (
            (example.picture, cv2.BORDER_REPLICATE),
            (example.skin, cv2.BORDER_CONSTANT),
            (example.known, cv2.BORDER_CONSTANT),
        )
    )
    outline = example.points[OVAL] @ matrix[:, :2].T + matrix[:, 2]
    if rng is not None:
        centre = outline.mean(0)
        outline = centre + rng.normal(0, 1, 2) + (outline - centre) * (1 + rng.normal(0, 0.03, 2))
        picture = _recoloured(_coarser(picture, rng), rng)
    oval = filled(outline, SIDE)
    near = cv2.dilate(oval, np.ones((11, 11))).astype(np.float32) / 255
    x = np.concatenate([picture.transpose(2, 0, 1), oval[None]]).astype(np.float32) / 255
    weight = known.astype(np.float32) / 255 * near * (0.3 + 0.7 * oval.astype(np.float32) / 255)
    return x, skin.astype(np.float32) / 255, weight


def _coarser(picture: np.ndarray, rng: Rng) -> np.ndarray:
    """As in a small or compressed video frame."""
    if rng.random() < 0.5:
        side = int(rng.integers(22, 90))
        small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        if rng.random() < 0.5:
            small = _compressed(small, rng)
        picture = cv2.resize(
            small, (SIDE, SIDE), interpolation=int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
        )
    elif rng.random() < 0.3:
        picture = _compressed(picture, rng)
    if rng.random() < 0.2:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.5))
    return picture


def _compressed(picture: np.ndarray, rng: Rng) -> np.ndarray:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
    return cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)


def _recoloured(picture: np.ndarray, rng: Rng) -> np.ndarray:
    x = picture.astype(np.float32) / 255
    if rng.random() < 0.7:
        x = np.maximum(x, 0) ** math.exp(rng.normal(0, 0.3)) * math.exp(rng.normal(0, 0.12))
        x = x * np.exp(rng.normal(0, 0.06, 3)) + rng.normal(0, 0.04)
        grey = x.mean(2, keepdims=True)
        x = grey + (x - grey) * (rng.uniform(0.3, 1.3) if rng.random() < 0.9 else 0)
    x = x + rng.normal(0, rng.uniform(0, 0.03), x.shape)
    return np.clip(255 * x, 0, 255)


def batch_of(examples: list[Example], rng: Rng | None) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs `(B, 4, S, S)`, targets and weights `(B, 1, S, S)`."""
    x, skin, weight = (np.stack(part) for part in zip(*(view(e, rng) for e in examples), strict=True))
    return torch.from_numpy(x), torch.from_numpy(skin)[:, None], torch.from_numpy(weight)[:, None]


def train(network: SkinMask, source: Source, *, steps: int, rate: float, seed: int, file: Path) -> None:
    """Adam with a warm start and a cosine; prints and saves to the file every 50 steps."""
    network.train().to(memory_format=torch.channels_last)
    optimizer = AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    rng, pool, start, total = np.random.default_rng(seed), list[Example](), time.time(), 0.0
    for step in range(steps):
        pool = (pool + [source.example(rng) for _ in range(FRESH)])[-POOL:]
        mine = pool[-FRESH:] + [pool[int(k)] for k in rng.integers(len(pool), size=BATCH - FRESH)]
        x, skin, weight = batch_of(mine, rng)
        logits = network(x.to(memory_format=torch.channels_last))
        loss = (
            F.binary_cross_entropy_with_logits(logits, skin, reduction="none") * weight
        ).sum() / weight.sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
        if step % 50 == 49:
            print(f"{step + 1} loss {total / 50:.4f} {time.time() - start:.0f} s", flush=True)
            total = 0.0
            torch.save(network.state_dict(), file)
    network.eval()


@torch.no_grad()
def doubt(network: SkinMask, photographs: dict[str, np.ndarray]) -> None:
    """Forgets labels of photographs that the network strongly contradicts (below 10%, above 90%)."""
    edge = (WIDE - SIDE) // 2
    middle = slice(edge, WIDE - edge)
    changed = 0
    for k, label in enumerate(photographs["label"]):
        x, _, _ = batch_of([plain(photographs, k)], None)
        found = network(x).sigmoid()[0, 0].numpy()
        part = label[middle, middle]
        wrong = ((part == REPLACE) & (found < 0.1)) | ((part == KEEP) & (found > 0.9))
        part[cv2.dilate(wrong.astype(np.uint8), np.ones((3, 3))) > 0] = UNSURE
        changed += int(wrong.sum())
    print(f"forgot {changed / len(photographs['label']):.1f} labels a photograph", flush=True)


def plain(photographs: dict[str, np.ndarray], k: int) -> Example:
    """A photograph as it is."""
    label = photographs["label"][k]
    skin, known = np.uint8(255 * (label == REPLACE)), np.uint8(255 * (label != UNSURE))
    return Example(photographs["crop"][k], skin, known, photographs["points"][k])


@torch.no_grad()
def logits_of(network: SkinMask, examples: list[Example]) -> np.ndarray:
    """The network on plain crops, `(N, S, S)`."""
    return np.concatenate([network(batch_of([one], None)[0])[:, 0].numpy() for one in examples])


def inside(example: Example) -> np.ndarray:
    """Whether a pixel of the network's crop lies in the outline of the mesh."""
    return filled(example.points[OVAL] - (WIDE - SIDE) / 2, SIDE) > 127


def cut(picture: np.ndarray) -> np.ndarray:
    """The middle of a stored crop, which the network sees."""
    edge = (WIDE - SIDE) // 2
    return picture[edge : WIDE - edge, edge : WIDE - edge]


def choose(network: SkinMask, photographs: dict[str, np.ndarray]) -> float:
    """Shifts the logits so that `RECALL` of the skin in the outlines of free faces is above 0."""
    examples = [plain(photographs, k) for k in range(len(photographs["crop"]))]
    found = logits_of(network, examples)
    skin = np.stack([(cut(one.skin) > 127) & (cut(one.known) > 127) & inside(one) for one in examples])
    threshold = float(np.quantile(found[skin], 1 - RECALL))
    with torch.no_grad():
        network.last.bias -= threshold
    return threshold


def _share(right: np.ndarray, examples: list[Example], asked: Callable[[Example], np.ndarray]) -> float:
    """Share of the asked pixels in the outlines that are right."""
    where = np.stack([cut(asked(one)) & inside(one) for one in examples])
    return float(right[where].mean())


def measure(
    network: SkinMask, photographs: dict[str, np.ndarray], drawn: dict[str, np.ndarray]
) -> dict[str, float]:
    """Shares of pixels in the outlines: skin that is replaced, and what is in front that is kept."""
    free = [plain(photographs, k) for k in range(len(photographs["crop"]))]
    found = logits_of(network, free)
    result = {"photographs, skin replaced": _share(found > 0, free, lambda one: one.skin > 127)}
    result["photographs, hair kept"] = _share(
        found <= 0, free, lambda one: (one.skin < 128) & (one.known > 127)
    )
    rng = np.random.default_rng(0)
    for kind in KINDS:
        covered = []
        for k in range(0, len(free), 2):
            picture, cover = occlude(free[k].picture, free[k].points, free[k - 1].picture, rng, kind)
            covered.append(Example(picture, np.uint8(255 * (cover > 0.9)), free[k].known, free[k].points))
        result[f"pasted {kind} kept"] = _share(
            logits_of(network, covered) <= 0, covered, lambda one: one.skin > 127
        )
    scenes = [drawn_example(drawn, k) for k in range(len(drawn["crop"]))]
    found = logits_of(network, scenes)
    result["drawn, skin replaced"] = _share(found > 0, scenes, lambda one: one.skin > 250)
    for number, one in enumerate(scenes):
        scenes[number] = Example(one.picture, drawn["front"][number], one.known, one.points)
    result["drawn, tools and hands kept"] = _share(found <= 0, scenes, lambda one: one.skin > 250)
    return {name: round(value, 4) for name, value in result.items()}


def pictures(lfw: Path, faces: Path, exclude: set[str], rng: Rng) -> dict[str, list[Path]]:
    """One picture of each training person of LFW, ten of each other person; 300 of LFW's fold 5."""
    tested, held = people_in_folds(lfw, LFW_TEST_FOLDS), people_in_folds(lfw, (HELD_BACK,))
    chosen: dict[str, list[Path]] = {"train": [], "held": []}
    for root, most in ((lfw, 1), (faces, 10)):
        folder = FaceFolder(root)
        for name in folder.people_with(1):
            if name not in exclude and not (root == lfw and name in tested):
                files = folder.pictures(name)
                mine = [files[int(k)] for k in rng.permutation(len(files))[:most]]
                chosen["held" if root == lfw and name in held else "train"] += mine
    return {"train": chosen["train"], "held": chosen["held"][:300]}


def pack(files: list[Path], mesh: Mesh) -> dict[str, np.ndarray]:
    """Crops, meshes and guessed labels of photographs in which a face is found."""
    found = []
    for file in tqdm(files, desc="photographs"):
        picture = np.ascontiguousarray(read_image(file).permute(1, 2, 0).numpy())
        points, score = mesh(picture, None)
        if score >= PRESENT:
            crop, placed = upright_crop(picture, points)
            found.append((crop, placed.astype(np.float32), guess(crop, placed)))
    return dict(zip(("crop", "points", "label"), map(np.stack, zip(*found, strict=True)), strict=True))


def draw(mesh: Mesh, *, clips: int, split: str, seed: int) -> dict[str, np.ndarray]:
    """Faces of drawn clips, cut by their meshes where these are found."""
    found = []
    for one in drawn_faces(clips=clips, split=split, seed=seed):
        points, score = mesh(one.picture, one.landmarks)
        if score >= PRESENT:
            crop, placed = upright_crop(one.picture, points)
            skin, front = (upright_crop(mask, points)[0] for mask in (one.skin, one.front))
            found.append((crop, placed.astype(np.float32), skin, front))
    return dict(
        zip(("crop", "points", "skin", "front"), map(np.stack, zip(*found, strict=True)), strict=True)
    )


def mesh_finder() -> Mesh:
    """The shipped face mesh on one picture."""
    finder = MeshLandmarks()

    def find(picture: np.ndarray, landmarks: np.ndarray | None) -> tuple[np.ndarray, float]:
        image = torch.from_numpy(picture).permute(2, 0, 1) / 255
        start = None if landmarks is None else torch.from_numpy(landmarks).float()
        points, scores = finder([image], [start])
        return points[0, :, :2].numpy(), float(scores[0])

    return find


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stages", nargs="+", choices=("pack", "draw", "train", "choose"))
    parser.add_argument("--lfw", type=Path, required=True)
    parser.add_argument("--faces", type=Path, required=True, help="one folder a person")
    parser.add_argument("--exclude", type=Path, help="names of people who resemble test people")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    work: Path = arguments.work
    if "pack" in arguments.stages:
        exclude = set(arguments.exclude.read_text().split()) if arguments.exclude else set[str]()
        chosen = pictures(arguments.lfw, arguments.faces, exclude, np.random.default_rng(0))
        for name, files in chosen.items():
            np.savez(work / f"{name}.npz", **pack(files, mesh_finder()))
    if "draw" in arguments.stages:
        for split, clips, seed in (("train", 900, 100), ("validation", 80, 200)):
            np.savez(work / f"drawn-{split}.npz", **draw(mesh_finder(), clips=clips, split=split, seed=seed))
    if "train" in arguments.stages:
        source = Source(dict(np.load(work / "train.npz")), dict(np.load(work / "drawn-train.npz")))
        torch.manual_seed(arguments.seed)
        network, later = SkinMask(), arguments.steps // 5
        first = arguments.steps - later
        train(network, source, steps=first, rate=3e-3, seed=arguments.seed, file=work / "skin.pt")
        doubt(network, source.photographs)
        train(network, source, steps=later, rate=1e-3, seed=arguments.seed + 1, file=work / "skin.pt")
    if "choose" in arguments.stages:
        network = SkinMask()
        network.load_state_dict(torch.load(work / "skin.pt"))
        held, drawn = dict(np.load(work / "held.npz")), dict(np.load(work / "drawn-validation.npz"))
        write(network.eval(), held, drawn, arguments)


def write(
    network: SkinMask,
    held: dict[str, np.ndarray],
    drawn: dict[str, np.ndarray],
    arguments: argparse.Namespace,
) -> None:
    """Weights in half precision and their record."""
    threshold = choose(network, held)
    record = provenance(
        command="python -m recipes.train_skin_mask " + " ".join(sys.argv[1:]), seed=arguments.seed
    )
    record |= {"steps": arguments.steps, "batch": BATCH, "threshold": round(threshold, 3)}
    record |= {"parameters": sum(p.numel() for p in network.parameters())}
    record |= {"held out": measure(network, held, drawn)}
    save_weights(WEIGHTS / "skin.safetensors", network.half(), config={"network": "SkinMask"})
    write_atomically(WEIGHTS / "skin.json", (json.dumps(record, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()

"""Trains the recogniser D of real faces, `data/weights/recognizer`.

    pip install 'anonlib[dlib]'
    python -m recipes.train_real_faces pack teach distil --lfw LFW_ROOT --faces CASIA_ROOT

pack    Crops the training faces: all other roots, and the LFW people who are in no pair of folds 6-10.
        Fold 5 is held back to choose settings.
teach   Computes dlib's features of the crops, of their mirror images and of mixtures of two faces.
        Drops the people whom dlib matches with a test person. Writes their names, and those of
        fold 5, to WORK/exclude.txt for `anonlib reproduce --exclude`.
distil  Trains D, a SphereFace-20, to reproduce these features: data/weights/recognizer.

Pictures and features stay in --work, outside the repository. Every stage resumes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.config import ClassifierConfig, to_dict
from anonlib.data.face_crops import crop_pictures
from anonlib.data.face_folders import FaceFolder
from anonlib.data.lfw import lfw_pairs, people_in_folds
from anonlib.experiment.people import LFW_TEST_FOLDS
from anonlib.files import commit, hardware
from anonlib.geometry import align_faces
from anonlib.networks import SphereFace
from anonlib.training.checkpoints import save_weights
from recipes.distillation import distil_classifier

WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "weights"
CROP = 128
MATCH = 0.45
"""A training person closer than this to a test person in dlib's features is dropped. dlib's usual 0.6 suits a
single comparison."""
MIXTURES = 24_000
HELD_BACK = 5
"""Fold of LFW on which settings are chosen. Nobody in it is trained on."""
RECOGNIZER = ClassifierConfig(size=(64, 48), depth=20, width=32, features=128)
DISTIL_STEPS, DISTIL_BATCH = 2800, 64


def mirrored(points: Tensor) -> Tensor:
    """Landmarks of the mirrored crop."""
    points = points[:, [1, 0, 2, 4, 3]] * torch.tensor([-1.0, 1.0])
    points[..., 0] += CROP
    return points


def in_half_precision(network: nn.Module) -> nn.Module:
    """The network with its forward pass in bfloat16 and float outputs: twice as fast on CPUs."""
    forward = torch.autocast("cpu", torch.bfloat16)(network.forward)
    network.forward = lambda *inputs: forward(*inputs).float()  # type: ignore[method-assign]
    return network


# ---- pack ------------------------------------------------------------------------------------


def pack(lfw: Path, others: list[Path], work: Path) -> None:
    """Writes `train.npz` and `validation.npz`: crops, landmarks, and people as numbers."""
    test = people_in_folds(lfw, LFW_TEST_FOLDS)
    held = people_in_folds(lfw, [HELD_BACK]) - test
    folder = FaceFolder(lfw)
    known = [(root, name) for root in map(FaceFolder, others) for name in root.people]
    known += [(folder, name) for name in folder.people if name not in test | held]
    crop_people(known, work / "train.npz")
    (work / "people.txt").write_text("\n".join(name for _, name in known) + "\n")
    (work / "held.txt").write_text("\n".join(sorted(held)) + "\n")
    crop_people([(folder, name) for name in folder.people if name in held], work / "validation.npz")
    np.save(work / "test.npy", match_features(lfw, folder))


def crop_people(people: list[tuple[FaceFolder, str]], path: Path) -> None:
    pictures = [(n, p) for n, (root, name) in enumerate(people) for p in root.pictures(name)]
    crops = crop_pictures([p for _, p in pictures], size=CROP)
    labels = np.array([n for n, _ in pictures])
    stems = np.array([p.stem for _, p in pictures])
    found = crops.found.numpy()
    np.savez(
        path,
        images=crops.images.numpy()[found],
        landmarks=crops.landmarks.numpy()[found],
        labels=labels[found],
        stems=stems[found],
    )


def match_features(lfw: Path, folder: FaceFolder) -> np.ndarray:
    """dlib's features of the test pictures. They are used only to drop training people."""
    from recipes.dlib_teacher import Teacher

    pictures = sorted({p for pair in lfw_pairs(lfw, LFW_TEST_FOLDS) for p in pair[:2]})
    crops = crop_pictures([folder.pictures(n)[k - 1] for n, k in pictures], size=CROP)
    return features_of(Teacher(), crops.images[crops.found])


# ---- teach -----------------------------------------------------------------------------------


def features_of(teacher: Callable[[Tensor], Tensor], images: Tensor) -> np.ndarray:
    return torch.cat([teacher(part) for part in images.split(256)]).numpy()


def teach(work: Path) -> None:
    """Writes `taught.npz`: features of crops, mirrored crops and mixtures, and which crops are kept."""
    from recipes.dlib_teacher import Teacher

    teacher, packed = Teacher(), np.load(work / "train.npz")
    images, count = torch.from_numpy(packed["images"]), len(packed["images"])
    clear = features_of(teacher, images)
    test = np.load(work / "test.npy")
    nearest = np.sqrt(((clear**2).sum(1)[:, None] + (test**2).sum(1) - 2 * clear @ test.T).clip(min=0)).min(
        axis=1
    )
    matching = np.unique(packed["labels"][nearest < MATCH])
    print(f"{len(matching)} of {len(np.unique(packed['labels']))} people dropped")
    names, held = ((work / f"{part}.txt").read_text().split() for part in ("people", "held"))
    excluded = sorted({*held, *(names[number] for number in matching)})
    (work / "exclude.txt").write_text("\n".join(excluded) + "\n")
    rng = np.random.default_rng(0)
    first, second = rng.integers(count, size=(2, MIXTURES))
    share = rng.uniform(0.3, 0.7, MIXTURES).astype(np.float32)
    mixtures = torch.cat(
        [
            mixture(images, *(torch.from_numpy(x[i : i + 256]) for x in (first, second, share)))
            for i in range(0, MIXTURES, 256)
        ]
    )
    np.savez(
        work / "taught.npz",
        clear=clear,
        mirrored=features_of(teacher, images.flip(3)),
        mixed=features_of(teacher, mixtures),
        first=first,
        second=second,
        share=share,
        kept=~np.isin(packed["labels"], matching),
    )


def mixture(images: Tensor, first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Weighted mean of two canonical crops, uint8."""
    weight = share[:, None, None, None]
    return (images[first] * weight + images[second] * (1 - weight)).round().to(torch.uint8)


# ---- distil ----------------------------------------------------------------------------------


class TaughtFaces:
    """Batches of aligned faces with dlib's features, half photographs and half mixtures."""

    def __init__(self, work: Path) -> None:
        packed, taught = np.load(work / "train.npz"), np.load(work / "taught.npz")
        self.images = torch.from_numpy(packed["images"])
        self.landmarks = torch.from_numpy(packed["landmarks"])
        self.taught = {name: torch.from_numpy(taught[name]) for name in taught.files}
        kept = self.taught["kept"]
        self.people = kept.nonzero().flatten()
        mixed = kept[self.taught["first"]] & kept[self.taught["second"]]
        self.mixtures = mixed.nonzero().flatten()
        self.mean = torch.cat([self.taught["clear"][kept], self.taught["mirrored"][kept]]).mean(dim=0)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """A batch; random numbers are those of the step."""
        parts = [self.photographs(DISTIL_BATCH // 2), self.mixed(DISTIL_BATCH // 2)]
        images, points, taught = (torch.cat(x) for x in zip(*parts, strict=True))
        shaken = points + torch.randn(len(points), 1, 2) + 0.7 * torch.randn_like(points)
        aligned = align_faces(images, shaken, RECOGNIZER.size)
        return degraded(aligned), taught - self.mean

    def photographs(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Crops of training people, half of them mirrored."""
        i = self.people[torch.randint(len(self.people), (count,))]
        flip = torch.rand(count) < 0.5
        images, points = self.images[i].float() / 255, self.landmarks[i]
        images = torch.where(flip[:, None, None, None], images.flip(3), images)
        points = torch.where(flip[:, None, None], mirrored(points), points)
        taught = torch.where(flip[:, None], self.taught["mirrored"][i], self.taught["clear"][i])
        return images, points, taught

    def mixed(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Mixtures of two crops."""
        k = self.mixtures[torch.randint(len(self.mixtures), (count,))]
        first, second, share = (self.taught[name][k] for name in ("first", "second", "share"))
        images = mixture(self.images, first, second, share).float() / 255
        weight = share[:, None, None]
        points = self.landmarks[first] * weight + self.landmarks[second] * (1 - weight)
        return images, points, self.taught["mixed"][k]


def degraded(aligned: Tensor) -> Tensor:
    """Random light for all faces, lower resolution for three batches in ten."""
    height, width = aligned.shape[2:]
    if torch.rand(()) < 0.3:
        small = int(torch.randint(24, height, ()))
        aligned = F.interpolate(aligned, (small, small * width // height), mode="bilinear", antialias=True)
        aligned = F.interpolate(aligned, (height, width), mode="bilinear")
    count = len(aligned)
    gain, shift = 1 + 0.25 * torch.randn(count, 1, 1, 1), 0.1 * torch.randn(count, 1, 1, 1)
    lit = aligned * gain + shift + 0.04 * torch.randn(count, 3, 1, 1)
    return lit.clamp(0, 1).contiguous(memory_format=torch.channels_last)


def distil(work: Path) -> None:
    torch.manual_seed(0)
    lessons = TaughtFaces(work)
    network = SphereFace(RECOGNIZER, people=1).to(memory_format=torch.channels_last)
    start = time.time()
    distil_classifier(
        in_half_precision(network),
        lessons,
        steps=DISTIL_STEPS,
        lr=1e-3,
        seed=0,
        checkpoint=work / "distil.pt",
    )
    save_weights(WEIGHTS / "recognizer.safetensors", network, config=to_dict(RECOGNIZER))
    write_record(
        "recognizer",
        {
            "steps": DISTIL_STEPS,
            "minutes": round((time.time() - start) / 60, 1),
            "pictures": len(lessons.people),
            "mixtures": len(lessons.mixtures),
        },
    )


def write_record(name: str, facts: dict[str, Any]) -> None:
    record = {
        "command": "python -m recipes.train_real_faces pack teach distil",
        "commit": commit(),
        "hardware": hardware(),
        "date": time.strftime("%Y-%m-%d"),
        "seed": 0,
        **facts,
    }
    (WEIGHTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stages", nargs="+", choices=["pack", "teach", "distil"])
    parser.add_argument("--lfw", type=Path, help="LFW with pairs.txt")
    parser.add_argument("--faces", type=Path, action="append", default=[], help="further roots")
    parser.add_argument("--work", type=Path, default=Path("checkpoints/real"))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if "pack" in arguments.stages:
        if arguments.lfw is None:
            parser.error("pack needs --lfw")
        pack(arguments.lfw, arguments.faces, arguments.work)
    if "teach" in arguments.stages:
        teach(arguments.work)
    if "distil" in arguments.stages:
        distil(arguments.work)


if __name__ == "__main__":
    main()

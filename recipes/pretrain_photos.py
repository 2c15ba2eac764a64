"""Trains M-state on photographs, before Algorithm 1: its reader, and M on pairs that `swap` drew.

    python -m recipes.measure_swap clear --lfw LFW --faces CELEBA --every 3 --pictures 10 --work WORK
    python -m recipes.pretrain_photos pairs reader M-photo-start --work WORK

pairs          training photographs, and the same with the face of a code; every 20th person is held back
reader         where the face is, what is in front of it, its state
M-photo-start  M-state for 128 pixels; it holds the reader

Nobody in LFW's folds 5-10 is in these photographs, nor anybody whom dlib takes for one of them. The reader
stays in WORK. Trainings can be stopped; the same command resumes.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.assets import load_weights
from anonlib.config import ModifierConfig, to_dict
from anonlib.geometry import warp_affine
from anonlib.networks import FaceReader, StateModifier
from anonlib.networks.state_modifier import CODE, PEOPLE, READ, SKETCH, fill
from anonlib.training.checkpoints import save_weights
from anonlib.training.pretraining import as_floats, redraw, set_sketch, train_on_pairs, train_reader
from anonlib.training.start import on_device
from anonlib.world.pairs import RedrawnPairs
from recipes.attacked_pictures import Index
from recipes.photo_pairs import SIDE, PhotoPairs, standardised
from recipes.pretrain import SEED, WEIGHTS, recorded, write_record
from recipes.pretrain_pairs import read_validation

CONFIG = ModifierConfig(size=SIDE, width=20, blocks=3, reads="state", region=(0.16, 0.20))
STEPS = {"pairs": 0, "reader": 1000, "M-photo-start": 1100}
LEARNING_RATE = 6e-4
HELD_BACK = 20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", choices=list(STEPS))
    parser.add_argument("--work", type=Path, default=Path("checkpoints/swap"))
    parser.add_argument("--copies", type=int, default=1, help="crops of each photograph")
    arguments = parser.parse_args()
    work = arguments.work
    for name in arguments.names:
        if name == "pairs":
            make_pairs(work, arguments.copies)
            continue
        train = {"reader": reader, "M-photo-start": modifier}[name]
        record = recorded(
            f"python -m recipes.pretrain_photos {name}", steps=STEPS[name], train=partial(train, work)
        )
        if name == "M-photo-start":
            record["reader"] = json.loads((work / "reader.json").read_text())
        write_record((work if name == "reader" else WEIGHTS) / f"{name}.json", record)


def make_pairs(work: Path, copies: int) -> None:
    """Writes the pairs of both splits, with states in standard deviations of the training split."""
    index = Index(work, "train")
    pairs, rows = PhotoPairs(index).all(copies=copies, seed=SEED)
    people = np.unique(index.people)
    held_back = torch.from_numpy(np.isin(index.people, people[::HELD_BACK]))[rows]
    mean, spread = pairs.state[~held_back].mean(0), pairs.state[~held_back].std(0)
    for split, chosen in (("train", ~held_back), ("validation", held_back)):
        part = standardised(pairs.rows(chosen), mean, spread)
        torch.save({f.name: getattr(part, f.name) for f in fields(RedrawnPairs)}, work / f"photo-{split}.pt")
        print(split, len(part), "pairs", flush=True)


def pairs_of(work: Path, split: str, *, side: int = SIDE) -> RedrawnPairs:
    """The pairs of a split, in crops of that side."""
    pairs = RedrawnPairs(**torch.load(work / f"photo-{split}.pt", weights_only=True))
    by = SIDE // side
    if by == 1:
        return pairs
    small = {
        name: torch.cat([F.avg_pool2d(part.float(), by).byte() for part in getattr(pairs, name).split(256)])
        for name in ("images", "redrawn", "head", "front")
    }
    points = {name: getattr(pairs, name) / by for name in ("landmarks", "redrawn_landmarks")}
    return replace(pairs, **small, **points)


def random_rows(pairs: RedrawnPairs, count: int, step: int) -> RedrawnPairs:
    """The batch of a step."""
    generator = torch.Generator().manual_seed(SEED * 1_000_003 + step)
    return pairs.rows(torch.randint(len(pairs), (count,), generator=generator))


def reader(work: Path) -> dict[str, Any]:
    network, pairs = on_device(FaceReader(), "cpu"), pairs_of(work, "train", side=READ)
    checkpoint = work / "photo-reader.pt"
    train_reader(
        network, lambda n: random_rows(pairs, 32, n), steps=STEPS["reader"], seed=SEED, checkpoint=checkpoint
    )
    save_weights(work / "photo-reader.safetensors", network, config={})
    with torch.inference_mode():
        return read_validation(network.eval(), pairs_of(work, "validation", side=READ))


def modifier(work: Path) -> dict[str, Any]:
    network, pairs = StateModifier(CONFIG), pairs_of(work, "train")
    fit_sketch(network, pairs)
    generator = torch.Generator().manual_seed(SEED)
    network.people.copy_(torch.randn(PEOPLE, CODE, generator=generator).clamp(-2, 2))
    train_on_pairs(
        on_device(network, "cpu"),
        lambda n: random_rows(pairs, 16, n),
        steps=STEPS["M-photo-start"],
        lr=LEARNING_RATE,
        seed=SEED,
        checkpoint=work / "M-photo-start.pt",
    )
    network.reader.load_state_dict(load_weights(work / "photo-reader.safetensors")[0])
    save_weights(WEIGHTS / "M-photo-start.safetensors", network, config=to_dict(CONFIG), bits=8)
    unseen = pairs_of(work, "validation")
    with torch.inference_mode():
        modified, redrawn = redraw(network.eval(), unseen)
        codes = torch.cat([unseen.codes, torch.randn(len(unseen), CONFIG.state)], 1)
        read = network(as_floats(unseen.images), codes)
    return {"l1": l1(modified, redrawn), "l1_as_read": l1(read, as_floats(unseen.redrawn))}


def l1(modified: Tensor, wanted: Tensor) -> float:
    return float((modified - wanted).abs().mean())


@torch.no_grad()
def fit_sketch(network: StateModifier, pairs: RedrawnPairs) -> None:
    """Fits the linear layer to the difference of the new faces from the filled scene."""
    drawn = []
    for rows in torch.arange(len(pairs)).split(200):
        part = pairs.rows(rows)
        images, wanted = as_floats(part.images), as_floats(part.redrawn)
        seen, opacity = network.remove_head(images, part.head.float() / 255, part.front.float() / 255)
        difference = (wanted * 2 - 1 - fill(*seen.split([3, 1], 1))) * (opacity > 0)
        place = network.place(part.landmarks)
        assert place is not None
        linear = torch.linalg.inv(place[:, :, :2])
        back = torch.cat([linear, -linear @ place[:, :, 2:]], 2)
        coarse = warp_affine(difference, back, (network.fold * SKETCH, network.fold * SKETCH))
        drawn.append(torch.cat([coarse, torch.zeros_like(coarse[:, :1])], 1))
    set_sketch(network, torch.cat([pairs.codes, pairs.state], 1), torch.cat(drawn))


if __name__ == "__main__":
    main()

"""Trains the starts of M that redraw a face as another person, on pairs of one picture with two people.

    python -m recipes.pretrain_pairs reader M-state-start M-redraw-start

reader         the frozen part of M-state: where the head is, what is in front of it, and its state
M-state-start  M-state, which does not see the head; it draws the person of a code. Holds the reader
M-redraw-start the paper's M, which sees the face; it draws the same person for everybody

Each is measured on validation people, whom no test shows. The record is `data/weights/NAME.json`. Trainings
can be stopped; the same command resumes.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anonlib.assets import load_weights
from anonlib.config import Profile, profile, to_dict
from anonlib.networks import FaceReader, Modifier, StateModifier
from anonlib.networks.state_modifier import PEOPLE
from anonlib.training.checkpoints import save_weights
from anonlib.training.pretraining import (
    as_floats,
    fit_sketch,
    pair_batches,
    redraw,
    train_on_pairs,
    train_reader,
)
from anonlib.training.start import on_device, starting_modifier
from anonlib.world.clip_pairs import clip_pairs
from anonlib.world.codes import PersonCodes
from anonlib.world.pairs import RedrawnPairs
from recipes.pretrain import SEED, WEIGHTS, recorded, write_record

STEPS = {"reader": 1200, "M-state-start": 1600, "M-redraw-start": 1000}
LEARNING_RATES = {"M-state-start": 6e-4, "M-redraw-start": 2e-3}
"""M-state starts from a sketch of the head, which larger steps would spoil."""
CLIPS = {"train": 2000, "validation": 150}
"""Clips of one frame from which the pairs of clips come."""
ONE_PERSON = 777
"""Whom M-redraw-start draws, counted from the first person of codes."""
_FIRST = 10**8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", choices=list(STEPS))
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    arguments = parser.parse_args()
    arguments.checkpoints.mkdir(parents=True, exist_ok=True)
    folder = arguments.checkpoints
    for name in arguments.names:
        record = recorded(
            f"python -m recipes.pretrain_pairs {name}",
            steps=STEPS[name],
            train=partial(TRAIN[name], profile("laptop"), folder),
        )
        if name == "M-state-start":  # it holds the reader
            record["reader"] = json.loads((folder / "reader.json").read_text())
        write_record((folder if name == "reader" else WEIGHTS) / f"{name}.json", record)


def reader(laptop: Profile, folder: Path) -> dict[str, Any]:
    network = on_device(FaceReader(), "cpu")
    batches = pair_batches(pairs_of(laptop, folder, "train"), size=laptop.modifier.size, count=32, seed=SEED)
    train_reader(network, batches, steps=STEPS["reader"], seed=SEED, checkpoint=folder / "pretrain-reader.pt")
    save_weights(folder / "reader.safetensors", network, config={})
    return read_validation(network.eval(), pairs_of(laptop, folder, "validation"))


@torch.inference_mode()
def read_validation(network: FaceReader, pairs: RedrawnPairs) -> dict[str, Any]:
    """Errors on validation clips: overlap of the parts, correlation of the state, landmarks in pixels."""
    reading = network(as_floats(pairs.images))
    both = torch.stack([reading.state, pairs.state])
    return {
        "iou_head": overlap(reading.head > 0, pairs.head > 127),
        "iou_front": overlap(reading.front > 0, pairs.front > 127),
        "state_correlation": [
            round(float(torch.corrcoef(both[..., i])[0, 1]), 3) for i in range(both.shape[2])
        ],
        "landmarks_pixels": float((reading.landmarks - pairs.landmarks).norm(dim=2).mean()),
    }


def overlap(found: Tensor, true: Tensor) -> float:
    return float((found & true).sum() / (found | true).sum())


def state_start(laptop: Profile, folder: Path) -> dict[str, Any]:
    network = StateModifier(replace(laptop.modifier, reads="state"))
    fit_sketch(network, seed=SEED)
    network.people.copy_(PersonCodes().of(range(_FIRST, _FIRST + PEOPLE)))
    train(network, laptop, folder, "M-state-start", person=None)
    network.reader.load_state_dict(load_weights(folder / "reader.safetensors")[0])
    pairs = pairs_of(laptop, folder, "validation")
    with torch.inference_mode():
        codes = torch.cat([pairs.codes, torch.randn(len(pairs), network.config.state)], 1)
        modified = network.eval()(as_floats(pairs.images), codes)
    return save(network, "M-state-start", modified, as_floats(pairs.redrawn))


def redraw_start(laptop: Profile, folder: Path) -> dict[str, Any]:
    network = starting_modifier(
        replace(laptop, modifier=laptop.modifier.of_picture()), seed=SEED, start="identity"
    )
    assert isinstance(network, Modifier)
    person = _FIRST + ONE_PERSON
    train(network, laptop, folder, "M-redraw-start", person=person)
    with torch.inference_mode():
        modified, redrawn = redraw(network.eval(), pairs_of(laptop, folder, "validation", person=person))
    return save(network, "M-redraw-start", modified, redrawn)


def train(network: Modifier, laptop: Profile, folder: Path, name: str, *, person: int | None) -> None:
    clips = pairs_of(laptop, folder, "train", person=person)
    batches = pair_batches(clips, size=laptop.modifier.size, count=16, seed=SEED, person=person)
    checkpoint = folder / f"pretrain-{name}.pt"
    settings = {"steps": STEPS[name], "lr": LEARNING_RATES[name], "seed": SEED}
    train_on_pairs(on_device(network, "cpu"), batches, **settings, checkpoint=checkpoint)


def save(network: Modifier, name: str, modified: Tensor, redrawn: Tensor) -> dict[str, Any]:
    save_weights(WEIGHTS / f"{name}.safetensors", network, config=to_dict(network.config), bits=16)
    return {"l1": float((modified - redrawn).abs().mean())}


def pairs_of(laptop: Profile, folder: Path, split: str, *, person: int | None = None) -> RedrawnPairs:
    """The pairs of clips of a split, drawn once and kept in the folder."""
    path = folder / f"pairs-{split}{'' if person is None else '-one'}.pt"
    if path.exists():
        return RedrawnPairs(**torch.load(path, weights_only=True))
    pairs = clip_pairs(
        PersonCodes(),
        clips=CLIPS[split],
        frames=1,
        split=split,
        seed=SEED,
        size=laptop.modifier.size,
        frame=laptop.detector.frame,
        person=person,
    )
    torch.save({field.name: getattr(pairs, field.name) for field in fields(pairs)}, path)
    return pairs


TRAIN = {"reader": reader, "M-state-start": state_start, "M-redraw-start": redraw_start}

if __name__ == "__main__":
    main()

"""Trains the password-conditioned face identity transformer T on drawn people.

    python -m recipes.train_fit          # data/weights/fit.safetensors and fit.json

`recipes.measure_fit` measures it. A training can be stopped; the same command resumes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from anonlib.config import FitConfig, FitTraining, to_dict
from anonlib.networks.ciagan import identity_network
from anonlib.networks.fit import FaceTransformer, FitCritics, PasswordReader, all_passwords, encoded
from anonlib.training.checkpoints import save_weights
from anonlib.training.fit import (
    Faces,
    FitPlayers,
    change,
    find_directions,
    learn_details,
    pretrain_recogniser,
    train_fit,
)
from anonlib.training.fit_data import FitFaces, draw_scenes_of
from anonlib.training.loop import fixed_random_numbers
from anonlib.training.start import on_device
from anonlib.world.face_model import FaceModel
from anonlib.world.faces import SyntheticPeople
from recipes.miniatures import RUN, options, run, save_sheet
from recipes.pretrain import SEED

FIRST = 750_000_000
"""First training person. No other network has seen these people."""
PEOPLE = 600
VALIDATION = 200
SHOWN = 10
SETTINGS = ("detail_steps", "pretrain_steps", "adversarial_steps")
"""Of `FitTraining`, those that the command can change."""


def main() -> None:
    known = FitTraining()
    chosen = options(__doc__, **{name: getattr(known, name) for name in SETTINGS})
    config = replace(known, **{name: getattr(chosen, name) for name in SETTINGS})
    torch.manual_seed(SEED)
    players = FitPlayers(
        transformer=on_device(FaceTransformer(FitConfig()), "cpu"),
        critics=on_device(FitCritics(), "cpu"),
        recogniser=on_device(identity_network(PEOPLE), "cpu"),
        reader=on_device(PasswordReader(), "cpu"),
    )
    both = partial(train, players, config, chosen.checkpoints, chosen.out)
    run("fit", chosen, config, steps=config.adversarial_steps, train=both)


def train(players: FitPlayers, config: FitTraining, checkpoints: Path, out: Path) -> dict[str, Any]:
    """Trains and saves T; returns the last losses of each part."""
    transformer = players.transformer
    faces = people(range(FIRST, FIRST + PEOPLE), transformer.config.bits)
    ends: dict[str, Any] = {"people": PEOPLE}

    def part(name: str, history: list[dict[str, float]]) -> None:
        ends[name] = history[-1] if history else {}
        show(transformer, faces, checkpoints / f"fit-{name}.png")

    history = learn_details(transformer, faces, config, checkpoint=checkpoints / "fit-details.pt", **RUN)
    find_directions(transformer, faces, config, seed=SEED)
    part("details", history)
    path = checkpoints / "fit-recogniser.pt"
    part("recogniser", pretrain_recogniser(players.recogniser, faces, config, checkpoint=path, **RUN))
    part("end", train_fit(players, faces, config, checkpoint=checkpoints / "fit.pt", **RUN))
    save_weights(out / "fit.safetensors", transformer, config=to_dict(transformer.config), bits=8)
    return ends | {"read": read_passwords(players, transformer.config.bits)}


@torch.inference_mode()
def read_passwords(players: FitPlayers, bits: int) -> dict[str, float]:
    """What Q reads from I and A, and from A and R, of validation people: share of planes and of passwords."""
    faces = people(SyntheticPeople().people("validation")[:VALIDATION], bits)
    with fixed_random_numbers(SEED):
        scenes = draw_scenes_of(faces, VALIDATION)
    transformer, reader = players.transformer.eval(), players.reader.eval()
    first = transformer(scenes.images, scenes.password)
    restored = transformer(first, -scenes.password)
    every = encoded(all_passwords(bits))
    found = {}
    for name, before, after, sign in (("A", scenes.images, first, 1), ("R", first, restored, -1)):
        logits, right = reader(before, after), encoded(sign * scenes.password)
        found[f"planes of {name}"] = float((logits * right > 0).float().mean())
        guessed = every[(logits.tanh() @ every.T).argmax(1)]
        found[f"passwords of {name}"] = float((guessed == right).all(1).float().mean())
    return found


def people(numbers: Sequence[int], bits: int) -> FitFaces:
    model = FaceModel.load()
    return FitFaces(identities=model.identity(numbers), model=model, bits=bits)


@torch.inference_mode()
def show(transformer: FaceTransformer, faces: FitFaces, path: Path) -> None:
    """A picture: each column a training face I, then A_1, A_2, W_1, W_2 and R."""
    with fixed_random_numbers(SEED):
        scenes = draw_scenes_of(faces, SHOWN)
        made: Faces = change(transformer.eval(), scenes)
    save_sheet([scenes.images, made.first, made.second, made.wrong, made.other, made.restored], path)


if __name__ == "__main__":
    main()

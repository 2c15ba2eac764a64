"""Trains the password-conditioned face identity transformer T on drawn people.

    python -m recipes.train_fit          # data/weights/fit.safetensors and fit.json

`recipes.measure_fit` measures it. A training can be stopped; the same command resumes it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch

from anonlib.config import FitConfig, FitTraining, to_dict
from anonlib.networks.ciagan import identity_network
from anonlib.networks.fit import FaceTransformer, FitCritics, PasswordReader, encoded
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
from recipes.pretrain import SEED, WEIGHTS, recorded, write_record

FIRST = 750_000_000
"""First training person. No other network has seen these people."""
PEOPLE = 600
VALIDATION = 200
SHOWN = 10


def main() -> None:
    arguments = parsed()
    config = FitTraining()
    for name in STEPS:
        config = replace(config, **{name: getattr(arguments, name)})
    for folder in (arguments.out, arguments.checkpoints):
        folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    shape = FitConfig()
    players = FitPlayers(
        transformer=on_device(FaceTransformer(shape), "cpu"),
        critics=on_device(FitCritics(), "cpu"),
        recogniser=on_device(identity_network(PEOPLE), "cpu"),
        reader=on_device(PasswordReader(), "cpu"),
    )
    options = [f"--{name.replace('_', '-')} {getattr(arguments, name)}" for name in STEPS]
    command = " ".join(["python -m recipes.train_fit", *options])
    run = partial(train, players, config, arguments.checkpoints, arguments.out)
    record = recorded(command, steps=config.adversarial_steps, train=run)
    write_record(arguments.out / "fit.json", record | {"settings": to_dict(config)})


STEPS = ("detail_steps", "pretrain_steps", "adversarial_steps")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = FitTraining()
    for name in STEPS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(known, name))
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    return parser.parse_args()


def train(players: FitPlayers, config: FitTraining, checkpoints: Path, out: Path) -> dict[str, Any]:
    """Trains and saves T; returns the last losses of each part."""
    bits = players.transformer.config.bits
    faces = people(range(FIRST, FIRST + PEOPLE), bits)
    options = {"seed": SEED, "report": partial(print, flush=True), "progress": False}
    ends: dict[str, Any] = {"people": PEOPLE}

    def step(name: str, history: list[dict[str, float]]) -> None:
        ends[name] = history[-1] if history else {}
        show(players.transformer, faces, checkpoints / f"fit-{name}.png")
        settings = to_dict(players.transformer.config)
        save_weights(checkpoints / f"fit-{name}.safetensors", players.transformer, config=settings, bits=8)

    path = checkpoints / "fit-details.pt"
    history = learn_details(players.transformer, faces, config, checkpoint=path, **options)
    find_directions(players.transformer, faces, config, seed=SEED)
    step("details", history)
    path = checkpoints / "fit-recogniser.pt"
    step("recogniser", pretrain_recogniser(players.recogniser, faces, config, checkpoint=path, **options))
    step("end", train_fit(players, faces, config, checkpoint=checkpoints / "fit.pt", **options))
    ends["read"] = read_passwords(players, bits)
    (checkpoints / "fit-end.safetensors").replace(out / "fit.safetensors")
    return json.loads(json.dumps(ends))


@torch.inference_mode()
def read_passwords(players: FitPlayers, bits: int) -> dict[str, float]:
    """What Q reads from I and A, and from A and R, of validation people: share of planes and of passwords."""
    faces = people(SyntheticPeople().people("validation")[:VALIDATION], bits)
    with fixed_random_numbers(SEED):
        scenes = draw_scenes_of(faces, VALIDATION)
    transformer, reader = players.transformer.eval(), players.reader.eval()
    first = transformer(scenes.images, scenes.password)
    restored = transformer(first, -scenes.password)
    every = encoded(torch.tensor(list(product((-1.0, 1.0), repeat=bits))))
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
    from PIL import Image

    with fixed_random_numbers(SEED):
        scenes = draw_scenes_of(faces, SHOWN)
        made: Faces = change(transformer.eval(), scenes)
    rows = [scenes.images, made.first, made.second, made.wrong, made.other, made.restored]
    picture = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
    Image.fromarray((picture * 255).round().byte().movedim(0, 2).numpy()).save(path)


if __name__ == "__main__":
    main()

"""Trains CIAGAN's generator on drawn people.

    python -m recipes.train_ciagan          # data/weights/ciagan.safetensors and ciagan.json
    python -m recipes.train_ciagan --pair-steps 0 --pair-weight 0 --out DIR     # the paper has no pairs

`recipes.measure_ciagan` measures it. A training can be stopped; the same command resumes it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anonlib.anonymizers.conditions import Conditions
from anonlib.config import CiaganConfig, CiaganTraining, to_dict
from anonlib.detection.mesh import MeshLandmarks
from anonlib.networks.ciagan import CiaganGenerator, identity_network
from anonlib.networks.critic import PatchCritic
from anonlib.training.checkpoints import save_weights
from anonlib.training.ciagan import CiaganPlayers, pretrain_identity, train_ciagan, warm_up
from anonlib.training.ciagan_data import CiaganFaces, drawn_faces
from anonlib.training.start import on_device
from recipes.miniatures import RUN, kept, options, run, save_sheet
from recipes.pretrain import SEED

FIRST = 700_000_000
"""First training person. No other network has seen these people."""
IMAGES = 24
"""Pictures of each training person; the paper has at least 30."""
VERSIONS = 4
"""Other people with whom each picture is drawn again."""
SHOWN = 8
SETTINGS = ("adversarial_steps", "pretrain_steps", "pair_steps", "pair_weight")
"""Of `CiaganTraining`, those that the command can change."""


def main() -> None:
    known = CiaganTraining()
    numbers = {name: getattr(known, name) for name in SETTINGS}
    chosen = options(__doc__, **numbers, people=CiaganConfig().people)
    config = replace(known, **{name: getattr(chosen, name) for name in SETTINGS})
    torch.manual_seed(SEED)
    players = CiaganPlayers(
        generator=on_device(CiaganGenerator(CiaganConfig(people=chosen.people)), "cpu"),
        critic=on_device(PatchCritic(inputs=6), "cpu"),
        identity=on_device(identity_network(chosen.people), "cpu"),
    )
    both = partial(train, players, config, chosen.checkpoints, chosen.out)
    run("ciagan", chosen, config, steps=config.adversarial_steps, train=both)


def train(players: CiaganPlayers, config: CiaganTraining, checkpoints: Path, out: Path) -> dict[str, Any]:
    """Trains and saves the generator; returns the last losses of each part."""
    generator = players.generator
    faces = training_faces(checkpoints / "ciagan-faces.pt", generator.config.people)
    ends: dict[str, Any] = {"faces": len(faces.labels)}

    def part(name: str, history: list[dict[str, float]]) -> None:
        ends[name] = history[-1] if history else {}
        show(generator, faces.sources, checkpoints / f"ciagan-{name}.png")

    path = checkpoints / "ciagan-identity.pt"
    part("identity", pretrain_identity(players.identity, faces, config, checkpoint=path, **RUN))
    part("warm", warm_up(generator, faces, config, checkpoint=checkpoints / "ciagan-warm.pt", **RUN))
    shape = to_dict(generator.config)
    save_weights(checkpoints / "ciagan-warm.safetensors", generator, config=shape, bits=16)
    part("end", train_ciagan(players, faces, config, checkpoint=checkpoints / "ciagan.pt", **RUN))
    save_weights(out / "ciagan.safetensors", generator, config=shape, bits=16)
    return ends


def training_faces(path: Path, people: int) -> CiaganFaces:
    """The training pictures."""

    def draw() -> list[Tensor]:
        faces = drawn_faces(FIRST, people, images=IMAGES, versions=VERSIONS, seed=SEED, find=MeshLandmarks())
        return [*faces.sources, faces.labels, faces.redrawn, faces.others]

    *sources, labels, redrawn, others = kept(path, draw)
    return CiaganFaces(sources=Conditions(*sources), labels=labels, redrawn=redrawn, others=others)


@torch.inference_mode()
def show(generator: CiaganGenerator, faces: Conditions, path: Path) -> None:
    """A picture: each row a source, its drawing and hole, then the same wanted people for all."""
    generator.eval()
    rows = torch.linspace(0, len(faces.images) - 1, SHOWN).long()
    source = Conditions(*[part[rows] for part in faces])
    seen = source.seen(face=generator.config.face)
    columns = [source.images, *seen.split(3, 1)]
    for person in torch.linspace(0, generator.config.people - 1, SHOWN).long():
        drawn = generator(seen, person.expand(SHOWN))
        columns.append(source.composed(drawn).clamp(0, 1))
    save_sheet(list(torch.stack(columns, 1)), path)


if __name__ == "__main__":
    main()

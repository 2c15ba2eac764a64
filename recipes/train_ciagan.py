"""Trains CIAGAN's generator on drawn people.

    python -m recipes.train_ciagan          # data/weights/ciagan.safetensors and ciagan.json
    python -m recipes.train_ciagan --pair-steps 0 --pair-weight 0 --out DIR     # the paper has no pairs

`recipes.measure_ciagan` measures it. A training can be stopped; the same command resumes it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from anonlib.anonymizers.conditions import Conditions
from anonlib.config import CiaganConfig, CiaganTraining, to_dict
from anonlib.detection.mesh import MeshLandmarks
from anonlib.networks.ciagan import CiaganGenerator, identity_network
from anonlib.networks.critic import PatchCritic
from anonlib.training.checkpoints import save_weights
from anonlib.training.ciagan import CiaganPlayers, pretrain_identity, train_ciagan, warm_up
from anonlib.training.ciagan_data import CiaganFaces, drawn_faces
from anonlib.training.start import on_device
from recipes.pretrain import SEED, WEIGHTS, recorded, write_record

FIRST = 700_000_000
"""First training person. No other network has seen these people."""
IMAGES = 24
"""Pictures of each training person; the paper has at least 30."""
VERSIONS = 4
"""Other people with whom each picture is drawn again."""
SHOWN = 8


def main() -> None:
    arguments = parsed()
    config = CiaganTraining()
    for name in ("adversarial_steps", "pretrain_steps", "pair_steps", "pair_weight"):
        config = replace(config, **{name: getattr(arguments, name)})
    for folder in (arguments.out, arguments.checkpoints):
        folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    people, width = arguments.people, CiaganConfig().width
    players = CiaganPlayers(
        generator=on_device(CiaganGenerator(CiaganConfig(people=people, width=width)), "cpu"),
        critic=on_device(PatchCritic(inputs=6), "cpu"),
        identity=on_device(identity_network(people), "cpu"),
    )
    options = (f"--{name.replace('_', '-')} {value}" for name, value in vars(arguments).items())
    shown = [option for option in options if not option.startswith(("--out", "--checkpoints"))]
    command = " ".join(["python -m recipes.train_ciagan", *shown])
    run = partial(train, players, config, arguments.checkpoints, arguments.out)
    record = recorded(command, steps=config.adversarial_steps, train=run)
    write_record(arguments.out / "ciagan.json", record | {"settings": to_dict(config)})


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = CiaganTraining()
    parser.add_argument("--adversarial-steps", type=int, default=known.adversarial_steps)
    parser.add_argument("--pretrain-steps", type=int, default=known.pretrain_steps)
    parser.add_argument("--pair-steps", type=int, default=known.pair_steps)
    parser.add_argument("--pair-weight", type=float, default=known.pair_weight)
    parser.add_argument("--people", type=int, default=CiaganConfig().people)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    return parser.parse_args()


def train(players: CiaganPlayers, config: CiaganTraining, checkpoints: Path, out: Path) -> dict[str, Any]:
    """Trains and saves the generator; returns the last losses of each part."""
    faces = kept_faces(checkpoints / "ciagan-faces.pt", players.generator.config.people)
    options = {"seed": SEED, "report": partial(print, flush=True), "progress": False}
    ends: dict[str, Any] = {"faces": len(faces.labels)}

    def step(name: str, history: list[dict[str, float]]) -> None:
        ends[name] = history[-1] if history else {}
        show(players.generator, faces.sources, checkpoints / f"ciagan-{name}.png")
        save_weights(
            checkpoints / f"ciagan-{name}.safetensors",
            players.generator,
            config=to_dict(players.generator.config),
            bits=16,
        )

    path = checkpoints / "ciagan-identity.pt"
    step("identity", pretrain_identity(players.identity, faces, config, checkpoint=path, **options))
    path = checkpoints / "ciagan-warm.pt"
    step("warm", warm_up(players.generator, faces, config, checkpoint=path, **options))
    path = checkpoints / "ciagan.pt"
    step("end", train_ciagan(players, faces, config, checkpoint=path, **options))
    (checkpoints / "ciagan-end.safetensors").replace(out / "ciagan.safetensors")
    return json.loads(json.dumps(ends))


def kept_faces(path: Path, people: int) -> CiaganFaces:
    """The training pictures, drawn once and kept in a file."""
    if not path.exists():
        options = {"images": IMAGES, "versions": VERSIONS, "seed": SEED, "find": MeshLandmarks()}
        faces = drawn_faces(FIRST, people, **options)
        torch.save([*faces.sources, faces.labels, faces.redrawn, faces.others], path)
    *sources, labels, redrawn, others = torch.load(path, weights_only=True)
    return CiaganFaces(sources=Conditions(*sources), labels=labels, redrawn=redrawn, others=others)


@torch.inference_mode()
def show(generator: CiaganGenerator, faces: Conditions, path: Path) -> None:
    """A picture: each row a source, its drawing and hole, then the same wanted people for all."""
    from PIL import Image

    generator.eval()
    rows = torch.linspace(0, len(faces.images) - 1, SHOWN).long()
    source = Conditions(*[part[rows] for part in faces])
    columns = [source.images, *source.seen().split(3, 1)]
    for person in torch.linspace(0, generator.config.people - 1, SHOWN).long():
        drawn = generator(source.seen(), person.expand(SHOWN))
        columns.append(source.composed(drawn).clamp(0, 1))
    picture = torch.cat([torch.cat(list(column), 1) for column in columns], 2)
    Image.fromarray((picture * 255).round().byte().movedim(0, 2).numpy()).save(path)


if __name__ == "__main__":
    main()

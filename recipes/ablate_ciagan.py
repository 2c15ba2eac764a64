"""Trains CIAGAN and the two ablations of its talk with one budget, on drawn people.

    python -m recipes.ablate_ciagan --out DIR      # DIR/NAME.safetensors, .png and training.json
    python -m recipes.measure_ciagan --out ABLATIONS.csv --weights complete=DIR/complete.safetensors ...

- `complete`: as `recipes.train_ciagan` trains it.
- `classifier`: the identity network names the person instead of comparing two pictures.
- `face`: the generator sees the clear face instead of the drawing of landmarks.
- `...-alone`: after the same training on pairs, as many loops of the game without pairs and with the identity
  weight of the public code. The talk's networks learn from such a game alone.

Each network starts from the same random numbers. Variants share the parts before the game that they do not
change. A training can be stopped; the same command resumes it.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from anonlib.config import CiaganConfig, CiaganTraining, to_dict
from anonlib.files import provenance
from anonlib.networks.ciagan import CiaganGenerator, identity_network
from anonlib.networks.critic import PatchCritic
from anonlib.training.checkpoints import save_weights
from anonlib.training.ciagan import CiaganPlayers, pretrain_identity, train_ciagan, warm_up
from anonlib.training.ciagan_data import CiaganFaces
from anonlib.training.start import on_device
from recipes.miniatures import RUN
from recipes.pretrain import SEED
from recipes.train_ciagan import show, training_faces

ALONE = {"pair_weight": 0.0, "identity_weight": 0.5}
VARIANTS: dict[str, dict[str, Any]] = {
    "complete": {},
    "classifier": {"classifier": True},
    "face": {"face": True},
    "complete-alone": ALONE,
    "classifier-alone": ALONE | {"classifier": True},
    "face-alone": ALONE | {"face": True},
}
"""What each variant changes of `CiaganTraining`, and `CiaganConfig.face`."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = CiaganTraining()
    for name in ("pretrain_steps", "pair_steps", "adversarial_steps"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(known, name))
    parser.add_argument("--people", type=int, default=CiaganConfig().people)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    record = provenance(command=" ".join(["python -m recipes.ablate_ciagan", *sys.argv[1:]]), seed=SEED)
    steps = {key: value for key, value in vars(chosen).items() if key.endswith("_steps")}
    base, people, games = replace(known, **steps), chosen.people, {}
    faces = training_faces(chosen.out / "ciagan-faces.pt", people)
    for name in chosen.variants:
        games[name] = train(name, faces, base, people, chosen.out)
        text = json.dumps(record | {"settings": to_dict(base), "games": games}, indent=2)
        (chosen.out / "training.json").write_text(text + "\n")


def train(name: str, faces: CiaganFaces, base: CiaganTraining, people: int, out: Path) -> dict[str, Any]:
    """Trains a variant and saves its generator; returns what it changes and the last losses of each part."""
    changes = dict(VARIANTS[name])
    shape = CiaganConfig(people=people, face=changes.pop("face", False))
    config = replace(base, **changes)
    first = replace(base, classifier=config.classifier)  # the parts before the game know no other change
    torch.manual_seed(SEED)
    players = CiaganPlayers(
        generator=on_device(CiaganGenerator(shape), "cpu"),
        critic=on_device(PatchCritic(inputs=6), "cpu"),
        identity=on_device(identity_network(people), "cpu"),
    )
    generator = players.generator
    path = out / f"ciagan-identity{'-classifier' if config.classifier else ''}.pt"
    ends = {"identity": pretrain_identity(players.identity, faces, first, checkpoint=path, **RUN)}
    path = out / f"ciagan-warm{'-face' if shape.face else ''}.pt"
    ends["pairs"] = warm_up(generator, faces, base, checkpoint=path, **RUN)
    save_weights(path.with_suffix(".safetensors"), generator, config=to_dict(shape), bits=16)
    ends["game"] = train_ciagan(players, faces, config, checkpoint=out / f"{name}.pt", **RUN)
    save_weights(out / f"{name}.safetensors", generator, config=to_dict(shape), bits=16)
    show(generator, faces.sources, out / f"{name}.png")
    rows = {part: rounded(history[-1]) for part, history in ends.items() if history}
    return {"changes": VARIANTS[name], **rows}


def rounded(row: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 4) for key, value in row.items()}


if __name__ == "__main__":
    main()

"""Trains CIAGAN's generator on drawn people and measures it on validation people.

    python -m recipes.train_ciagan                        # data/weights/ciagan.safetensors and .json
    python -m recipes.train_ciagan --identity contrastive --out DIR    # no Proxy-NCA, as in the public code

The record says for each measure who was asked: MTCNN, D-start and dlib's network have seen neither the
training people nor the generator. A training can be stopped; the same command resumes it.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers.ciagan import CiaganAnonymizer
from anonlib.anonymizers.conditions import Conditions, condition
from anonlib.attack import recognizers
from anonlib.attack.verification import face_features
from anonlib.config import CiaganConfig, CiaganTraining, profile, to_dict
from anonlib.detection import MtcnnDetector
from anonlib.detection.mesh import MeshLandmarks
from anonlib.metrics.identification import identify
from anonlib.networks.ciagan import SIZE, CiaganGenerator, identity_network
from anonlib.networks.critic import PatchCritic
from anonlib.training.checkpoints import save_weights
from anonlib.training.ciagan import CiaganPlayers, pretrain_identity, train_ciagan
from anonlib.training.start import on_device, starting_classifier
from anonlib.types import FaceImages
from anonlib.world.faces import SyntheticPeople, synthetic_faces
from recipes.pretrain import SEED, WEIGHTS, recorded, write_record

FIRST = 700_000_000
"""First training person. No other network has seen these people."""
IMAGES = 40
"""Pictures of each training person; the paper has at least 30."""
TEST_PEOPLE, TEST_IMAGES = 100, 6
SHOWN = 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--identity", choices=("proxy-nca", "contrastive"), default="proxy-nca")
    parser.add_argument("--steps", type=int, default=CiaganTraining().adversarial_steps)
    parser.add_argument("--people", type=int, default=CiaganConfig().people)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    arguments = parser.parse_args()
    config = replace(CiaganTraining(), adversarial_steps=arguments.steps)
    if arguments.identity == "contrastive":
        config = replace(config, pretrain_steps=0)
    for folder in (arguments.out, arguments.checkpoints):
        folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    players = CiaganPlayers(
        generator=on_device(CiaganGenerator(CiaganConfig(people=arguments.people)), "cpu"),
        critic=on_device(PatchCritic(inputs=6), "cpu"),
        identity=on_device(identity_network(arguments.people), "cpu"),
    )
    command = f"python -m recipes.train_ciagan --identity {arguments.identity} --steps {arguments.steps}"
    run = partial(train_and_measure, players, config, arguments.checkpoints, arguments.out)
    record = recorded(f"{command} --people {arguments.people}", steps=arguments.steps, train=run)
    write_record(arguments.out / "ciagan.json", record | {"settings": to_dict(config)})


def train_and_measure(
    players: CiaganPlayers, config: CiaganTraining, checkpoints: Path, out: Path
) -> dict[str, Any]:
    """Trains and saves the generator; returns its measurement."""
    start, people = time.time(), players.generator.config.people
    gallery = synthetic_faces(range(FIRST, FIRST + people), images=IMAGES, size=SIZE, seed=SEED)
    faces, labels = condition(gallery, MeshLandmarks())
    kind = f"ciagan-{'pnca' if config.pretrain_steps else 'contrastive'}"
    options = {"seed": SEED, "report": partial(print, flush=True)}
    if config.pretrain_steps:
        path = checkpoints / f"{kind}-identity.pt"
        pretrain_identity(players.identity, faces, labels, config, checkpoint=path, **options)
    train_ciagan(players, faces, labels, config, checkpoint=checkpoints / f"{kind}.pt", **options)
    shape = to_dict(players.generator.config)
    save_weights(out / "ciagan.safetensors", players.generator, config=shape, half=True)
    show(players.generator.eval(), faces, checkpoints / f"{kind}.png")
    minutes = round((time.time() - start) / 60, 1)
    return {"training_minutes": minutes, "faces": len(labels), **measure(players.generator, gallery)}


@torch.inference_mode()
def measure(generator: CiaganGenerator, gallery: FaceImages) -> dict[str, Any]:
    """Detection, identification of the original, and how often the wanted person is the nearest."""
    numbers = SyntheticPeople().people("validation")[:TEST_PEOPLE]
    clear = synthetic_faces(numbers, images=TEST_IMAGES, size=SIZE, seed=SEED)
    method = CiaganAnonymizer(generator, seed=SEED)
    wanted = torch.arange(len(clear)) % generator.config.people
    drawn, found = method.redraw(list(clear.images.float() / 255), wanted.tolist())
    hidden = replace(clear, images=(torch.stack(drawn) * 255).round().to(torch.uint8))
    row: dict[str, Any] = {
        "mesh_found": float(np.mean(found)),
        "chance": {"recall": 1 / TEST_PEOPLE, "wanted": 1 / generator.config.people},
        "mtcnn": {"clear": detected(clear.images), "ciagan": detected(hidden.images)},
    }
    d_start = starting_classifier(profile("laptop"), clear, seed=SEED, synthetic=True, checkpoint=None)
    for name, features in {
        "D-start": partial(face_features, d_start),
        "dlib": recognizers.create("dlib"),
    }.items():
        known, modified = features(clear), features(hidden)
        labels = clear.labels.numpy()
        row[name] = {
            "recall_clear": asdict(identify(known, known, labels)),
            "recall_ciagan": asdict(identify(known, modified, labels)),
            "wanted_is_nearest": nearest(features(gallery), gallery.labels, modified, wanted),
        }
    return row


def nearest(known: np.ndarray, labels: Tensor, modified: np.ndarray, wanted: Tensor) -> float:
    """The share of faces whose nearest training person, by mean feature, is the wanted one."""
    people = int(labels.max()) + 1
    means = torch.zeros(people, known.shape[1]).index_add_(0, labels, torch.from_numpy(known))
    found = (torch.from_numpy(modified) @ F.normalize(means, dim=1).T).argmax(1)
    return float((found == wanted).float().mean())


def detected(images: Tensor) -> float:
    """The share of pictures in which MTCNN finds a face; each is put into the middle of a grey one."""
    framed = F.pad(images.float() / 255, [SIZE // 2] * 4, value=0.5)
    detector = MtcnnDetector()
    return float(np.mean([len(faces.boxes) > 0 for part in framed.split(64) for faces in detector(part)]))


@torch.inference_mode()
def show(generator: CiaganGenerator, faces: Conditions, path: Path) -> None:
    """A picture: each row a source, its drawing and hole, then the same wanted people for all."""
    from PIL import Image

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

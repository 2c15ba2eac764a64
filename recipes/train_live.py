"""Trains live de-identification on drawn people: two face networks, then the network that redraws faces.

    python -m recipes.train_live          # data/weights/live.safetensors and live.json

`recipes.measure_live` measures it. A training can be stopped; the same command resumes it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from anonlib.attack.verification import face_features, verify_features
from anonlib.config import LIVE_STRENGTHS, LiveConfig, LiveTraining, profile, to_dict
from anonlib.metrics.verification import verification_pairs
from anonlib.networks.critic import PatchCritic
from anonlib.networks.live import LiveNetwork, face_network
from anonlib.networks.sphereface import SphereFace
from anonlib.training import train_classifier
from anonlib.training.checkpoints import save_weights
from anonlib.training.live import LiveBatch, LivePlayers, redraw, seen, train_live
from anonlib.training.live_data import aligned_crops
from anonlib.training.start import on_device
from anonlib.types import FaceImages
from anonlib.world.faces import SyntheticPeople, synthetic_faces
from recipes.miniatures import RUN, kept, options, run, save_sheet
from recipes.pretrain import SEED

FIRST = 800_000_000
"""First training person. No other network has seen these people."""
PEOPLE, IMAGES, SIZE = 400, 24, 64
JUDGES: tuple[dict[str, Any], ...] = ({}, {"width": 16, "features": 128, "size": 64})
"""The face networks: the first describes the targets and ships, the second is in the loss alone."""
JUDGE_STEPS = 1000
SHOWN = 8


def main() -> None:
    known = LiveTraining()
    chosen = options(__doc__, steps=known.train_steps, repel_weight=known.repel_weight)
    config = replace(known, train_steps=chosen.steps, repel_weight=chosen.repel_weight)
    torch.manual_seed(SEED)
    players = LivePlayers(
        network=on_device(LiveNetwork(LiveConfig()), "cpu"),
        critic=on_device(PatchCritic(), "cpu"),
        judges=[on_device(face_network(PEOPLE, **shape), "cpu") for shape in JUDGES],
    )
    both = partial(train, players, config, chosen.checkpoints, chosen.out)
    run("live", chosen, config, steps=config.train_steps, train=both)


def train(players: LivePlayers, config: LiveTraining, checkpoints: Path, out: Path) -> dict[str, Any]:
    """Trains and saves the network; returns how well the face networks verify, and the last losses."""
    faces = training_faces(checkpoints / "live-faces.pt")
    found: dict[str, Any] = {"faces": len(faces)}
    for number, judge in enumerate(players.judges):
        found[f"judge {number}"] = train_judge(judge, faces, checkpoints / f"live-judge{number}.pt")
        print(found, flush=True)
    crops, path = aligned_crops(faces), checkpoints / "live.png"

    def report(row: Any) -> None:
        print(json.dumps(row), flush=True)
        if row["step"] % 200 == 0:
            show(players, crops, path)

    checkpoint = checkpoints / "live.pt"
    history = train_live(players, crops, config, checkpoint=checkpoint, **RUN | {"report": report})
    show(players, crops, path)
    save(players, out / "live.safetensors")
    return found | {"end": history[-1]}


def train_judge(judge: SphereFace, faces: FaceImages, checkpoint: Path) -> float:
    """Trains a face network as D is trained; returns its verification accuracy on validation people."""
    settings = replace(profile("laptop").training, classifier_steps=JUDGE_STEPS)
    seed = SEED + judge.config.width
    train_classifier(judge, faces, settings, seed=seed, checkpoint=checkpoint, progress=False)
    unseen = synthetic_faces(SyntheticPeople().people("validation")[:100], images=6, size=SIZE, seed=SEED)
    pairs = verification_pairs(unseen.labels, pairs=2000, seed=SEED)
    features: np.ndarray = face_features(judge, unseen)
    return round(verify_features(features, features, pairs).accuracy, 4)


def training_faces(path: Path) -> FaceImages:
    """The training pictures."""

    def draw() -> list[Tensor]:
        faces = synthetic_faces(range(FIRST, FIRST + PEOPLE), images=IMAGES, size=SIZE, seed=SEED)
        return [faces.images, faces.labels, faces.landmarks]

    images, labels, landmarks = kept(path, draw)
    return FaceImages(images=images, labels=labels, landmarks=landmarks)


def save(players: LivePlayers, path: Path) -> None:
    """The network and the face network that describes targets, in one file."""
    face = players.judges[0]
    face.identities = nn.Parameter(torch.zeros(1, face.config.features))
    both = nn.ModuleDict({"network": players.network, "face": face})
    config = {"network": to_dict(players.network.config), "face": to_dict(face.config)}
    save_weights(path, both, config=config, bits=8)


@torch.inference_mode()
def show(players: LivePlayers, crops: Tensor, path: Path) -> None:
    """A picture: each column a face, then for each strength the drawing, the mask and the blend."""
    players.network.eval()
    faces = crops[torch.linspace(0, len(crops) - 1, SHOWN).long()].float() / 255
    targets, rows = seen(players.judges[0], faces, jitter=0.0)[-1], [faces]
    for strength in LIVE_STRENGTHS:
        strengths = torch.full((SHOWN,), strength)
        batch = LiveBatch(faces=faces, inputs=faces, targets=targets, strengths=strengths)
        drawn, blend, mask = redraw(players.network, batch)
        rows += [drawn, mask.expand(-1, 3, -1, -1), blend] if strength in (0, 1) else [blend]
    save_sheet(rows, path)
    players.network.train()


if __name__ == "__main__":
    main()

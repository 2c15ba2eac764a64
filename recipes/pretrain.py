"""Trains the weights that ship for the profiles `smoke` and `laptop`, on synthetic people.

    python -m recipes.pretrain D-start M-start A-start M-state-trained

D-start         D, trained to recognise the training people
M-start         the paper's M, trained to return the face it is given (Eq. 3 alone)
A-start         A, trained to detect actions in clear frames
M-state-trained M-state after Algorithm 1, lines 1-9, with the settings of profile `laptop`, from D-start,
                A-start and the M-state-start of `recipes.pretrain_pairs`. Its D is D-state-trained.

Each is measured on validation people, whom no test shows. The record is `data/weights/NAME.json`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.optim import Adam

from anonlib.anonymizers import create
from anonlib.attack.verification import anonymize_faces, face_features, verify_features
from anonlib.config import Profile, TrainingConfig, profile, to_dict
from anonlib.experiment.actions import detect_actions, ground_truth
from anonlib.experiment.datasets import clips
from anonlib.experiment.people import FOLDS
from anonlib.experiment.validation import validation_score
from anonlib.files import commit, hardware
from anonlib.losses import photorealistic_loss
from anonlib.metrics.average_precision import average_precision
from anonlib.metrics.verification import verification_pairs
from anonlib.networks import ActionDetector, Modifier, SphereFace
from anonlib.training import Players, train_adversarially, train_classifier, train_detector
from anonlib.training.batches import face_batch
from anonlib.training.checkpoints import save_weights
from anonlib.training.loop import TrainingState, training_steps
from anonlib.training.processes import gradient_step
from anonlib.training.start import on_device, starting_classifier, starting_detector, starting_modifier
from anonlib.types import FaceImages
from anonlib.world.faces import SyntheticPeople, synthetic_faces

WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "weights"
SEED = 1000
"""Far from the seeds that users choose, so that nobody tests on these images or clips."""
STEPS = {"D-start": 1500, "M-start": 1000, "A-start": 2500, "M-state-trained": 150}


def faces(laptop: Profile, split: str, people: int, images: int) -> FaceImages:
    numbers = SyntheticPeople().people(split)[:people]
    return synthetic_faces(numbers, images=images, size=laptop.modifier.size, seed=SEED)


def start_of_d(laptop: Profile, checkpoint: Path) -> tuple[SphereFace, dict[str, Any]]:
    training = replace(laptop.training, classifier_steps=STEPS["D-start"])
    network = on_device(SphereFace(laptop.classifier, people=laptop.data.people), "cpu")
    known = faces(laptop, "train", laptop.data.people, 64)
    train_classifier(network, known, training, seed=SEED, checkpoint=checkpoint)
    unseen = faces(laptop, "validation", 200, 10)
    pairs = verification_pairs(unseen.labels, pairs=6000, folds=FOLDS, seed=SEED)
    features = face_features(network, unseen)
    return network, asdict(verify_features(features, features, pairs))


def start_of_m(laptop: Profile, checkpoint: Path) -> tuple[Modifier, dict[str, Any]]:
    network = on_device(Modifier(laptop.modifier.of_picture()), "cpu")
    known = faces(laptop, "train", laptop.data.people, 16)
    training = replace(laptop.training, faces=16)
    train_identity(network, known, training, steps=STEPS["M-start"], seed=SEED, checkpoint=checkpoint)
    unseen = faces(laptop, "validation", 50, 2).images.float() / 255
    with torch.inference_mode():
        difference = (network.eval()(unseen) - unseen).abs().mean()
    return network, {"l1": float(difference)}


def train_identity(
    modifier: Modifier,
    faces: FaceImages,
    config: TrainingConfig,
    *,
    steps: int,
    seed: int,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> list[dict[str, float]]:
    """Trains M by Eq. (3) alone, so that Algorithm 1 starts from an M that draws faces.

    Differs from the paper: the paper does not say how M is initialised.
    """
    optimizer = Adam(modifier.parameters(), lr=config.pretrain_lr, betas=config.betas)
    state = TrainingState(modules={"modifier": modifier.train()}, optimizers={"optimizer": optimizer})
    for step, losses in training_steps(
        state,
        name="modifier M, start",
        steps=steps,
        seed=seed,
        lr_drop=config.lr_drop,
        checkpoint=checkpoint,
        progress=progress,
    ):
        batch = face_batch(faces, config.faces, seed=seed, step=step)
        loss = photorealistic_loss(modifier(batch.images), batch.images)
        gradient_step(loss, optimizer)
        losses["L_l1"] = loss.detach()
    return state.history


def start_of_a(laptop: Profile, checkpoint: Path) -> tuple[ActionDetector, dict[str, Any]]:
    people = SyntheticPeople()
    network = on_device(ActionDetector(laptop.detector), "cpu")
    train_detector(
        network,
        clips(laptop, people, split="train", seed=SEED),
        laptop.training,
        steps=STEPS["A-start"],
        seed=SEED,
        checkpoint=checkpoint,
    )
    unseen = clips(laptop, people, split="validation", seed=SEED)
    found = average_precision(detect_actions(network, unseen), ground_truth(unseen))
    return network, {"map": found.mean, "per_class": [float(x) for x in found.per_class]}


def trained_m(laptop: Profile, checkpoint: Path) -> tuple[Modifier, dict[str, Any]]:
    known = faces(laptop, "train", laptop.data.people, laptop.data.images)
    frames = clips(laptop, SyntheticPeople(), split="train", seed=SEED)
    players = Players(
        starting_modifier(laptop, seed=SEED),
        starting_classifier(laptop, known, seed=SEED, synthetic=True, checkpoint=None),
        starting_detector(laptop, frames, seed=SEED, checkpoint=None),
    )
    settings = replace(laptop.training, adversarial_steps=STEPS["M-state-trained"])
    validate = validation_score(players, known, faces(laptop, "validation", 100, 6), settings, seed=SEED)
    train_adversarially(players, known, frames, settings, seed=SEED, validate=validate, checkpoint=checkpoint)
    save_weights(
        WEIGHTS / "D-state-trained.safetensors",
        players.classifier,
        config=to_dict(laptop.classifier),
        bits=16,
    )
    return players.modifier, examine(laptop, players)


def examine(laptop: Profile, players: Players) -> dict[str, Any]:
    """Verification of validation people, clear, modified and across, and the change that M makes."""
    unseen = faces(laptop, "validation", 200, 10)
    hidden = anonymize_faces(unseen, create("modifier", players.modifier, seed=SEED))
    pairs = verification_pairs(unseen.labels, pairs=6000, folds=FOLDS, seed=SEED)
    clear = face_features(players.classifier, unseen)
    modified = face_features(players.classifier, hidden)
    return {
        "original": asdict(verify_features(clear, clear, pairs)),
        "modified": asdict(verify_features(modified, modified, pairs)),
        "modified_original": asdict(verify_features(modified, clear, pairs)),
        "l1": float((hidden.images.float() - unseen.images.float()).abs().mean() / 255),
    }


TRAIN = {"D-start": start_of_d, "M-start": start_of_m, "A-start": start_of_a, "M-state-trained": trained_m}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", choices=list(STEPS))
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    arguments = parser.parse_args()
    laptop = profile("laptop")
    for name in arguments.names:
        record = recorded(
            f"python -m recipes.pretrain {name}",
            steps=STEPS[name],
            train=partial(train_and_save, name, laptop, arguments.checkpoints),
        )
        write_record(WEIGHTS / f"{name}.json", record)


def train_and_save(name: str, laptop: Profile, checkpoints: Path) -> dict[str, Any]:
    """Trains the network of that name, writes its weights and returns its measurement."""
    network, validation = TRAIN[name](laptop, checkpoints / f"pretrain-{name}.pt")
    save_weights(WEIGHTS / f"{name}.safetensors", network, config=to_dict(network.config), bits=16)
    return validation


def recorded(command: str, *, steps: int, train: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Runs a training, which returns its measurement on validation people, and returns its record.

    The commit is that of the start: the code that runs is the one that was loaded then.
    """
    torch.manual_seed(SEED)
    start, begun = time.time(), commit()
    validation = train()
    return {
        "command": command,
        "commit": begun,
        "hardware": hardware(),
        "date": time.strftime("%Y-%m-%d"),
        "seed": SEED,
        "steps": steps,
        "minutes": round((time.time() - start) / 60, 1),
        "validation": validation,
    }


def write_record(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()

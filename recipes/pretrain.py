"""Trains the weights that ship, into data/weights: D, M and A on synthetic people.

    python recipes/pretrain.py classifier modifier detector anonymizer

What the laptop profile starts from: D learns to tell the training people apart, M to return the
face it is given (Eq. 3 alone), A to detect actions in clear frames. From these three the anonymizer
is made: M and D after a game (Algorithm 1, lines 1-9) longer and gentler than a laptop's. Each is
checked on validation people, whom no test ever shows, and the record stands in
`data/weights/NAME.json`.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from anonlib.anonymizers import create
from anonlib.attack.verification import anonymize_faces, face_features, verify
from anonlib.config import Profile, profile, to_dict
from anonlib.experiment.actions import detect_actions, ground_truth
from anonlib.experiment.datasets import FOLDS, clips
from anonlib.experiment.reproduce import judge_on
from anonlib.files import commit, hardware
from anonlib.metrics.average_precision import average_precision
from anonlib.metrics.verification import verification_pairs
from anonlib.networks import ActionDetector, Modifier, SphereFace
from anonlib.training import Players, train_adversarially, train_classifier, train_detector, train_identity
from anonlib.training.checkpoints import save_weights
from anonlib.training.start import on_device, starting_classifier, starting_detector, starting_modifier
from anonlib.types import FaceImages
from anonlib.world.faces import SyntheticPeople, synthetic_faces

WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "weights"
SEED = 1000
"""Far from the seeds that users choose, so that nobody tests on these images or clips."""
STEPS = {"classifier": 1500, "modifier": 1000, "detector": 2500, "anonymizer": 1600}


def faces(laptop: Profile, split: str, people: int, images: int) -> FaceImages:
    numbers = SyntheticPeople().people(split)[:people]
    return synthetic_faces(numbers, images=images, size=laptop.modifier.size, seed=SEED)


def classifier(laptop: Profile, checkpoint: Path) -> tuple[SphereFace, dict[str, Any]]:
    training = replace(laptop.training, classifier_steps=STEPS["classifier"])
    network = on_device(SphereFace(laptop.classifier, people=laptop.data.people), "cpu")
    known = faces(laptop, "train", laptop.data.people, 64)
    train_classifier(network, known, training, seed=SEED, checkpoint=checkpoint)
    unseen = faces(laptop, "validation", 200, 10)
    pairs = verification_pairs(unseen.labels, pairs=6000, folds=FOLDS, seed=SEED)
    features = face_features(network, unseen)
    return network, asdict(verify(features, features, pairs))


def modifier(laptop: Profile, checkpoint: Path) -> tuple[Modifier, dict[str, Any]]:
    network = on_device(Modifier(laptop.modifier), "cpu")
    known = faces(laptop, "train", laptop.data.people, 16)
    training = replace(laptop.training, faces=16)
    train_identity(network, known, training, steps=STEPS["modifier"], seed=SEED, checkpoint=checkpoint)
    unseen = faces(laptop, "validation", 50, 2).images.float() / 255
    with torch.inference_mode():
        difference = (network.eval()(unseen) - unseen).abs().mean()
    return network, {"l1": float(difference)}


def detector(laptop: Profile, checkpoint: Path) -> tuple[ActionDetector, dict[str, Any]]:
    people = SyntheticPeople()
    network = on_device(ActionDetector(laptop.detector), "cpu")
    train_detector(
        network,
        clips(laptop, people, split="train", seed=SEED),
        laptop.training,
        steps=STEPS["detector"],
        seed=SEED,
        checkpoint=checkpoint,
    )
    unseen = clips(laptop, people, split="validation", seed=SEED)
    found = average_precision(detect_actions(network, unseen), ground_truth(unseen))
    return network, {"map": found.mean, "per_class": [float(x) for x in found.per_class]}


def anonymizer(laptop: Profile, checkpoint: Path) -> tuple[Modifier, dict[str, Any]]:
    """Half of the iterations without a judge, who would keep an early state that hides by blurring;
    then the other half with one.
    """
    gentle = replace(
        laptop.training,
        modifier_lr=5e-4,
        classifier_lr=5e-4,
        l1_weight=15.0,
        adversarial_ceiling=20.0,
        adversarial_steps=STEPS["anonymizer"] // 2,
    )
    known = faces(laptop, "train", laptop.data.people, 32)
    frames = clips(laptop, SyntheticPeople(), split="train", seed=SEED)
    players = Players(
        starting_modifier(laptop, seed=SEED),
        starting_classifier(laptop, known, seed=SEED, synthetic=True, checkpoint=None),
        starting_detector(laptop, frames, seed=SEED, checkpoint=None),
    )
    judge = judge_on(faces(laptop, "validation", 100, 6), players)
    for half, looking in enumerate((None, judge)):
        train_adversarially(
            players,
            known,
            frames,
            gentle,
            seed=SEED + half,
            judge=looking,
            checkpoint=checkpoint.with_stem(f"{checkpoint.stem}-{half}"),
        )
    save_weights(
        WEIGHTS / "anonymizer-classifier.safetensors", players.classifier, config=to_dict(laptop.classifier)
    )
    return players.modifier, examine(laptop, players)


def examine(laptop: Profile, players: Players) -> dict[str, Any]:
    """D on clear, on modified and across, over validation people, and how much M changes."""
    unseen = faces(laptop, "validation", 200, 10)
    hidden = anonymize_faces(unseen, create("modifier", players.modifier))
    pairs = verification_pairs(unseen.labels, pairs=6000, folds=FOLDS, seed=SEED)
    clear = face_features(players.classifier, unseen)
    modified = face_features(players.classifier, hidden)
    return {
        "original": asdict(verify(clear, clear, pairs)),
        "modified": asdict(verify(modified, modified, pairs)),
        "modified_original": asdict(verify(modified, clear, pairs)),
        "l1": float((hidden.images.float() - unseen.images.float()).abs().mean() / 255),
    }


TRAIN = {"classifier": classifier, "modifier": modifier, "detector": detector, "anonymizer": anonymizer}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=list(STEPS))
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    arguments = parser.parse_args()
    laptop = profile("laptop")
    for name in arguments.parts:
        torch.manual_seed(SEED)
        start = time.time()
        network, validation = TRAIN[name](laptop, arguments.checkpoints / f"pretrain-{name}.pt")
        save_weights(WEIGHTS / f"{name}.safetensors", network, config=to_dict(network.config))
        record = {
            "command": f"python recipes/pretrain.py {name}",
            "commit": commit(),
            "hardware": hardware(),
            "date": time.strftime("%Y-%m-%d"),
            "seed": SEED,
            "steps": STEPS[name],
            "minutes": round((time.time() - start) / 60, 1),
            "validation": validation,
        }
        (WEIGHTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
        print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()

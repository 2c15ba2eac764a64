"""Measures why M-state is built as it is, on drawn people of the validation split.

    python -m recipes.measure_m_state code region state noise eq3 --out results/laptop/m_state.json

code   does the drawn person follow the code: is the wanted one the nearest of 20, by D
region what is left around a perfect redraw: a retrained D, for narrow and wide regions
state  how much of each number of the state differs between people, not between their pictures
noise  what the state gives away: a retrained D, for more noise, up to a state that says nothing
eq3    Algorithm 1 from M-state-start with Eq. (3) against the original and against M's first drawing

Each measurement is added to the file under its name.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers import create
from anonlib.attack.landmarks import found_landmarks
from anonlib.attack.retrained import retrain
from anonlib.attack.subjects import with_landmarks
from anonlib.attack.verification import (
    anonymize_faces,
    compare_clear_and_modified,
    face_features,
    verify_scores,
)
from anonlib.config import ModifierConfig, Profile, TrainingConfig, profile
from anonlib.experiment.datasets import clips
from anonlib.experiment.people import FOLDS
from anonlib.files import provenance
from anonlib.metrics.verification import Pairs as VerificationPairs, verification_pairs
from anonlib.networks import Modifier, SphereFace, StateModifier
from anonlib.networks.face_reader import STATE
from anonlib.networks.state_modifier import CODE, LARGEST, NOISE, redrawn_region, state_bits
from anonlib.training import Players, train_adversarially
from anonlib.training.pretraining import as_floats
from anonlib.training.start import starting_classifier, starting_detector, starting_modifier
from anonlib.types import FaceImages
from anonlib.world.codes import PersonCodes
from anonlib.world.faces import SyntheticPeople, synthetic_faces
from anonlib.world.pairs import RedrawnPairs, join, portrait_pairs

SEED = 7000
PEOPLE, IMAGES = 120, 8
"""Validation people and pictures of each."""
GALLERY, POSES = 20, 6
REGIONS = (0.8, 0.9, 1.0, 1.1, 1.2)
"""Sizes of the region, in those of M-state's ellipse."""
NOISES = {str(NOISE): 1.0, str(2 * NOISE): 2.0, "no state": None}
"""Standard deviations of the noise, in those of the usual one."""
GAMES = {
    "before": None,
    "original, lambda 10": ("original", 10.0),
    "original, lambda 100": ("original", 100.0),
    "start, lambda 100": ("start", 100.0),
}


def validation_people(laptop: Profile) -> tuple[FaceImages, VerificationPairs]:
    numbers = SyntheticPeople().people("validation")[1000 : 1000 + PEOPLE]
    faces = synthetic_faces(numbers, images=IMAGES, size=laptop.modifier.size, seed=SEED)
    return faces, verification_pairs(faces.labels, pairs=4000, folds=FOLDS, seed=SEED)


def training_people(laptop: Profile) -> FaceImages:
    numbers = SyntheticPeople().people("train")[: laptop.data.people]
    return synthetic_faces(numbers, images=IMAGES, size=laptop.modifier.size, seed=SEED)


def first_classifier(laptop: Profile, known: FaceImages) -> SphereFace:
    return starting_classifier(laptop, known, seed=SEED, synthetic=True, checkpoint=None, progress=False)


def accuracies(
    classifier: SphereFace, clear: FaceImages, modified: FaceImages, pairs: VerificationPairs
) -> dict[str, float]:
    scores = compare_clear_and_modified(classifier, clear, modified, pairs)
    return {name: round(verify_scores(score, pairs).accuracy, 4) for name, score in scores.items()}


def retrained(classifier: SphereFace, faces: FaceImages, config: TrainingConfig) -> SphereFace:
    return retrain(classifier, faces, config, seed=SEED, progress=False)[0]


@torch.inference_mode()
def code(laptop: Profile) -> dict[str, Any]:
    """The share of faces whose nearest person of the gallery, by D, is the one of the code."""
    modifier = starting_modifier(laptop, seed=SEED).eval()
    assert isinstance(modifier, StateModifier)
    classifier = first_classifier(laptop, training_people(laptop))
    codes = PersonCodes().of(range(10**9 - GALLERY, 10**9))
    gallery = redrawn(codes.repeat_interleave(POSES, 0), people=range(GALLERY * POSES), laptop=laptop)
    means = torch.from_numpy(face_features(classifier, gallery)).reshape(GALLERY, POSES, -1).mean(1)
    faces, _ = validation_people(laptop)
    wanted = torch.arange(len(faces)) % GALLERY
    chosen = torch.cat([codes[wanted], torch.randn(len(faces), laptop.modifier.state)], 1)
    parts = zip(as_floats(faces.images).split(64), chosen.split(64), strict=True)
    drawn = torch.cat([(modifier(*part) * 255).round().to(torch.uint8) for part in parts])
    landmarks = found_landmarks(modifier, drawn)
    features = face_features(classifier, replace(faces, images=drawn, landmarks=landmarks))
    nearest = (torch.from_numpy(features) @ F.normalize(means, dim=1).T).argmax(1)
    return {
        "wanted_is_nearest": float((nearest == wanted).float().mean()),
        "gallery": GALLERY,
        "noise": NOISE,
        "bits": round(state_bits([1.0] * modifier.config.state), 1),
    }


def redrawn(codes: Tensor, *, people: range, laptop: Profile) -> FaceImages:
    """Perfect redraws of these people as those of the codes."""
    drawn = portrait_pairs(PersonCodes(), list(people), codes, size=laptop.modifier.size, seed=SEED)
    return FaceImages(
        images=drawn.redrawn, labels=torch.arange(len(drawn)), landmarks=drawn.redrawn_landmarks
    )


def region(laptop: Profile) -> dict[str, Any]:
    """Verification of perfect redraws inside a region; outside it the original stays, with its hair."""
    known, (_, pairs) = training_people(laptop), validation_people(laptop)
    classifier, rows = first_classifier(laptop, known), {}
    people = SyntheticPeople()
    sets = [
        people_redrawn(people.people("train")[: laptop.data.people], laptop),
        people_redrawn(people.people("validation")[1000 : 1000 + PEOPLE], laptop),
    ]
    views: dict[str, Callable[[RedrawnPairs], Tensor]] = {
        f"ellipse x {scale}": partial(ellipse_alone, scale=scale) for scale in REGIONS
    }
    modifier = starting_modifier(laptop, seed=SEED)
    assert isinstance(modifier, StateModifier)
    views["ellipse and the head outside of it"] = partial(redrawn_by, modifier)
    for name, where in views.items():
        train, test = (pasted(pairs, labels, where(pairs)) for pairs, labels in sets)
        clear = FaceImages(images=sets[1][0].images, labels=sets[1][1], landmarks=sets[1][0].landmarks)
        attacker = retrained(classifier, train, laptop.training)
        rows[name] = {"retrained": accuracies(attacker, clear, test, pairs)}
        print(name, rows[name], flush=True)
    return rows


def people_redrawn(people: range, laptop: Profile) -> tuple[RedrawnPairs, Tensor]:
    """`IMAGES` pictures of each person, each redrawn as a random one, and the labels."""
    numbers = [person for person in people for _ in range(IMAGES)]
    labels = torch.arange(len(people)).repeat_interleave(IMAGES)
    codes, parts = PersonCodes(), []
    for image in range(IMAGES):
        generator = torch.Generator().manual_seed(SEED + image)
        others = codes.of((torch.randint(10**8, (len(people),), generator=generator) + 10**8).tolist())
        parts.append(
            portrait_pairs(codes, list(people), others, size=laptop.modifier.size, seed=SEED + image)
        )
    order = torch.arange(len(numbers)).reshape(IMAGES, -1).T.flatten()
    return join(parts).rows(order), labels


def ellipse_alone(pairs: RedrawnPairs, *, scale: float) -> Tensor:
    """`(1, 1, S, S)` opacity of M-state's ellipse, larger or smaller."""
    size = pairs.images.shape[-1]
    where = redrawn_region(size, ModifierConfig().region)
    theta = torch.tensor([[[1 / scale, 0.0, 0.0], [0.0, 1 / scale, 0.0]]])
    grid = F.affine_grid(theta, [1, 1, size, size], align_corners=False)
    return F.grid_sample(where, grid, align_corners=False)


def redrawn_by(modifier: StateModifier, pairs: RedrawnPairs) -> Tensor:
    """`(B, 1, S, S)` opacity of what M-state redraws: the ellipse, and the head outside of it."""
    front = torch.zeros_like(pairs.head).float()
    return modifier.remove_head(as_floats(pairs.images), pairs.head.float() / 255, front)[1]


def pasted(pairs: RedrawnPairs, labels: Tensor, opacity: Tensor) -> FaceImages:
    images = torch.lerp(pairs.images.float(), pairs.redrawn.float(), opacity).round().to(torch.uint8)
    return FaceImages(images=images, labels=labels, landmarks=pairs.redrawn_landmarks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Whom an M is measured on, and the D that is retrained."""

    known: FaceImages
    unseen: FaceImages
    pairs: VerificationPairs
    classifier: SphereFace
    training: TrainingConfig

    @staticmethod
    def of(laptop: Profile) -> Trial:
        """Training people, validation people and the first D."""
        known, (unseen, pairs) = training_people(laptop), validation_people(laptop)
        classifier = first_classifier(laptop, known)
        return Trial(known=known, unseen=unseen, pairs=pairs, classifier=classifier, training=laptop.training)

    def attacked(self, modifier: StateModifier) -> dict[str, float]:
        """Accuracies of a D retrained on this M's pictures, with landmarks found on the pictures."""
        hide, find = create("modifier", modifier, seed=SEED), partial(found_landmarks, modifier)
        lessons = with_landmarks(anonymize_faces(self.known, hide), find)
        attacker = retrained(self.classifier, lessons, self.training)
        modified = anonymize_faces(self.unseen, hide)
        seen = with_landmarks(self.unseen, find), with_landmarks(modified, find)
        return accuracies(attacker, *seen, self.pairs)


class Noisy(StateModifier):
    """M-state with `scale` times the noise on the state; None replaces the state by its mean."""

    scale: float | None = 1.0

    def draw(self, seen: Tensor, state: Tensor, codes: Tensor, *, place: Tensor | None = None) -> Tensor:
        """As `StateModifier.draw`."""
        people, noise = codes.tensor_split([CODE], 1)
        state = state * (self.scale is not None)
        return super().draw(seen, state, torch.cat([people, (self.scale or 0) * noise], 1), place=place)


@torch.inference_mode()
def state(laptop: Profile) -> dict[str, Any]:
    """The share of the variance of each number that lies between people; the reader sees their pictures.

    Pose, expression and light are drawn anew for each picture, so a true state would have shares of 0.
    """
    modifier, (faces, _) = starting_modifier(laptop, seed=SEED).eval(), validation_people(laptop)
    assert isinstance(modifier, StateModifier)
    states = torch.cat([modifier.read(as_floats(part)).state for part in faces.images.split(64)])
    states = states.clamp(-LARGEST, LARGEST).reshape(-1, IMAGES, len(STATE))
    within = states.var(1).mean(0)
    between = states.mean(1).var(0) - within / IMAGES
    shares = between / (between + within)
    return {name: round(float(share), 3) for name, share in zip(STATE, shares, strict=True)}


def noise(laptop: Profile) -> dict[str, Any]:
    """A D retrained on M-state-start, with landmarks found on the pictures, for each of the `NOISES`."""
    trial, rows, shipped = Trial.of(laptop), {}, starting_modifier(laptop, seed=SEED)
    for name, scale in NOISES.items():
        modifier = Noisy(shipped.config)  # type: ignore[arg-type]
        modifier.load_state_dict(shipped.state_dict())
        modifier.scale = scale
        rows[name] = trial.attacked(modifier.eval())
        print(name, rows[name], flush=True)
    return rows


def eq3(laptop: Profile) -> dict[str, Any]:
    """Algorithm 1 with Eq. (3) against the original and against M's first drawing of the same face."""
    trial, rows = Trial.of(laptop), {}
    frames = clips(laptop, SyntheticPeople(), split="train", seed=SEED, progress=False)
    for name, setting in GAMES.items():
        detector = starting_detector(laptop, frames, seed=SEED, checkpoint=None, progress=False)
        players = Players(starting_modifier(laptop, seed=SEED), copy.deepcopy(trial.classifier), detector)
        first = copy.deepcopy(players.modifier)
        if setting is not None:
            config = replace(laptop.training, l1_target=setting[0], l1_weight=setting[1])
            train_adversarially(
                players, trial.known, frames, config, seed=SEED, progress=False, checkpoint=None
            )
        rows[name] = examine(players, first, trial)
        print(name, rows[name], flush=True)
    return rows


def examine(players: Players, first: Modifier, trial: Trial) -> dict[str, Any]:
    modifier = players.modifier.eval()
    assert isinstance(modifier, StateModifier)
    hide, before = create("modifier", modifier, seed=SEED), create("modifier", first.eval(), seed=SEED)
    modified, start = anonymize_faces(trial.unseen, hide), anonymize_faces(trial.unseen, before)
    change = (modified.images.float() - start.images.float()).abs().mean() / 255
    return {
        "retrained": trial.attacked(modifier),
        "co-trained": accuracies(players.classifier, trial.unseen, modified, trial.pairs),
        "l1_to_first_drawing": round(float(change), 4),
    }


MEASURES = {"code": code, "region": region, "state": state, "noise": noise, "eq3": eq3}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", choices=list(MEASURES))
    parser.add_argument("--out", type=Path, default=Path("results/laptop/m_state.json"))
    arguments = parser.parse_args()
    for name in arguments.names:
        torch.manual_seed(SEED)
        started, found = time.time(), MEASURES[name](profile("laptop"))
        content = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
        command = f"python -m recipes.measure_m_state {name}"
        content[name] = {
            **provenance(command=command, seed=SEED, device="cpu"),
            "minutes": round((time.time() - started) / 60, 1),
            "found": found,
        }
        arguments.out.write_text(json.dumps(content, indent=2) + "\n")
        print(json.dumps(content[name], indent=2))


if __name__ == "__main__":
    main()

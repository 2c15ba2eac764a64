"""The stages of one method: M is trained by Algorithm 1, D attacks its faces, A finds actions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from anonlib.anonymizers import Anonymizer
from anonlib.attack.verification import anonymize_faces, face_features, similarities
from anonlib.config import Profile, to_dict
from anonlib.experiment.actions import Detections, anonymize_clips, detect_actions, ground_truth
from anonlib.experiment.datasets import ExperimentData
from anonlib.experiment.predictions import save_predictions
from anonlib.experiment.run import Run
from anonlib.experiment.validation import validation_score
from anonlib.metrics.image_quality import gradient_energy, l1_distance
from anonlib.networks import ActionDetector, SphereFace
from anonlib.training import Players, train_adversarially, train_detector
from anonlib.training.batches import frames_drawn
from anonlib.training.checkpoints import restore, save_weights
from anonlib.training.logs import Log, Pictures
from anonlib.training.precision import layers_in
from anonlib.training.start import starting_modifier

OURS, PAPER, RANDOM = "modifier", "modifier_picture", "modifier_random_label"
"""Names of the learned methods: the profile's M; the paper's M, if the profile's M is M-state; the paper's M
trained with random labels."""
START, NO_CLASSIFIER, NO_DETECTOR = "modifier_start", "modifier_no_classifier", "modifier_no_detector"
"""The profile's M before Algorithm 1, and after it without the gradient of D, or without that of A."""
OBJECTIVES = {RANDOM: "random_label", NO_CLASSIFIER: "detection", NO_DETECTOR: "identification"}
"""Objectives of the methods whose M does not minimise the paper's Eq. (4), see `TrainingConfig.objective`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What all methods share: the data, and D and A before any method trains copies of them."""

    run: Run
    data: ExperimentData
    classifier: SphereFace
    detector: ActionDetector


def reads_state(profile: Profile) -> bool:
    """Whether the profile's M sees only the state of the head; the paper's M sees the picture."""
    return profile.modifier.reads == "state"


def as_trained(profile: Profile, name: str, start: str | None) -> Profile:
    """The profile with the M that a learned method trains.

    Beside an M-state, `PAPER` and `RANDOM` train the paper's M, if there is a `start` for it.
    """
    if name not in (PAPER, RANDOM) or not reads_state(profile) or not start:
        return profile
    return replace(profile, modifier=profile.modifier.of_picture())


def train_modifier(experiment: Experiment, name: str, *, watch: bool = False) -> Players:
    """M, D and A after Algorithm 1, lines 1-9, by gradient ascent or the method's `OBJECTIVES`."""
    run, data = experiment.run, experiment.data
    profile = as_trained(run.profile, name, run.start)
    start = None if reads_state(profile) else run.start
    players = Players(
        starting_modifier(profile, seed=run.seed, start=start, device=run.device),
        copy.deepcopy(experiment.classifier),
        copy.deepcopy(experiment.detector),
    )
    kept = {
        name: players.modifier,
        f"{name}-classifier": players.classifier,
        f"{name}-detector": players.detector,
    }

    def train() -> dict[str, Any]:
        config = replace(profile.training, objective=OBJECTIVES.get(name, "ascent"))
        log = Log(run.out / "watch" / name) if watch else None
        shown = data.train_faces.images[:8]
        history = train_adversarially(
            players,
            data.train_faces,
            data.train_clips,
            config,
            validate=validation_score(
                players, data.train_faces, data.validation_faces, config, seed=run.seed
            ),
            name=f"Algorithm 1, {name}",
            report=log,
            look=Pictures(log.folder, players.modifier, shown, log=log) if log else None,
            **run.training_options(name),
        )
        run.log(name, history)
        for file, network in kept.items():
            save_weights(run.weights(file), network, config=to_dict(network.config))
        return {"history": history}

    run.stage(f"game-{name}", train)
    for file, network in kept.items():
        restore(network, run.weights(file), config=to_dict(network.config))
    players.modifier.eval()
    return players


def measure(
    experiment: Experiment,
    name: str,
    anonymizer: Anonymizer,
    classifier: SphereFace,
    *,
    detector: ActionDetector | None = None,
) -> None:
    """Predictions for one point of Fig. 4 and one row of Table 1, made once and kept as a stage.

    The attacker D (`classifier`) compares anonymized test faces. A copy of A is trained on anonymized clips
    and tested on anonymized test clips; `detector` is the A that was trained with M.
    """
    run, data = experiment.run, experiment.data

    def compute() -> dict[str, Any]:
        features = face_features(classifier, anonymize_faces(data.test_faces, anonymizer))
        cosines = similarities(features, features, data.pairs)
        found, truth = find_actions(experiment, name, anonymizer, detector), ground_truth(data.test_clips)
        save_predictions(run.predictions, name, cosines, found, truth, len(data.actions))
        return {}

    run.stage(f"method-{name}", compute)


def find_actions(
    experiment: Experiment, name: str, anonymizer: Anonymizer, detector: ActionDetector | None = None
) -> Detections:
    """Algorithm 1, lines 10-11: trains a copy of A on anonymized clips and runs it on test clips.

    The A that was trained with M has had T1 updates. For a method without one, the A that all methods start
    from first has as many on these clips, so that each gets T1 + T2.
    """
    run, data, config = experiment.run, experiment.data, experiment.run.profile.training
    phases = {"T1": (config.adversarial_steps, config.adversarial_lr_drop)} if detector is None else {}
    phases["T2"] = (config.detector_steps, config.lr_drop)
    detector = copy.deepcopy(experiment.detector if detector is None else detector)
    steps = max(steps for steps, _ in phases.values())
    drawn = frames_drawn(len(data.train_clips), config.frames, seed=run.seed, steps=steps)
    clips = anonymize_clips(data.train_clips, anonymizer, only=drawn)
    for phase, (steps, drop) in phases.items():
        file = f"detector-{name}-{phase}"
        history = train_detector(
            detector,
            clips,
            replace(config, lr_drop=drop),
            steps=steps,
            name=f"detector A, {name}, {phase}",
            **run.training_options(file),
        )
        run.log(file, history)
    save_weights(run.weights(f"detector-{name}"), detector, config=to_dict(detector.config))
    with layers_in(config.precision, detector):
        return detect_actions(detector, anonymize_clips(data.test_clips, anonymizer))


def compare_quality(experiment: Experiment, modifiers: Mapping[str, Anonymizer]) -> dict[str, Any]:
    """How much the M of each objective changes a face, and how much detail it leaves (section 5.6)."""
    images = experiment.data.test_faces.images
    faces = images[:: max(1, len(images) // 256)].float() / 255
    energy = gradient_energy(faces).numpy()
    quality = {}
    for objective, anonymizer in modifiers.items():
        modified = anonymizer(faces)
        quality[objective] = {
            "l1": float(l1_distance(modified, faces).numpy().mean()),
            "gradient_energy_ratio": float((gradient_energy(modified).numpy() / energy).mean()),
        }
    return quality

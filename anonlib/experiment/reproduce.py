"""Section 5 of the paper in one call: Table 1, Fig. 4 and the ablations of section 5.6.

Every stage leaves its result in the output folder, so the same call resumes.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from anonlib.anonymizers import Anonymizer, create, names
from anonlib.assets import shipped_weights
from anonlib.attack.landmarks import found_landmarks
from anonlib.attack.verification import anonymize_faces, face_features, similarities
from anonlib.config import Profile, to_dict
from anonlib.experiment.actions import Detections, anonymize_clips, detect_actions, ground_truth
from anonlib.experiment.attacks import attack
from anonlib.experiment.datasets import ExperimentData, faces_found, fitted, load_data
from anonlib.experiment.mixtures import mix
from anonlib.experiment.predictions import save_predictions, save_test
from anonlib.experiment.run import Run
from anonlib.experiment.tables import OURS, PAPER, RANDOM, Reproduction, write_tables
from anonlib.experiment.validation import validation_score
from anonlib.metrics.image_quality import gradient_energy, l1_distance
from anonlib.networks import ActionDetector, SphereFace, StateModifier
from anonlib.training import Players, train_adversarially, train_detector
from anonlib.training.batches import frames_drawn
from anonlib.training.checkpoints import restore, save_weights
from anonlib.training.logs import Log, Pictures
from anonlib.training.precision import layers_in
from anonlib.training.start import (
    STARTS,
    modifier_weights,
    starting_classifier,
    starting_detector,
    starting_modifier,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What all methods share: the data, and D and A before any method trains copies of them."""

    run: Run
    data: ExperimentData
    classifier: SphereFace
    detector: ActionDetector


def reproduce(
    *,
    profile: Profile,
    out: Path,
    seed: int = 0,
    faces: Sequence[Path] = (),
    exclude: Collection[str] = (),
    actions: Path | None = None,
    protocol: str = "split1",
    start: str | None = None,
    device: str = "cpu",
    progress: bool = True,
    watch: bool = False,
) -> Reproduction:
    """Trains and measures everything that section 5 of the paper reports.

    Implements Ren et al., section 5: Fig. 4, Table 1 and the ablations of section 5.6.
    Differs from the paper: profiles below `paper` use smaller networks and less data; synthetic people and
    clips replace each of CASIA-WebFace, LFW, JHMDB and DALY that is not given; the action detectors of all
    methods start from the same weights and train for the same number of steps. Where the profile's M does not
    read the picture, the paper's M is trained too, as `PAPER`, if there is a start for it.

    The same call with the same folder resumes. The arguments are described as fields of
    `anonlib.experiment.run.Run`; `watch` writes losses, TensorBoard events and pictures of training faces to
    the folder `watch`.

    Raises:
        ConfigError: the profile has no such start.
        CheckpointError: `out` holds a run of another profile, seed or set of data.
        FaceDatasetError: a folder of faces does not have the expected layout.
        ActionDatasetError: the folder of clips does not have the expected layout.
        ResultsError: a result could not be written.
    """
    if actions is not None:
        profile = fitted(profile, actions)
    start = start or usual_start(profile)
    modifier_weights(as_trained(profile, RANDOM, start), start)  # refuses a start that the profile lacks
    run = Run(
        out,
        profile,
        seed=seed,
        faces=faces,
        exclude=exclude,
        actions=actions,
        protocol=protocol,
        start=start,
        device=device,
        progress=progress,
    )
    experiment = prepare(run)
    learned = (OURS, PAPER, RANDOM) if reads_state(profile) and start else (OURS, RANDOM)
    trained = {name: train_modifier(experiment, name, watch=watch) for name in learned}
    hide = {name: create(OURS, players.modifier, seed=seed) for name, players in trained.items()}

    for name in names():
        if name != OURS:
            measure(experiment, name, create(name), experiment.classifier)
    run.stage("mixtures", partial(mix, experiment))
    for name, players in trained.items():
        measure(experiment, name, hide[name], players.classifier, detector=players.detector)
    ours = trained[OURS].modifier
    find_landmarks = partial(found_landmarks, ours) if isinstance(ours, StateModifier) else None
    for name in learned[:-1]:  # the paper's M by the original's landmarks alone, to save time
        make = partial(attack, experiment, name, hide[name], trained[name].classifier)
        run.stage(f"attacks-{name}", partial(make, find_landmarks=find_landmarks if name == OURS else None))
    compared = {"ascent": hide[learned[-2]], "random_label": hide[RANDOM]}
    run.stage("quality", lambda: compare_quality(experiment, compared))
    tables = write_tables(out)
    run.finish()
    return tables


def reads_state(profile: Profile) -> bool:
    """Whether the profile's M sees only the state of the head; the paper's M sees the picture."""
    return profile.modifier.reads == "state"


def usual_start(profile: Profile) -> str | None:
    """How the paper's M starts beside M-state: `redraw`, if such weights ship for this size."""
    if not reads_state(profile):
        return None
    return "redraw" if shipped_weights(STARTS["redraw"], profile.modifier.of_picture()) else None


def as_trained(profile: Profile, name: str, start: str | None) -> Profile:
    """The profile with the M that a learned method trains.

    Beside an M-state, the others train the paper's M, if there is a `start` for it.
    """
    if name == OURS or not reads_state(profile) or not start:
        return profile
    return replace(profile, modifier=profile.modifier.of_picture())


def prepare(run: Run) -> Experiment:
    """Loads the data, and trains D and A on clear faces and frames where no weights ship."""
    data = load_data(
        run.profile,
        seed=run.seed,
        faces=run.faces,
        exclude=run.exclude,
        actions=run.actions,
        protocol=run.protocol,
        progress=run.progress,
    )
    clips = data.test_clips
    save_test(run.predictions, data.pairs, ground_truth(clips), clips.clips, len(data.actions))
    run.stage("world", lambda: count_data(data))
    options = {"device": run.device, **run.training_options("classifier")}
    classifier = starting_classifier(run.profile, data.train_faces, synthetic=not run.faces, **options)
    options = {"device": run.device, **run.training_options("detector")}
    detector = starting_detector(run.profile, data.train_clips, **options)
    return Experiment(run=run, data=data, classifier=classifier, detector=detector)


def count_data(data: ExperimentData) -> dict[str, Any]:
    """How much data there is, and how often a face is found in the frames of each action."""
    return {
        "actions": list(data.actions),
        "people": int(data.train_faces.labels.max()) + 1,
        "faces": len(data.train_faces),
        "test_faces": len(data.test_faces),
        "pairs": len(data.pairs),
        "train_frames": len(data.train_clips),
        "test_frames": len(data.test_clips),
        "train_clips": len(data.train_clips.clips.unique()),
        "test_clips": len(data.test_clips.clips.unique()),
        "faces_found": faces_found(data.test_clips, data.actions),
    }


def train_modifier(experiment: Experiment, name: str, *, watch: bool = False) -> Players:
    """M, D and A after Algorithm 1, lines 1-9: by gradient ascent, or for `RANDOM` by random labels."""
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
        config = replace(profile.training, objective="random_label" if name == RANDOM else "ascent")
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

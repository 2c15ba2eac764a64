"""Section 5 of the paper in one call: Table 1, Fig. 4 and the ablations of section 5.6.

Every stage leaves its result in the output folder, so the same call resumes.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anonlib.anonymizers import Anonymizer, create, names
from anonlib.attack.verification import (
    anonymize_faces,
    compare_clear_and_modified,
    face_features,
    similarities,
)
from anonlib.config import Profile, to_dict
from anonlib.experiment.actions import Detections, anonymize_clips, detect_actions, ground_truth
from anonlib.experiment.datasets import ExperimentData, faces_found, fitted, load_data
from anonlib.experiment.predictions import save_arrays, save_predictions, save_test
from anonlib.experiment.run import Run
from anonlib.experiment.tables import OURS, RANDOM, Reproduction, write_tables
from anonlib.experiment.validation import validation_score
from anonlib.metrics.image_quality import gradient_energy, l1_distance
from anonlib.networks import ActionDetector, FaceModifier, SphereFace
from anonlib.training import Players, train_adversarially, train_classifier, train_detector
from anonlib.training.batches import frames_drawn
from anonlib.training.checkpoints import restore, save_weights
from anonlib.training.logs import Log, Pictures
from anonlib.training.precision import layers_in
from anonlib.training.start import starting_classifier, starting_detector, starting_modifier


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
    device: str = "cpu",
    progress: bool = True,
    watch: bool = False,
) -> Reproduction:
    """Trains and measures everything that section 5 of the paper reports.

    Implements Ren et al., section 5: Fig. 4, Table 1 and the ablations of section 5.6.
    Differs from the paper: profiles below `paper` use smaller networks and less data; synthetic people and
    clips replace each of CASIA-WebFace, LFW, JHMDB and DALY that is not given; the action detectors of all
    methods start from the same weights and train for the same number of steps.

    The same call with the same folder resumes. The arguments are described as fields of
    `anonlib.experiment.run.Run`; `watch` writes losses, TensorBoard events and pictures of training faces to
    the folder `watch`.

    Raises:
        CheckpointError: `out` holds a run of another profile, seed or set of data.
        FaceDatasetError: a folder of faces does not have the expected layout.
        ActionDatasetError: the folder of clips does not have the expected layout.
        ResultsError: a result could not be written.
    """
    if actions is not None:
        profile = fitted(profile, actions)
    run = Run(
        out,
        profile,
        seed=seed,
        faces=faces,
        exclude=exclude,
        actions=actions,
        protocol=protocol,
        device=device,
        progress=progress,
    )
    experiment = prepare(run)
    modifier, classifier = train_modifier(experiment, OURS, watch=watch)
    random_modifier, random_classifier = train_modifier(experiment, RANDOM, watch=watch)
    ours, random_label = create(OURS, modifier), create(OURS, random_modifier)

    for name in names():
        if name != OURS:
            measure(experiment, name, create(name), experiment.classifier)
    measure(experiment, OURS, ours, classifier)
    measure(experiment, RANDOM, random_label, random_classifier)
    run.stage("attacks", lambda: attack(experiment, classifier, ours))
    run.stage("quality", lambda: compare_quality(experiment, ours, random_label))
    tables = write_tables(out)
    run.finish()
    return tables


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


def train_modifier(
    experiment: Experiment, name: str, *, watch: bool = False
) -> tuple[FaceModifier, SphereFace]:
    """M and D after Algorithm 1, lines 1-9: by gradient ascent, or for `RANDOM` by random labels."""
    run, data, profile = experiment.run, experiment.data, experiment.run.profile
    players = Players(
        starting_modifier(profile, seed=run.seed, device=run.device),
        copy.deepcopy(experiment.classifier),
        copy.deepcopy(experiment.detector),
    )
    kept = {
        name: (players.modifier, to_dict(profile.modifier)),
        f"{name}-classifier": (players.classifier, to_dict(profile.classifier)),
    }

    def train() -> dict[str, Any]:
        objective = "random_label" if name == RANDOM else "ascent"
        log = Log(run.out / "watch" / name) if watch else None
        shown = data.train_faces.images[:8]
        history = train_adversarially(
            players,
            data.train_faces,
            data.train_clips,
            replace(profile.training, objective=objective),
            validate=validation_score(data.validation_faces, players),
            name=f"Algorithm 1, {objective}",
            report=log,
            look=Pictures(log.folder, players.modifier, shown, log=log) if log else None,
            **run.training_options(name),
        )
        run.log(name, history)
        for file, (network, config) in kept.items():
            save_weights(run.weights(file), network, config=config)
        return {"history": history}

    run.stage(f"game-{name}", train)
    for file, (network, config) in kept.items():
        restore(network, run.weights(file), config=config)
    return players.modifier.eval(), players.classifier


def measure(experiment: Experiment, name: str, anonymizer: Anonymizer, classifier: SphereFace) -> None:
    """Predictions for one point of Fig. 4 and one row of Table 1, made once and kept as a stage.

    The attacker D (`classifier`) compares anonymized test faces. A copy of A is trained on anonymized clips
    and tested on anonymized test clips.
    """
    run, data = experiment.run, experiment.data

    def compute() -> dict[str, Any]:
        features = face_features(classifier, anonymize_faces(data.test_faces, anonymizer))
        cosines = similarities(features, features, data.pairs)
        found, truth = find_actions(experiment, name, anonymizer), ground_truth(data.test_clips)
        save_predictions(run.predictions, name, cosines, found, truth, len(data.actions))
        return {}

    run.stage(f"method-{name}", compute)


def find_actions(experiment: Experiment, name: str, anonymizer: Anonymizer) -> Detections:
    """Algorithm 1, lines 10-11: trains a copy of A on anonymized clips and runs it on test clips."""
    run, data, config = experiment.run, experiment.data, experiment.run.profile.training
    detector, steps, file = copy.deepcopy(experiment.detector), config.detector_steps, f"detector-{name}"
    drawn = frames_drawn(len(data.train_clips), config.frames, seed=run.seed, steps=steps)
    history = train_detector(
        detector,
        anonymize_clips(data.train_clips, anonymizer, only=drawn),
        config,
        steps=steps,
        name=f"detector A, {name}",
        **run.training_options(file),
    )
    run.log(file, history)
    save_weights(run.weights(file), detector, config=to_dict(detector.config))
    with layers_in(config.precision, detector):
        return detect_actions(detector, anonymize_clips(data.test_clips, anonymizer))


def attack(experiment: Experiment, classifier: SphereFace, ours: Anonymizer) -> dict[str, Any]:
    """Compares modified faces by D, by D against clear faces, and by a D retrained on them.

    Implements Ren et al., section 5.6, Does the face classifier remain accurate?
    Differs from the paper: the retrained D is ours. Its A-Softmax margin is annealed from the start, because
    with the full margin the loss stays at the level of guessing.
    """
    data, run = experiment.data, experiment.run
    modified = anonymize_faces(data.test_faces, ours)
    retrained = copy.deepcopy(experiment.classifier)
    history = train_classifier(
        retrained,
        anonymize_faces(data.train_faces, ours),
        run.profile.training,
        **run.training_options("classifier-retrained"),
    )
    run.log("classifier-retrained", history)
    after = compare_clear_and_modified(classifier, data.test_faces, modified, data.pairs)
    before = compare_clear_and_modified(experiment.classifier, data.test_faces, modified, data.pairs)
    features = face_features(retrained, modified)
    cosines = {
        "original": after["original"],
        "modified": after["modified"],
        "modified_retrained": similarities(features, features, data.pairs),
        "modified_original": after["modified_original"],
        "original_start": before["original"],
        "modified_start": before["modified"],
    }
    save_arrays(run.predictions / "attacks.npz", cosines)
    return {}


def compare_quality(experiment: Experiment, ours: Anonymizer, random_label: Anonymizer) -> dict[str, Any]:
    """How much each objective changes a face, and how much detail it leaves (section 5.6)."""
    images = experiment.data.test_faces.images
    faces = images[:: max(1, len(images) // 256)].float() / 255
    energy = gradient_energy(faces).numpy()
    quality = {}
    for objective, anonymizer in (("ascent", ours), ("random_label", random_label)):
        modified = anonymizer(faces)
        quality[objective] = {
            "l1": float(l1_distance(modified, faces).numpy().mean()),
            "gradient_energy_ratio": float((gradient_energy(modified).numpy() / energy).mean()),
        }
    return quality

"""The whole experiment: the paper's Table 1, Fig. 4 and ablations from one call.

Read it beside section 5 of the paper. Every stage leaves its result in the output folder, so the
same call goes on where it was stopped.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from anonlib.anonymizers import Anonymizer, create, names
from anonlib.attack.verification import (
    anonymize_faces,
    compare_clear_and_modified,
    face_features,
    recognisability,
    similarities,
)
from anonlib.config import Profile, to_dict
from anonlib.experiment.actions import Detections, anonymize_clips, detect_actions, ground_truth
from anonlib.experiment.datasets import World, faces_found, fitted, make_world
from anonlib.experiment.predictions import (
    load_predictions,
    load_test,
    save_cosines,
    save_predictions,
    save_test,
    summarize,
)
from anonlib.experiment.run import Run
from anonlib.experiment.tables import OURS, RANDOM, Reproduction, write_tables
from anonlib.files import first_process
from anonlib.metrics.image_quality import gradient_energy, l1_distance
from anonlib.networks import ActionDetector, SphereFace
from anonlib.training import Players, train_adversarially, train_classifier, train_detector
from anonlib.training.batches import frames_drawn
from anonlib.training.checkpoints import restore, save_weights
from anonlib.training.logs import Log, Pictures
from anonlib.training.precision import layers_in
from anonlib.training.processes import wait_for_all
from anonlib.training.start import FeedForward, starting_classifier, starting_detector, starting_modifier
from anonlib.types import FaceImages

CLEAR_ENOUGH = 0.96
"""1 - EER of D on clear validation faces below which a state of the game is not kept."""


@dataclass(slots=True, kw_only=True)
class Experiment:
    """One run: its data, and D and A as every method starts from them."""

    run: Run
    world: World
    classifier: SphereFace
    detector: ActionDetector
    device: str
    progress: bool
    watch: bool = False
    """Whether games leave pictures and TensorBoard's events."""

    @property
    def profile(self) -> Profile:
        """The size of the experiment."""
        return self.run.profile


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
    """Trains and measures everything the paper's section 5 reports.

    Implements Ren et al., section 5: Fig. 4, Table 1 and the ablations of section 5.6.
    Differs from the paper: profiles below `paper` shrink the networks and the data; synthetic
    people stand in for whatever of CASIA-WebFace, LFW, JHMDB and DALY is not given; every method
    has its action detector trained for the same number of steps from one start.

    Args:
        profile: from `anonlib.config.profile`.
        out: folder for results; the same call with the same folder resumes.
        seed: of images, clips, test people and weights.
        faces: roots of real face datasets; none for synthetic people.
        exclude: names of real people to leave out of training.
        actions: root of a dataset of real clips; None for drawn clips.
        protocol: which real clips are the test, see `anonlib.experiment.datasets`.
        device: `cpu` or `cuda`, of this process.
        progress: whether to show progress bars.
        watch: whether to leave losses, TensorBoard's events and pictures of training faces in
            `watch`.

    Raises:
        CheckpointError: `out` holds a run of another profile, seed or set of data.
        FaceDatasetError: a root is not laid out as expected.
        ActionDatasetError: that of the clips is not.
        ResultsError: a result could not be written.
    """
    if actions is not None:
        profile = fitted(profile, actions)
    run = Run(
        out,
        profile,
        seed=seed,
        faces=[root.name for root in faces],
        exclude=exclude,
        actions=f"{actions.name}, {protocol}" if actions else None,
    )
    experiment = prepare(
        run,
        faces,
        exclude=exclude,
        actions=actions,
        protocol=protocol,
        device=device,
        progress=progress and first_process(),
    )
    experiment.watch = watch
    modifier, classifier = play(experiment, OURS)
    random_modifier, random_classifier = play(experiment, RANDOM)

    for name in names():
        if name != OURS:
            measure(experiment, name, create(name), experiment.classifier)
    ours, random_label = create(OURS, modifier), create(OURS, random_modifier)
    measure(experiment, OURS, ours, classifier)
    measure(experiment, RANDOM, random_label, random_classifier)
    run.stage("attacks", lambda: attack(experiment, classifier, ours))
    run.stage("quality", lambda: compare_quality(experiment, ours, random_label))
    tables = write_tables(out)
    run.finish()
    return tables


def prepare(
    run: Run,
    faces: Sequence[Path],
    *,
    exclude: Collection[str] = (),
    actions: Path | None = None,
    protocol: str = "split1",
    device: str = "cpu",
    progress: bool = True,
) -> Experiment:
    """The data, and D and A before any method has touched them."""
    world = make_world(
        run.profile,
        seed=run.seed,
        faces=faces,
        exclude=exclude,
        actions=actions,
        protocol=protocol,
        progress=progress,
    )
    truth = ground_truth(world.test_clips)
    save_test(run.predictions, world.pairs, truth, world.test_clips.clips, len(world.actions))
    run.stage("world", lambda: describe(world))
    classifier = starting_classifier(
        run.profile,
        world.train_faces,
        seed=run.seed,
        synthetic=not faces,
        checkpoint=run.checkpoint("classifier"),
        device=device,
        progress=progress,
    )
    detector = starting_detector(
        run.profile,
        world.train_clips,
        seed=run.seed,
        checkpoint=run.checkpoint("detector"),
        device=device,
        progress=progress,
    )
    return Experiment(
        run=run, world=world, classifier=classifier, detector=detector, device=device, progress=progress
    )


def describe(world: World) -> dict[str, Any]:
    """How much data there is, and how often a face is found in the frames of each action."""
    return {
        "actions": list(world.actions),
        "people": int(world.train_faces.labels.max()) + 1,
        "faces": len(world.train_faces),
        "test_faces": len(world.test_faces),
        "pairs": len(world.pairs),
        "train_frames": len(world.train_clips),
        "test_frames": len(world.test_clips),
        "train_clips": len(world.train_clips.clips.unique()),
        "test_clips": len(world.test_clips.clips.unique()),
        "faces_found": faces_found(world.test_clips, world.actions),
    }


def play(experiment: Experiment, name: str) -> tuple[FeedForward, SphereFace]:
    """Algorithm 1, lines 1-9, by gradient ascent or with random labels; M and D afterwards."""
    run, profile = experiment.run, experiment.profile
    players = Players(
        starting_modifier(profile, seed=run.seed, device=experiment.device),
        copy.deepcopy(experiment.classifier),
        copy.deepcopy(experiment.detector),
    )
    parts = {
        "": (players.modifier, profile.modifier),
        "-classifier": (players.classifier, profile.classifier),
    }

    def train() -> dict[str, Any]:
        objective = "random_label" if name == RANDOM else "ascent"
        log = Log(run.out / "watch" / name) if experiment.watch else None
        faces = experiment.world.train_faces
        look = None if log is None else Pictures(log.folder, players.modifier, faces.images[:8], log=log)
        history = train_adversarially(
            players,
            faces,
            experiment.world.train_clips,
            replace(profile.training, objective=objective),
            seed=run.seed,
            validate=judge_on(experiment.world.validation_faces, players),
            name=f"Algorithm 1, {objective}",
            checkpoint=run.checkpoint(name),
            progress=experiment.progress,
            report=log,
            look=look,
        )
        run.log(name, history)
        for suffix, (network, config) in parts.items():
            save_weights(run.weights(name + suffix), network, config=to_dict(config))
        return {"history": history}

    run.stage(f"game-{name}", train)
    for suffix, (network, config) in parts.items():
        restore(network, run.weights(name + suffix), config=to_dict(config))
    players.modifier.eval()
    return players.modifier, players.classifier


def judge_on(faces: FaceImages, players: Players) -> Callable[[], float] | None:
    """How well validation people are recognised when modified, which a game should make low.

    A state in which D no longer knows clear faces is worth nothing, so what D misses there of
    `CLEAR_ENOUGH` counts ten times. None where fewer than two people are left to validate on.
    """
    if len(faces.labels.unique()) < 2:
        return None

    lowest = math.inf

    def judge() -> float:
        nonlocal lowest
        modified = anonymize_faces(faces, create(OURS, players.modifier))
        score = recognisability(face_features(players.classifier, modified), faces.labels)
        if score < lowest:  # else clear faces, which can only add to it, need no look
            clear = recognisability(face_features(players.classifier, faces), faces.labels)
            score += 10 * max(0.0, CLEAR_ENOUGH - clear)
            lowest = min(lowest, score)
        players.modifier.train()
        players.classifier.train()
        return score

    return judge


def measure(
    experiment: Experiment, name: str, anonymizer: Anonymizer, classifier: SphereFace
) -> dict[str, Any]:
    """One point of Fig. 4 and one row of Table 1: A trained and tested behind an anonymizer."""
    run, world = experiment.run, experiment.world

    def compute() -> dict[str, Any]:
        features = face_features(classifier, anonymize_faces(world.test_faces, anonymizer))
        found = find_actions(experiment, name, anonymizer)
        save_predictions(
            run.predictions,
            name,
            similarities(features, features, world.pairs),
            found,
            ground_truth(world.test_clips),
            len(world.actions),
        )
        wait_for_all()
        test = load_test(run.predictions)
        return summarize(load_predictions(run.predictions, name, test), test)

    return run.stage(f"method-{name}", compute)


def find_actions(experiment: Experiment, name: str, anonymizer: Anonymizer) -> Detections:
    """Algorithm 1, lines 10-11, and what A then finds in the test clips."""
    run, world, config = experiment.run, experiment.world, experiment.profile.training
    detector = copy.deepcopy(experiment.detector)
    drawn = frames_drawn(len(world.train_clips), config.frames, seed=run.seed, steps=config.detector_steps)
    history = train_detector(
        detector,
        anonymize_clips(world.train_clips, anonymizer, only=drawn),
        config,
        steps=config.detector_steps,
        seed=run.seed,
        name=f"detector A, {name}",
        checkpoint=run.checkpoint(f"detector-{name}"),
        progress=experiment.progress,
    )
    run.log(f"detector-{name}", history)
    save_weights(run.weights(f"detector-{name}"), detector, config=to_dict(detector.config))
    with layers_in(config.precision, detector):
        return detect_actions(detector, anonymize_clips(world.test_clips, anonymizer))


def attack(experiment: Experiment, classifier: SphereFace, ours: Anonymizer) -> dict[str, Any]:
    """Who still recognises a modified face: D, a tracker with a clear picture, a retrained D.

    The margin of A-Softmax is annealed in anew for the retrained D: asked for all of it at once, a
    classifier that knows nobody among modified faces stays at the loss of guessing.
    """
    world, profile, run = experiment.world, experiment.profile, experiment.run
    modified = anonymize_faces(world.test_faces, ours)
    retrained = copy.deepcopy(experiment.classifier)
    history = train_classifier(
        retrained,
        anonymize_faces(world.train_faces, ours),
        profile.training,
        seed=run.seed,
        checkpoint=run.checkpoint("classifier-retrained"),
        progress=experiment.progress,
    )
    run.log("classifier-retrained", history)
    pairs = world.pairs
    after = compare_clear_and_modified(classifier, world.test_faces, modified, pairs)
    before = compare_clear_and_modified(experiment.classifier, world.test_faces, modified, pairs)
    features = face_features(retrained, modified)
    scores = {
        "original": after["original"],
        "modified": after["modified"],
        "modified_retrained": similarities(features, features, pairs),
        "modified_original": after["modified_original"],
        "original_start": before["original"],
        "modified_start": before["modified"],
    }
    save_cosines(run.predictions, "attacks", scores)
    return {}


def compare_quality(experiment: Experiment, ours: Anonymizer, random_label: Anonymizer) -> dict[str, Any]:
    """How much each objective changes a face, and how much detail it leaves (section 5.6)."""
    faces = experiment.world.test_faces.images[:: max(1, len(experiment.world.test_faces) // 256)]
    faces = faces.float() / 255
    energy = gradient_energy(faces)
    out = {}
    for name, anonymizer in (("ascent", ours), ("random_label", random_label)):
        modified = anonymizer(faces)
        ratio = np.asarray(gradient_energy(modified)) / np.asarray(energy)
        out[name] = {
            "l1": float(np.asarray(l1_distance(modified, faces)).mean()),
            "gradient_energy_ratio": float(ratio.mean()),
        }
    return out

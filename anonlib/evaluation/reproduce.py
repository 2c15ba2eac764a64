"""The whole experiment: the paper's Table 1, Fig. 4 and ablations from one call.

Read it beside section 5 of the paper. Every stage leaves its result in the output folder, so the
same call goes on where it was stopped.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from anonlib.anonymizers import create, names
from anonlib.config import Profile, to_dict
from anonlib.data.types import FaceImages
from anonlib.evaluation.actions import anonymize_clips, detect_actions, ground_truth
from anonlib.evaluation.identity import (
    Anonymizer,
    anonymize_faces,
    compare_clear_and_modified,
    face_features,
    recognisability,
    verify,
    verify_scores,
)
from anonlib.evaluation.run import Run
from anonlib.evaluation.start import (
    starting_classifier,
    starting_detector,
    starting_modifier,
)
from anonlib.evaluation.tables import ablation_classifier, figure4, table1, write_csv
from anonlib.evaluation.world import World, make_world
from anonlib.metrics.average_precision import average_precision, bootstrap
from anonlib.metrics.image_quality import gradient_energy, l1_distance
from anonlib.networks import ActionDetector, Modifier, SphereFace
from anonlib.training import Players, train_adversarially, train_classifier, train_detector
from anonlib.training.checkpoints import restore, save_weights

OURS, RANDOM = "modifier", "modifier_random_label"
CLEAR_ENOUGH = 0.96
"""1 - EER of D on clear validation faces below which a state of the game is not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """Where the results of an experiment are."""

    out: Path
    table1: Path
    figure4: Path
    ablation_classifier: Path
    ablation_random_label: Path


@dataclass(slots=True, kw_only=True)
class Experiment:
    """One run: its data, and D and A as every method starts from them."""

    run: Run
    world: World
    classifier: SphereFace
    detector: ActionDetector
    device: str
    progress: bool

    @property
    def profile(self) -> Profile:
        """The size of the experiment."""
        return self.run.profile


def reproduce(
    *, profile: Profile, out: Path, seed: int = 0, faces: Sequence[Path] = (),
    exclude: Collection[str] = (), device: str = "cpu", progress: bool = True,
) -> Reproduction:  # fmt: skip
    """Trains and measures everything the paper's section 5 reports.

    Implements Ren et al., section 5: Fig. 4, Table 1 and the ablations of section 5.6.
    Differs from the paper: profiles below `paper` shrink the networks and the data; synthetic
    people stand in for CASIA-WebFace, LFW and DALY; every method has its action detector trained
    for the same number of steps from one start.

    Args:
        profile: from `anonlib.config.profile`.
        out: folder for results; the same call with the same folder resumes.
        seed: of images, clips, test people and weights.
        faces: roots of real face datasets; none for synthetic people.
        exclude: names of real people to leave out of training.
        device: `cpu` or `cuda`.
        progress: whether to show progress bars.

    Raises:
        CheckpointError: `out` holds a run of another profile, seed or set of faces.
        FaceDatasetError: a root is not laid out as expected.
        ResultsError: a result could not be written.
    """
    run = Run(out, profile, seed=seed, faces=[root.name for root in faces], exclude=exclude)
    experiment = prepare(run, faces, exclude=exclude, device=device, progress=progress)
    modifier, classifier = play(experiment, OURS)
    random_modifier, random_classifier = play(experiment, RANDOM)

    results = {name: measure(experiment, name, create(name), experiment.classifier)
               for name in names() if name != OURS}  # fmt: skip
    ours, random_label = create(OURS, modifier), create(OURS, random_modifier)
    results[OURS] = measure(experiment, OURS, ours, classifier)
    random_result = measure(experiment, RANDOM, random_label, random_classifier)
    attacks = run.stage("attacks", lambda: attack(experiment, classifier, ours))
    quality = run.stage("quality", lambda: compare_quality(experiment, ours, random_label))

    paths = Reproduction(
        out=out,
        table1=write_csv(out / "table1.csv", table1(results)),
        figure4=write_csv(out / "figure4.csv", figure4(results)),
        ablation_classifier=write_csv(
            out / "ablation_classifier.csv",
            ablation_classifier({k: v for k, v in attacks.items() if k != "seconds"}),
        ),
        ablation_random_label=write_csv(
            out / "ablation_random_label.csv",
            [
                {"objective": objective, **quality[objective], "action_map": row["map"],
                 "action_map_lo": row["map_lo"], "action_map_hi": row["map_hi"],
                 "verification_error": 1 - row["verification"]["accuracy"]}
                for objective, row in (("ascent", results[OURS]), ("random_label", random_result))
            ],
        ),
    )  # fmt: skip
    run.finish()
    return paths


def prepare(
    run: Run, faces: Sequence[Path], *, exclude: Collection[str] = (), device: str = "cpu",
    progress: bool = True,
) -> Experiment:  # fmt: skip
    """The data, and D and A before any method has touched them."""
    world = make_world(run.profile, seed=run.seed, faces=faces, exclude=exclude, progress=progress)
    classifier = starting_classifier(
        run.profile, world.train_faces, seed=run.seed, synthetic=not faces,
        checkpoint=run.checkpoint("classifier"), device=device, progress=progress,
    )  # fmt: skip
    detector = starting_detector(
        run.profile, world.train_clips, seed=run.seed, checkpoint=run.checkpoint("detector"),
        device=device, progress=progress,
    )  # fmt: skip
    return Experiment(run=run, world=world, classifier=classifier, detector=detector,
                      device=device, progress=progress)  # fmt: skip


def play(experiment: Experiment, name: str) -> tuple[Modifier, SphereFace]:
    """Algorithm 1, lines 1-9, by gradient ascent or with random labels; M and D afterwards."""
    run, profile = experiment.run, experiment.profile
    players = Players(
        starting_modifier(profile, seed=run.seed, device=experiment.device),
        copy.deepcopy(experiment.classifier),
        copy.deepcopy(experiment.detector),
    )
    parts = {"": (players.modifier, profile.modifier),
             "-classifier": (players.classifier, profile.classifier)}  # fmt: skip

    def train() -> dict[str, Any]:
        objective = "random_label" if name == RANDOM else "ascent"
        history = train_adversarially(
            players, experiment.world.train_faces, experiment.world.train_clips,
            replace(profile.training, objective=objective), seed=run.seed,
            judge=judge_on(experiment.world.validation_faces, players),
            name=f"Algorithm 1, {objective}", checkpoint=run.checkpoint(name),
            progress=experiment.progress,
        )  # fmt: skip
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

    def judge() -> float:
        modified = anonymize_faces(faces, create(OURS, players.modifier))
        hidden = recognisability(face_features(players.classifier, modified), faces.labels)
        clear = recognisability(face_features(players.classifier, faces), faces.labels)
        players.modifier.train()
        players.classifier.train()
        return hidden + 10 * max(0.0, CLEAR_ENOUGH - clear)

    return judge


def measure(
    experiment: Experiment, name: str, anonymizer: Anonymizer, classifier: SphereFace
) -> dict[str, Any]:
    """One point of Fig. 4 and one row of Table 1: A trained and tested behind an anonymizer."""

    def compute() -> dict[str, Any]:
        faces = anonymize_faces(experiment.world.test_faces, anonymizer)
        features = face_features(classifier, faces)
        verification = verify(features, features, experiment.world.pairs)
        return {"verification": asdict(verification), **action_precision(experiment, name,
                anonymizer)}  # fmt: skip

    return experiment.run.stage(f"method-{name}", compute)


def action_precision(experiment: Experiment, name: str, anonymizer: Anonymizer) -> dict[str, Any]:
    """Algorithm 1, lines 10-11, then AP of each class and mAP with its 95% interval."""
    run, world = experiment.run, experiment.world
    detector = copy.deepcopy(experiment.detector)
    train_detector(
        detector, anonymize_clips(world.train_clips, anonymizer), experiment.profile.training,
        steps=experiment.profile.training.detector_steps, seed=run.seed,
        name=f"detector A, {name}", checkpoint=run.checkpoint(f"detector-{name}"),
        progress=experiment.progress,
    )  # fmt: skip
    save_weights(run.weights(f"detector-{name}"), detector, config=to_dict(detector.config))
    found = detect_actions(detector, anonymize_clips(world.test_clips, anonymizer))
    truth, classes = ground_truth(world.test_clips), detector.config.classes
    precision = average_precision(found, truth, classes=classes)
    lo, hi = bootstrap(found, truth, clips=world.test_clips.clips.numpy(), classes=classes)
    per_class = [float(x) for x in precision.per_class]
    return {"per_class": per_class, "map": precision.mean, "map_lo": lo, "map_hi": hi}


def attack(experiment: Experiment, classifier: SphereFace, ours: Anonymizer) -> dict[str, Any]:
    """Who still recognises a modified face: D, a tracker with a clear picture, a retrained D.

    The margin of A-Softmax is annealed in anew for the retrained D: asked for all of it at once, a
    classifier that knows nobody among modified faces stays at the loss of guessing.
    """
    world, profile, run = experiment.world, experiment.profile, experiment.run
    modified = anonymize_faces(world.test_faces, ours)
    retrained = copy.deepcopy(experiment.classifier)
    train_classifier(
        retrained, anonymize_faces(world.train_faces, ours), profile.training, seed=run.seed,
        checkpoint=run.checkpoint("classifier-retrained"), progress=experiment.progress,
    )  # fmt: skip
    scores = compare_clear_and_modified(classifier, world.test_faces, modified, world.pairs)
    retrained_features = face_features(retrained, modified)
    start_features = face_features(experiment.classifier, world.test_faces)
    results = {
        "original": verify_scores(scores["original"], world.pairs),
        "modified": verify_scores(scores["modified"], world.pairs),
        "modified_retrained": verify(retrained_features, retrained_features, world.pairs),
        "modified_original": verify_scores(scores["modified_original"], world.pairs),
        "original_start": verify(start_features, start_features, world.pairs),
    }
    return {name: asdict(result) for name, result in results.items()}


def compare_quality(
    experiment: Experiment, ours: Anonymizer, random_label: Anonymizer
) -> dict[str, Any]:
    """How much each objective changes a face, and how much detail it leaves (section 5.6)."""
    faces = experiment.world.test_faces.images[:: max(1, len(experiment.world.test_faces) // 256)]
    faces = faces.float() / 255
    energy = gradient_energy(faces)
    out = {}
    for name, anonymizer in (("ascent", ours), ("random_label", random_label)):
        modified = anonymizer(faces)
        ratio = np.asarray(gradient_energy(modified)) / np.asarray(energy)
        out[name] = {"l1": float(np.asarray(l1_distance(modified, faces)).mean()),
                     "gradient_energy_ratio": float(ratio.mean())}  # fmt: skip
    return out

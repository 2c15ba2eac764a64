"""Section 5 of the paper in one call: Table 1, Fig. 4 and the ablations of section 5.6.

Every stage leaves its result in the output folder, so the same call resumes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from anonlib.anonymizers import create, names
from anonlib.assets import shipped_weights
from anonlib.attack.landmarks import found_landmarks
from anonlib.config import Profile
from anonlib.experiment.actions import ground_truth
from anonlib.experiment.attack_stages import attack
from anonlib.experiment.datasets import ExperimentData, faces_found, fitted, load_data
from anonlib.experiment.full import measure_fully
from anonlib.experiment.methods import (
    OURS,
    PAPER,
    RANDOM,
    Experiment,
    as_trained,
    compare_quality,
    measure,
    reads_state,
    train_modifier,
)
from anonlib.experiment.mixtures import mix
from anonlib.experiment.predictions import save_test
from anonlib.experiment.run import Run
from anonlib.experiment.tables import Reproduction, write_tables
from anonlib.networks import StateModifier
from anonlib.training.start import STARTS, modifier_weights, starting_classifier, starting_detector


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
    full: bool = False,
) -> Reproduction:
    """Trains and measures everything that section 5 of the paper reports.

    Implements Ren et al., section 5: Fig. 4, Table 1 and the ablations of section 5.6.
    Differs from the paper: profiles below `paper` use smaller networks and less data; synthetic people and
    clips replace each of CASIA-WebFace, LFW, JHMDB and DALY that is not given; the action detectors of all
    methods start from the same weights and train for the same number of steps. Where the profile's M does not
    read the picture, the paper's M is trained too, as `PAPER`, if there is a start for it.

    The same call with the same folder resumes. The arguments are described as fields of
    `anonlib.experiment.run.Run`; `watch` writes losses, TensorBoard events and pictures of training faces to
    the folder `watch`. `full` also does what `anonlib.experiment.full` describes; it may be asked for when
    the run is finished.

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
        full=full,
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
    if full:
        measure_fully(experiment)
    tables = write_tables(out)
    run.finish()
    return tables


def usual_start(profile: Profile) -> str | None:
    """How the paper's M starts beside M-state: `redraw`, if such weights ship for this size."""
    if not reads_state(profile):
        return None
    return "redraw" if shipped_weights(STARTS["redraw"], profile.modifier.of_picture()) else None


def prepare(run: Run) -> Experiment:
    """Loads the data, and trains D and A on clear faces and frames where no weights ship."""
    data = load_data(
        run.profile,
        seed=run.seed,
        faces=run.faces,
        exclude=run.exclude,
        actions=run.actions,
        protocol=run.protocol,
        device=run.device,
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

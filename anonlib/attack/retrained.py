"""The attacker who retrains: D learns to recognise modified faces of other people than the test's."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch

from anonlib.anonymizers import Anonymizer
from anonlib.attack.framing import crop_before_and_after
from anonlib.attack.recognizers import recognizing_classifier
from anonlib.config import TrainingConfig
from anonlib.data.face_folders import FaceFolder
from anonlib.data.lfw import people_in_folds
from anonlib.detection import Detector
from anonlib.errors import FaceDatasetError
from anonlib.networks import SphereFace
from anonlib.training import train_classifier
from anonlib.types import FaceImages

IMAGES = 10
"""Pictures a person at most, so that the few people with hundreds do not dominate the batches."""


def retrained_classifier(
    root: Path,
    anonymizer: Anonymizer,
    folds: Collection[int],
    *,
    framing: str,
    steps: int,
    seed: int,
    device: str = "cpu",
    detector: Detector | None = None,
    progress: bool = True,
) -> SphereFace:
    """D trained on modified faces of the people in `root` who are in no pair of the folds.

    Training starts from the shipped weights with new identities and anneals the margin of
    A-Softmax again, see `anonlib.experiment.reproduce.attack`.

    Implements Ren et al., section 5.6, Does the face classifier remain accurate?
    Differs from the paper: the paper does not train a new classifier on modified faces.

    Args:
        root: LFW's folder.
        anonymizer: the method under attack.
        folds: the test folds.
        framing: `frame` or `crop`, as in the test.
        steps: updates, of 48 faces each.
        seed: of batches and identities.
        device: where D and MTCNN run.
        detector: finds faces; MTCNN by default.
        progress: whether to show progress bars.

    Raises:
        FaceDatasetError: fewer than two people outside the folds have two pictures.
    """
    faces = modified_people(
        root, anonymizer, folds, framing=framing, device=device, detector=detector, progress=progress
    )
    known = recognizing_classifier()
    torch.manual_seed(seed)
    classifier = SphereFace(known.config, people=int(faces.labels.max()) + 1)
    layers = {k: v for k, v in known.state_dict().items() if k != "identities"}
    classifier.load_state_dict({"identities": classifier.identities, **layers})
    classifier.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    train_classifier(
        classifier, faces, TrainingConfig(faces=24, classifier_steps=steps), seed=seed, progress=progress
    )
    return classifier


def modified_people(
    root: Path,
    anonymizer: Anonymizer,
    folds: Collection[int],
    *,
    framing: str,
    device: str = "cpu",
    detector: Detector | None = None,
    progress: bool = True,
) -> FaceImages:
    """Modified faces of everybody with two or more pictures who is in no pair of the folds."""
    folder, excluded = FaceFolder(root), people_in_folds(root, folds)
    names = [name for name in folder.people_with(2) if name not in excluded]
    if len(names) < 2:
        raise FaceDatasetError(
            f"face root '{root}': nobody is left to retrain D on, all with two pictures are in the "
            "folds; add people or leave --retrain out"
        )
    paths = [(label, path) for label, name in enumerate(names) for path in folder.pictures(name)[:IMAGES]]
    faces = crop_before_and_after(
        [path for _, path in paths],
        anonymizer,
        framing=framing,
        device=device,
        detector=detector,
        progress=progress,
    )
    return faces.modified.faces(faces.original.found, torch.tensor([label for label, _ in paths]))

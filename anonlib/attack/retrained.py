"""The attacker who trains: D learns to recognise modified faces, with no sight of the test."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch

from anonlib.attack.framing import Detector, face_images, see
from anonlib.attack.recognizers import recognizing_classifier
from anonlib.attack.verification import Anonymizer
from anonlib.config import TrainingConfig
from anonlib.data.face_folders import FaceFolder
from anonlib.data.lfw import people_in_folds
from anonlib.errors import FaceDatasetError
from anonlib.networks import SphereFace
from anonlib.training import train_classifier
from anonlib.types import FaceImages

IMAGES = 10
"""Pictures a person at most, so that the few with hundreds do not fill the batches."""


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
    """D trained on modified faces of the root's people who are in no pair of the folds.

    It starts from what it knows of clear faces, with new identities, and the margin of A-Softmax
    is annealed in anew: see `anonlib.experiment.reproduce.attack`.

    Implements Ren et al., section 5.6, Does the face classifier remain accurate?
    Differs from the paper: which does not train a new classifier on modified faces.

    Args:
        root: LFW's folder.
        anonymizer: what the attacker got hold of.
        folds: the test, from which nobody is trained on.
        framing: how the modified faces are met, as in the test.
        steps: updates, of 48 faces each.
        seed: of batches and identities.
        device: where D is trained.
        detector: finds faces; MTCNN by default.
        progress: whether to show progress bars.

    Raises:
        FaceDatasetError: fewer than two people outside the folds have two pictures.
    """
    faces = modified_people(root, anonymizer, folds, framing=framing, detector=detector, progress=progress)
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
    detector: Detector | None = None,
    progress: bool = True,
) -> FaceImages:
    """Modified faces of everybody with two pictures or more who is in no pair of the folds."""
    folder, barred = FaceFolder(root), people_in_folds(root, folds)
    names = [name for name in folder.people_with(2) if name not in barred]
    if len(names) < 2:
        raise FaceDatasetError(
            f"face root '{root}': nobody is left to retrain D on, all with two pictures are in the "
            "folds; add people or leave --retrain out"
        )
    paths = [(label, path) for label, name in enumerate(names) for path in folder.pictures(name)[:IMAGES]]
    seen = see([path for _, path in paths], anonymizer, framing=framing, detector=detector, progress=progress)
    labels = torch.tensor([label for label, _ in paths])
    return face_images(seen.modified, seen.original.found, labels)

"""Face images F: whose faces are trained on, validated on and tested on, real or synthetic people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anonlib.attack.subjects import join
from anonlib.config import Profile
from anonlib.data.face_folders import FaceFolder
from anonlib.data.lfw import LFW, pairs_file, people_in_folds
from anonlib.detection.mtcnn import MtcnnLandmarks
from anonlib.errors import FaceDatasetError
from anonlib.metrics.verification import Pairs, verification_pairs
from anonlib.types import FaceImages
from anonlib.world.faces import SyntheticPeople, synthetic_faces

FOLDS = 10
LFW_TEST_FOLDS = range(6, 11)
"""Folds of LFW that are the test, unless all are; nobody in them is trained on."""


def unreal_faces(profile: Profile, *, seed: int) -> tuple[FaceImages, FaceImages, FaceImages, Pairs]:
    """Faces of synthetic people to train, to validate and to test on, and pairs of the last.

    The training people are always those that the shipped face classifier knows. The seed chooses their
    images, and the test people.
    """
    data, size, people = profile.data, profile.modifier.size, SyntheticPeople()
    start = seed * data.test_people
    known = people.people("train")[: data.people]
    unseen = people.people("test")[start : start + data.test_people]
    between = people.people("validation")[: data.validation_people]
    train = synthetic_faces(known, images=data.images, size=size, seed=seed)
    validation = synthetic_faces(between, images=6, size=size, seed=seed)
    test = synthetic_faces(unseen, images=data.test_images, size=size, seed=seed)
    pairs = verification_pairs(test.labels, pairs=data.pairs, folds=FOLDS, seed=seed)
    return train, validation, test, pairs


def hold_back(faces: FaceImages, *, every: int = 8) -> tuple[FaceImages, FaceImages]:
    """Splits people in two sets, every eighth into the second; labels are renumbered."""

    def part(chosen: Tensor) -> FaceImages:
        _, labels = torch.unique(faces.labels[chosen], return_inverse=True)
        return replace(faces.select(chosen), labels=labels)

    held = faces.labels % every == every - 1
    return part(~held), part(held)


def real_faces(
    profile: Profile,
    roots: Sequence[Path],
    *,
    exclude: Collection[str] = (),
    device: str = "cpu",
    progress: bool = True,
) -> tuple[FaceImages, FaceImages, FaceImages, Pairs]:
    """Faces of real people to train, to validate and to test on, and pairs of the last.

    The test is LFW's folds 6-10, or all ten (`DataConfig.folds`). Everybody else with two pictures or more
    may be trained on; people with the most pictures come first. Where no folder has LFW's pairs.txt, every
    fifth person is the test instead.

    Raises:
        FaceDatasetError: nobody is left to train on, or too few to test on.
    """
    detect = None if device == "cpu" else MtcnnLandmarks(device=device)
    folders = [FaceFolder(root, detect=detect, progress=progress) for root in roots]
    lfw = next((folder for folder in folders if pairs_file(folder.root)), None)
    barred, folds = set(exclude), LFW_TEST_FOLDS if profile.data.folds == "6-10" else range(1, FOLDS + 1)
    if lfw is not None:
        barred |= people_in_folds(lfw.root, folds)
    candidates = [
        (-min(len(folder.pictures(name)), profile.data.images), index, name)
        for index, folder in enumerate(folders)
        for name in folder.people_with(2)
        if name not in barred
    ]
    chosen = sorted(candidates)[: profile.data.people]
    parts = [
        folder.load(names, images=profile.data.images, size=profile.modifier.size, minimum=2)
        for index, folder in enumerate(folders)
        if (names := [name for _, i, name in chosen if i == index])
    ]
    if not parts:
        raise FaceDatasetError("nobody is left to train on: give --faces with more people")
    known = join_people(parts)
    if lfw is None:
        known, test = hold_back(known, every=5)
        pairs = draw_pairs(test, most=profile.data.pairs)
    else:
        real = LFW(lfw.root, detect=detect, progress=progress)
        test, pairs = real.load_pairs(folds, size=profile.modifier.size)
    return (*hold_back(known), test, pairs)


def draw_pairs(faces: FaceImages, *, most: int) -> Pairs:
    """Verification pairs of at least four people, in ten folds or as many as have two people each."""
    images = torch.bincount(faces.labels)
    folds = min(FOLDS, len(images) // 2)
    if folds < 2:
        raise FaceDatasetError(
            f"the test has {len(images)} people and needs 4: give --faces with 20 people of two "
            "pictures or more, or LFW with its pairs.txt"
        )
    people, fewest = len(images) // folds, int(images.min())
    same = people * fewest * (fewest - 1) // 2  # pairs that every fold has
    different = people * (people - 1) // 2 * fewest**2
    each = min(same, different, max(1, most // (2 * folds)))
    return verification_pairs(faces.labels, pairs=2 * folds * each, folds=folds, seed=0)


def join_people(parts: Sequence[FaceImages]) -> FaceImages:
    """Face images of different people as one set; the labels of later parts are shifted."""
    starts = np.cumsum([0] + [int(part.labels.max()) + 1 for part in parts]).tolist()
    shifted = [replace(part, labels=part.labels + k) for part, k in zip(parts, starts, strict=False)]
    return join(*shifted)

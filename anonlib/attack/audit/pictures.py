"""Whom the attackers train on and whom they attack, in folders with one folder for each person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from anonlib.attack.budget import Budget
from anonlib.attack.retrained import Crop
from anonlib.attack.subjects import Part, Subjects, View, some_pairs
from anonlib.data.face_folders import FaceFolder
from anonlib.data.lfw import pairs_file, people_in_folds
from anonlib.errors import FaceDatasetError
from anonlib.types import FaceImages

TEST_FOLDS, VALIDATION_FOLD = range(6, 11), 5
"""Folds of LFW. D never saw the people in the pairs of the test folds."""
FEWEST = 40
"""Smallest number of people with two pictures for an audit."""
PART = 4
"""Fewest people in each part: two folds of two people."""


def split_people(folder: FaceFolder, budget: Budget, *, seed: int) -> dict[str, list[str]]:
    """Names of the people for `train`, `validation` and `test`; all have two pictures or more.

    With LFW's pairs.txt in the root or beside it, the test people are those in the pairs of folds 6 to 10,
    and the validation people those of fold 5. Otherwise 2 of 5 people are tested and 1 of 10 are for
    validation, drawn by the seed. What is above the budget is left out.

    Raises:
        FaceDatasetError: there are too few people with two pictures.
    """
    names = list(folder.people_with(2))
    np.random.default_rng(seed).shuffle(names)
    if pairs_file(folder.root):
        test, validation = (people_in_folds(folder.root, folds) for folds in (TEST_FOLDS, [VALIDATION_FOLD]))
        parts = {
            "train": [name for name in names if name not in test | validation],
            "validation": [name for name in names if name in validation - test],
            "test": [name for name in names if name in test],
        }
    else:
        one, two = len(names) * 4 // 10, len(names) // 2
        parts = {"train": names[two:], "validation": names[one:two], "test": names[:one]}
    if len(names) < FEWEST or min(map(len, parts.values())) < PART:
        sizes = ", ".join(f"{len(part)} for {name}" for name, part in parts.items())
        raise FaceDatasetError(
            f"face root '{folder.root}' has {len(names)} people with two pictures or more ({sizes}), and "
            f"{FEWEST} are needed, {PART} in each part: add people, or pictures of those who have one"
        )
    most = {"train": budget.people, "validation": budget.validation_people, "test": budget.test_people}
    return {name: part[: most[name]] for name, part in parts.items()}


def picture_subjects(
    folder: FaceFolder, crop: Crop, budget: Budget, *, seed: int
) -> tuple[Subjects, float, int]:
    """Everybody before and after, the share of test faces that are found again, and pictures without a face.

    Pictures in whose original no face is found are left out, and so are people with one picture left.

    Raises:
        FaceDatasetError: as in `split_people`, or nearly no face is found.
    """
    views: dict[str, dict[str, Part]] = {"original": {}, "found": {}}
    again, without = 0.0, 0
    for name, people in split_people(folder, budget, seed=seed).items():
        most = budget.images if name == "train" else budget.test_images
        files = [(n, file) for n, person in enumerate(people) for file in folder.pictures(person)[:most]]
        faces = crop([file for _, file in files])
        labels = torch.tensor([label for label, _ in files])
        there = faces.original.found
        without += int((~there).sum())
        chosen = there & (torch.bincount(labels[there], minlength=len(people)) > 1)[labels]
        if len(labels[chosen].unique()) < PART:
            raise FaceDatasetError(
                f"face root '{folder.root}': a face is found in {int(there.sum())} of {len(files)} pictures "
                f"for {name}; use larger pictures in which the faces are visible"
            )
        clear, modified = (one.faces(chosen, labels) for one in (faces.original, faces.modified))
        views["found"][name] = Part(clear=clear, modified=modified)
        views["original"][name] = Part(clear=clear, modified=_by_original(modified, clear))
        again = faces.found_again  # of the last part, test
    found, original = View(**views["found"]), View(**views["original"])
    test_pairs, validation_pairs = (
        some_pairs(part.clear.labels, budget.pairs, seed=seed) for part in (found.test, found.validation)
    )
    subjects = Subjects(found=found, original=original, pairs=test_pairs, validation_pairs=validation_pairs)
    return subjects, again, without


def _by_original(modified: FaceImages, clear: FaceImages) -> FaceImages:
    return replace(modified, landmarks=clear.landmarks)


def same_pictures(originals: FaceFolder, anonymized: FaceFolder) -> Mapping[Path, Path]:
    """From each original to the anonymized picture of it: the same person's folder and file name.

    Raises:
        FaceDatasetError: an original has no anonymized picture, or the other way round.
    """
    found: dict[Path, Path] = {}
    for folder, other in ((originals, anonymized), (anonymized, originals)):
        for person in folder.people:
            files = {file.name: file for file in folder.pictures(person)}
            others = {file.name: file for file in _pictures(other, person)}
            if lost := sorted(set(files) - set(others)):
                raise FaceDatasetError(
                    f"'{other.root}' has no picture '{person}/{lost[0]}' ({len(lost)} of {len(files)} of "
                    f"this person are missing), which is in '{folder.root}': both folders need the same "
                    "people and the same file names"
                )
            if folder is originals:
                found |= {file: others[name] for name, file in files.items()}
    return found


def _pictures(folder: FaceFolder, person: str) -> Sequence[Path]:
    return folder.pictures(person) if person in folder.people else ()

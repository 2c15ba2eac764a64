"""The data of one experiment: face images F, video frames V, and the people and clips of the test."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anonlib import detection
from anonlib.attack.subjects import join
from anonlib.config import Profile
from anonlib.data.daly import ANNOTATIONS, DALY
from anonlib.data.face_folders import FaceFolder
from anonlib.data.images import spread
from anonlib.data.jhmdb import JHMDB, TOUCHES_FACE, sure_clips
from anonlib.data.jhmdb_boxes import jhmdb_boxes
from anonlib.data.lfw import LFW, pairs_file, people_in_folds
from anonlib.detection.mtcnn import MtcnnLandmarks
from anonlib.errors import ConfigError, FaceDatasetError
from anonlib.metrics.verification import Pairs, verification_pairs
from anonlib.types import ACTIONS, ActionFrames, FaceImages, HeadSource
from anonlib.world.actions import FACE_RELATED, render_clips
from anonlib.world.faces import FolderPeople, SyntheticPeople, synthetic_faces

FOLDS = 10
LFW_TEST_FOLDS = range(6, 11)
"""Folds of LFW that are the test, unless all are; nobody in them is trained on."""
PROTOCOLS = ("split1", "boxed")
"""`split1`: JHMDB's official split 1. `boxed`: only clips with true boxes, split by the source video."""
JHMDB_SHORTER_SIDE = 340
"""Largest height in pixels of JHMDB's frames at the input of A (section 4)."""
DALY_CLIPS, JHMDB_CLIPS = (310, 200), (660, 268)
"""Training and test clips of DALY, and of split 1 of JHMDB."""
AT_THE_FACE = frozenset((*FACE_RELATED, *TOUCHES_FACE))
"""Actions, synthetic ones and JHMDB's, that are recognized by what happens at the face."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSet:
    """Clips to train and to test A on."""

    train: ActionFrames
    test: ActionFrames
    actions: tuple[str, ...] = ACTIONS
    """Names of the action classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentData:
    """People and clips for training, and test people and clips that share no person with them."""

    train_faces: FaceImages
    validation_faces: FaceImages
    """Further people, for the validation score that chooses the checkpoint of M and D."""
    test_faces: FaceImages
    pairs: Pairs
    """Verification pairs over `test_faces`."""
    train_clips: ActionFrames
    test_clips: ActionFrames
    actions: tuple[str, ...] = ACTIONS
    """Names of the action classes."""


def load_data(
    profile: Profile,
    *,
    seed: int,
    faces: Sequence[Path] = (),
    exclude: Collection[str] = (),
    actions: Path | None = None,
    protocol: str = "split1",
    device: str = "cpu",
    progress: bool = True,
) -> ExperimentData:
    """Real people and clips where folders of datasets are given, else synthetic ones.

    Synthetic clips show the real people if `faces` are given. The seed chooses synthetic images, clips and
    test people. For the arguments see `anonlib.experiment.run.Run`.

    Raises:
        FaceDatasetError: a folder does not have the expected layout, or holds too few people.
        ActionDatasetError: the folder of clips does not have the expected layout.
    """
    if faces:
        train, validation, test, pairs = real_faces(
            profile, faces, exclude=exclude, device=device, progress=progress
        )
    else:
        train, validation, test, pairs = unreal_faces(profile, seed=seed)
    if actions is not None:
        found = load_actions(actions, profile, protocol=protocol, device=device, progress=progress)
    else:
        heads = FolderPeople({"train": train, "test": test}) if faces else SyntheticPeople()
        found = synthetic_clips(profile, heads, seed=seed, progress=progress)
    return ExperimentData(
        train_faces=train,
        validation_faces=validation,
        test_faces=test,
        pairs=pairs,
        train_clips=found.train,
        test_clips=found.test,
        actions=found.actions,
    )


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


def synthetic_clips(profile: Profile, heads: HeadSource, *, seed: int, progress: bool = True) -> ActionSet:
    """The synthetic clips of both splits, with the heads of these people."""
    train, test = (
        clips(profile, heads, split=split, seed=seed, progress=progress) for split in ("train", "test")
    )
    return ActionSet(train=train, test=test)


def clips(
    profile: Profile, heads: HeadSource, *, split: str, seed: int, progress: bool = True
) -> ActionFrames:
    """The synthetic clips of a split, with the heads of these people."""
    data = profile.data
    return render_clips(
        clips=data.train_clips if split == "train" else data.test_clips,
        frames=data.frames,
        split=split,
        seed=seed,
        size=profile.detector.frame,
        heads=heads,
        progress=progress,
    )


def fitted(profile: Profile, root: Path) -> Profile:
    """The profile with the classes of the dataset at `root`, and for JHMDB its frames' shape.

    Limits that are the numbers of clips of DALY become those of JHMDB, so that none of its clips is left out.
    """
    if is_daly(root):
        return replace(profile, detector=replace(profile.detector, classes=len(ACTIONS)))
    height, data = min(profile.detector.frame[0], JHMDB_SHORTER_SIDE), profile.data
    frame, classes = (height, round(height * 4 / 3)), len(JHMDB(root).actions)
    if (data.train_clips, data.test_clips) == DALY_CLIPS:
        data = replace(data, train_clips=JHMDB_CLIPS[0], test_clips=JHMDB_CLIPS[1])
    detector = replace(profile.detector, frame=frame, classes=classes)
    return replace(profile, data=data, detector=detector)


def is_daly(root: Path) -> bool:
    """Whether the folder holds DALY's annotations; any other folder is taken for JHMDB."""
    return any((root / name).is_file() for name in ANNOTATIONS)


def load_actions(
    root: Path, profile: Profile, *, protocol: str = "split1", device: str = "cpu", progress: bool = True
) -> ActionSet:
    """Clips of JHMDB or DALY, with the faces that the profile's `face_finder` finds in every frame.

    Implements Ren et al., section 5.1: DALY; JHMDB, split 1.
    Differs from the paper: JHMDB's training clips with unsure pseudo boxes are left out; of DALY only
    keyframes are used; not every frame is used, see `DataConfig.frames`.
    `root` has the official layout. The `protocol` is one of the `PROTOCOLS`; DALY has only its own split.

    Raises:
        ActionDatasetError: the dataset is incomplete or damaged.
        ConfigError: the protocol is unknown.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"protocol '{protocol}' is unknown: use one of {', '.join(PROTOCOLS)}")
    load: Callable[..., ActionFrames]
    actions: tuple[str, ...] = ACTIONS
    if is_daly(root):
        daly = DALY(root)
        train_names, test_names = daly.split()
        load = partial(daly.load, size=profile.detector.frame)
    else:
        jhmdb, boxes = JHMDB(root), jhmdb_boxes(root)
        train_names, test_names = jhmdb.split(1) if protocol == "split1" else jhmdb.boxed_split()
        train_names, actions = sure_clips(train_names, boxes), jhmdb.actions
        load = partial(jhmdb.load, boxes=boxes)
    data, detector = profile.data, detection.create(profile.data.face_finder, device=device)
    train, test = (
        load(
            spread(names, most),
            frames=data.frames,
            detect=lambda frames: [(f.boxes, f.landmarks) for f in detector(frames)],
            progress=progress,
        )
        for names, most in ((train_names, data.train_clips), (test_names, data.test_clips))
    )
    return ActionSet(train=train, test=test, actions=actions)


def faces_found(data: ActionFrames, actions: Sequence[str]) -> list[dict[str, object]]:
    """How often a face is found in frames of each action, and whether the action is at the face."""
    frames, rows = list(zip(data.face_boxes, data.labels, strict=True)), []
    for number, action in enumerate(actions):
        found = [len(boxes) > 0 for boxes, labels in frames if number in labels]
        rows.append(
            {
                "action": action,
                "touches_face": action in AT_THE_FACE,
                "frames": len(found),
                "share_with_a_face": float(np.mean(found)) if found else float("nan"),
            }
        )
    return rows

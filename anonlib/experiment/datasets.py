"""The data of one experiment: face images F, video frames V, and the unseen people of the test."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anonlib import detection
from anonlib.config import Profile
from anonlib.data.daly import ANNOTATIONS, DALY
from anonlib.data.face_folders import FaceFolder
from anonlib.data.frames import DetectFaces
from anonlib.data.jhmdb import JHMDB, TOUCHES_FACE, sure_clips
from anonlib.data.jhmdb_boxes import jhmdb_boxes
from anonlib.data.lfw import load_lfw_pairs, pairs_file, people_in_folds
from anonlib.errors import ConfigError, FaceDatasetError
from anonlib.metrics.verification import Pairs, verification_pairs
from anonlib.types import ACTIONS, ActionFrames, FaceImages, HeadSource
from anonlib.world.actions import FACE_RELATED, render_clips
from anonlib.world.faces import SyntheticPeople, synthetic_faces
from anonlib.world.real_heads import FolderPeople

FOLDS = 10
LFW_TEST_FOLDS = range(6, 11)
"""Folds of LFW that are the test; nobody in them is trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Training people and clips, and test people and clips that share no person with them."""

    train_faces: FaceImages
    validation_faces: FaceImages
    """Other people still, by whom a state of the game is chosen."""
    test_faces: FaceImages
    pairs: Pairs
    """Verification pairs over `test_faces`."""
    train_clips: ActionFrames
    test_clips: ActionFrames
    actions: tuple[str, ...] = ACTIONS
    """Names of the action classes."""


def make_world(
    profile: Profile,
    *,
    seed: int,
    faces: Sequence[Path] = (),
    exclude: Collection[str] = (),
    actions: Path | None = None,
    protocol: str = "split1",
    progress: bool = True,
) -> World:
    """Real people and clips where roots of datasets are given, else people who do not exist.

    Args:
        profile: how much data.
        seed: of images, clips and test people.
        faces: roots in LFW's or CASIA-WebFace's layout.
        exclude: names of real people to leave out of training.
        actions: root of a dataset of real clips; None for drawn clips.
        protocol: which real clips are the test, see `anonlib.experiment.datasets`.
        progress: whether to show progress bars.

    Raises:
        FaceDatasetError: a root is not laid out as expected, or holds too few people.
        ActionDatasetError: so is that of the clips.
    """
    if faces:
        known, test, pairs = real_faces(profile, faces, exclude=exclude, progress=progress)
        train, validation = hold_back(known)
        heads: HeadSource = FolderPeople({"train": train, "test": test})
    else:
        train, validation, test, pairs = unreal_faces(profile, seed=seed)
        heads = SyntheticPeople()
    if actions is not None:
        real = load_actions(actions, profile, protocol=protocol, progress=progress)
        return World(
            train_faces=train,
            validation_faces=validation,
            test_faces=test,
            pairs=pairs,
            train_clips=real.train,
            test_clips=real.test,
            actions=real.actions,
        )
    return World(
        train_faces=train,
        validation_faces=validation,
        test_faces=test,
        pairs=pairs,
        train_clips=clips(profile, heads, split="train", seed=seed, progress=progress),
        test_clips=clips(profile, heads, split="test", seed=seed, progress=progress),
    )


def unreal_faces(profile: Profile, *, seed: int) -> tuple[FaceImages, FaceImages, FaceImages, Pairs]:
    """Synthetic people to train, to validate and to test on, and pairs of the last.

    The training people are those that the shipped face classifier knows, whatever the seed; the
    seed chooses their images, and the test people.
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
    """Splits people in two, every eighth into the second set; labels are renumbered."""

    def part(chosen: Tensor) -> FaceImages:
        _, labels = torch.unique(faces.labels[chosen], return_inverse=True)
        return FaceImages(images=faces.images[chosen], labels=labels, landmarks=faces.landmarks[chosen])

    held = faces.labels % every == every - 1
    return part(~held), part(held)


def real_faces(
    profile: Profile, roots: Sequence[Path], *, exclude: Collection[str] = (), progress: bool = True
) -> tuple[FaceImages, FaceImages, Pairs]:
    """Faces of real people to train on, and LFW's folds 6-10 to test on.

    Everybody in the other roots, and in LFW everybody who occurs in no pair of those folds, may be
    trained on if there are two pictures or more; people with the most pictures come first. Where
    no root has LFW's pairs.txt, every fifth person is kept for the test instead.

    Raises:
        FaceDatasetError: nobody is left to train on, or too few to test on.
    """
    folders = [FaceFolder(root, progress=progress) for root in roots]
    lfw = next((folder for folder in folders if pairs_file(folder.root)), None)
    barred = set(exclude)
    if lfw is not None:
        barred |= people_in_folds(lfw.root, LFW_TEST_FOLDS)
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
        raise FaceDatasetError("nobody is left to train on: give roots with more people")
    known = join_people(parts)
    if lfw is None:
        train, test = hold_back(known, every=5)
        return train, test, draw_pairs(test, most=profile.data.pairs)
    test, pairs = load_lfw_pairs(lfw.root, LFW_TEST_FOLDS, size=profile.modifier.size, progress=progress)
    return known, test, pairs


def draw_pairs(faces: FaceImages, *, most: int) -> Pairs:
    """Verification pairs of whoever was held back, in ten folds or as many as have two people.

    Raises:
        FaceDatasetError: there are fewer than four people.
    """
    images = torch.bincount(faces.labels)
    folds = min(FOLDS, len(images) // 2)
    if folds < 2:
        raise FaceDatasetError(
            f"{len(images)} people are held back for the test and 4 are needed: give roots with 20 "
            "people of two pictures or more, or LFW with its pairs.txt"
        )
    people, fewest = len(images) // folds, int(images.min())
    same = people * fewest * (fewest - 1) // 2  # pairs that every fold has
    different = people * (people - 1) // 2 * fewest**2
    each = min(same, different, max(1, most // (2 * folds)))
    return verification_pairs(faces.labels, pairs=2 * folds * each, folds=folds, seed=0)


def join_people(parts: Sequence[FaceImages]) -> FaceImages:
    """Face images of different people as one set; the labels of later parts are moved up."""
    labels, start = [], 0
    for part in parts:
        labels.append(part.labels + start)
        start += int(part.labels.max()) + 1
    return FaceImages(
        images=torch.cat([part.images for part in parts]),
        labels=torch.cat(labels),
        landmarks=torch.cat([part.landmarks for part in parts]),
    )


def clips(
    profile: Profile, heads: HeadSource, *, split: str, seed: int, progress: bool = True
) -> ActionFrames:
    """The action clips of a split, with these people's heads."""
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


PROTOCOLS = ("split1", "boxed")
"""`split1`: JHMDB's official split 1, all boxes it has. `boxed`: clips with true boxes only,
parted by the video they come from."""
JHMDB_SHORTER_SIDE = 340
"""Pixels, at most, of JHMDB's frames before A (section 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSet:
    """Real clips to train and to test A on."""

    train: ActionFrames
    test: ActionFrames
    actions: tuple[str, ...]
    """Names of the classes."""


def fitted(profile: Profile, root: Path) -> Profile:
    """The profile with the classes of the dataset below `root`, and for JHMDB its frames' shape."""
    if is_daly(root):
        return replace(profile, detector=replace(profile.detector, classes=len(ACTIONS)))
    height = min(profile.detector.frame[0], JHMDB_SHORTER_SIDE)
    frame, classes = (height, round(height * 4 / 3)), len(JHMDB(root).actions)
    return replace(profile, detector=replace(profile.detector, frame=frame, classes=classes))


def is_daly(root: Path) -> bool:
    """Whether DALY's annotations lie there; otherwise it is taken for JHMDB."""
    return any((root / name).is_file() for name in ANNOTATIONS)


def load_actions(
    root: Path, profile: Profile, *, protocol: str = "split1", progress: bool = True
) -> ActionSet:
    """JHMDB or DALY, faces found by the default detector in every frame.

    Implements Ren et al., section 5.1: DALY; JHMDB, split 1.
    Differs from the paper: of JHMDB's training clips those with unsure pseudo boxes are left out;
    of DALY only keyframes are used. Not every frame is used, see `DataConfig.frames`.

    Args:
        root: folder of the dataset in its official layout.
        profile: how many clips, and frames of each.
        protocol: one of the `PROTOCOLS`; DALY has only its own split.
        progress: whether to show progress bars.

    Raises:
        ActionDatasetError: the root is partial or damaged.
        ConfigError: there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"protocol '{protocol}' is unknown: use one of {', '.join(PROTOCOLS)}")
    load = _load_daly if is_daly(root) else _load_jhmdb
    return load(root, profile, protocol, progress)


def _load_jhmdb(root: Path, profile: Profile, protocol: str, progress: bool) -> ActionSet:
    dataset, found = JHMDB(root), jhmdb_boxes(root)
    train, test = dataset.split(1) if protocol == "split1" else dataset.boxed_split()
    data = profile.data

    def load(names: Sequence[str], most: int) -> ActionFrames:
        return dataset.load(
            spread(names, most), found, frames=data.frames, detect=face_finder(), progress=progress
        )

    return ActionSet(
        train=load(sure_clips(train, found), data.train_clips),
        test=load(test, data.test_clips),
        actions=dataset.actions,
    )


def _load_daly(root: Path, profile: Profile, protocol: str, progress: bool) -> ActionSet:
    dataset, data = DALY(root), profile.data
    train, test = (
        dataset.load(
            spread(names, most),
            size=profile.detector.frame,
            frames=data.frames,
            detect=face_finder(),
            progress=progress,
        )
        for names, most in zip(dataset.split(), (data.train_clips, data.test_clips), strict=True)
    )
    return ActionSet(train=train, test=test, actions=ACTIONS)


def face_finder() -> DetectFaces:
    """The default detector in the shape that datasets ask for."""
    detector = detection.create("ssh")
    return lambda frames: [(f.boxes, f.landmarks) for f in detector(frames)]


def spread(names: Sequence[str], most: int) -> list[str]:
    """At most so many of the names, evenly spread over the list."""
    if len(names) <= most:
        return list(names)
    return [names[int(i)] for i in np.linspace(0, len(names) - 1, most).round()]


def faces_found(data: ActionFrames, actions: Sequence[str]) -> list[dict[str, object]]:
    """How often a face is found in frames of each action, and whether the action is about it."""
    rows = []
    for number, action in enumerate(actions):
        mine = [
            len(f) > 0
            for f, label in zip(data.face_boxes, data.labels, strict=True)
            if number in label.tolist()
        ]
        rows.append(
            {
                "action": action,
                "touches_face": action in (*TOUCHES_FACE, *FACE_RELATED),
                "frames": len(mine),
                "share_with_a_face": float(np.mean(mine)) if mine else float("nan"),
            }
        )
    return rows

"""The data of one experiment: face images F and video frames V, for training and for the test."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from anonlib import detection
from anonlib.config import Profile
from anonlib.data.daly import ANNOTATIONS, DALY
from anonlib.data.images import spread
from anonlib.data.jhmdb import JHMDB, TOUCHES_FACE, sure_clips
from anonlib.data.jhmdb_boxes import jhmdb_boxes
from anonlib.errors import ConfigError
from anonlib.experiment.people import real_faces, unreal_faces
from anonlib.metrics.verification import Pairs
from anonlib.types import ACTIONS, ActionFrames, FaceImages, HeadSource
from anonlib.world.actions import FACE_RELATED, render_clips
from anonlib.world.faces import FolderPeople, SyntheticPeople

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

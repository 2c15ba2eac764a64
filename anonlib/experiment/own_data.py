"""The people and clips of a chapter: drawn ones, or a reader's own from `$ANONLIB_DATA`.

Everything below does with an empty `OwnData` what the chapters do for readers without data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.assets import own_sets
from anonlib.config import Profile
from anonlib.data.face_folders import FaceFolder
from anonlib.data.jhmdb import TOUCHES_FACE
from anonlib.data.lfw import pairs_file, people_in_folds
from anonlib.errors import FaceDatasetError
from anonlib.experiment.datasets import (
    LFW_TEST_FOLDS,
    ActionSet,
    World,
    fitted,
    hold_back,
    join_people,
    load_actions,
    make_world,
    real_faces,
    unreal_faces,
)
from anonlib.experiment.reproduce import Experiment, prepare
from anonlib.experiment.run import Run
from anonlib.metrics.verification import Pairs
from anonlib.types import ActionFrames, FaceImages
from anonlib.world import ACTIONS, FACE_RELATED, SyntheticPeople, render_clips, synthetic_faces

FACES = ("lfw", "casia-webface")
"""Sets of faces, the one with a protocol first."""
AT_THE_FACE = frozenset((*FACE_RELATED, *TOUCHES_FACE))
"""Actions, drawn ones and JHMDB's, whose evidence lies at the face."""

Person = int | tuple[Path, str]
"""The number of somebody who does not exist, or a folder of faces and a name in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnData:
    """What there is of real faces and clips. It is true if there is anything."""

    faces: tuple[Path, ...] = ()
    """Folders of real faces; without one, people are drawn."""
    actions: Path | None = None
    """Folder of JHMDB, or of DALY; without one, clips are drawn."""

    def __bool__(self) -> bool:
        return bool(self.faces or self.actions)

    def fit(self, profile: Profile) -> Profile:
        """The profile with as many classes as the clips have.

        Raises:
            ActionDatasetError: that folder holds no clips.
        """
        return fitted(profile, self.actions) if self.actions else profile

    def world(self, profile: Profile, *, seed: int) -> World:
        """Faces, pairs and clips, see `anonlib.experiment.datasets.make_world`."""
        return make_world(profile, seed=seed, faces=self.faces, actions=self.actions, progress=False)

    def experiment(self, profile: Profile, *, seed: int) -> Experiment:
        """The world with D and A as every method meets them, in a temporary folder."""
        clips = f"{self.actions.name}, split1" if self.actions else None
        run = Run(Path(mkdtemp()), profile, seed=seed, faces=[f.name for f in self.faces], actions=clips)
        return prepare(run, self.faces, actions=self.actions, progress=False)

    def face_sets(self, profile: Profile, *, seed: int) -> tuple[FaceImages, FaceImages, FaceImages, Pairs]:
        """The world's faces alone: to train, to validate and to test on, and pairs of the last."""
        if not self.faces:
            return unreal_faces(profile, seed=seed)
        known, test, pairs = real_faces(profile, self.faces, progress=False)
        return (*hold_back(known), test, pairs)

    def people(self, split: str, *, images: int) -> Sequence[Person]:
        """Whom `portraits` may show; nobody is both in `train` and in `test`.

        Real people have so many pictures or more. `test` is who occurs in LFW's folds 6 to 10, or
        every fifth where no folder has LFW's pairs.txt.
        """
        if not self.faces:
            return SyntheticPeople().people(split)
        folders = [FaceFolder(root) for root in self.faces]
        lfw = next((root for root in self.faces if pairs_file(root)), None)
        kept = (
            people_in_folds(lfw, LFW_TEST_FOLDS)
            if lfw
            else {name for folder in folders for name in folder.people[::5]}
        )
        return [
            (folder.root, name)
            for folder in folders
            for name in folder.people_with(images)
            if (name in kept) == (split == "test")
        ]

    def portraits(self, people: Sequence[Person], *, images: int, size: int, seed: int) -> FaceImages:
        """So many faces of each of these people; real ones with fewer faces are passed over.

        Raises:
            FaceDatasetError: nobody remains.
        """
        if not self.faces:
            return synthetic_faces(
                [p for p in people if isinstance(p, int)], images=images, size=size, seed=seed
            )
        parts = []
        for root in self.faces:
            names = [p[1] for p in people if not isinstance(p, int) and p[0] == root]
            if names:
                folder = FaceFolder(root, progress=False)
                parts.append(folder.load(names, images=images, size=size, minimum=images))
        if not parts:
            raise FaceDatasetError(
                f"nobody in {', '.join(r.name for r in self.faces)} has {images} pictures: put "
                "people with more of them into ANONLIB_DATA"
            )
        return join_people(parts)

    def clips(self, profile: Profile, *, train: int, test: int, frames: int, seed: int) -> ActionSet:
        """Clips at the size that A sees, at most so many; real ones by `load_actions`."""
        if self.actions is not None:
            data = replace(profile.data, train_clips=train, test_clips=test, frames=frames)
            real = load_actions(self.actions, replace(profile, data=data), progress=False)
            size = profile.detector.frame
            return replace(real, train=resized(real.train, size), test=resized(real.test, size))
        drawn = {
            split: render_clips(
                clips=clips,
                frames=frames,
                split=split,
                seed=seed,
                size=profile.detector.frame,
                heads=SyntheticPeople(),
            )
            for split, clips in (("train", train), ("test", test))
        }
        return ActionSet(**drawn, actions=ACTIONS)


def own_data() -> OwnData:
    """What lies in the folder that `$ANONLIB_DATA` names; JHMDB rather than DALY.

    Raises:
        DatasetError: it names no folder, or one in which there is nothing for anonlib.
    """
    found = own_sets()
    faces = tuple(found[name] for name in FACES if name in found)
    return OwnData(faces=faces, actions=found.get("jhmdb", found.get("daly")))


def resized(data: ActionFrames, size: tuple[int, int]) -> ActionFrames:
    """The clips at another height and width, boxes and landmarks with them."""
    height, width = data.frames.shape[2:]
    by = torch.tensor([size[1] / width, size[0] / height])

    def moved(boxes: list[Tensor]) -> list[Tensor]:
        return [b * by.repeat(2) for b in boxes]

    frames = F.interpolate(data.frames, size, mode="bilinear", antialias=True)
    return replace(
        data,
        frames=frames,
        boxes=moved(data.boxes),
        face_boxes=moved(data.face_boxes),
        landmarks=[points * by for points in data.landmarks],
    )

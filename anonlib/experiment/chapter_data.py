"""The people and clips of a chapter: synthetic ones, or a reader's own from `$ANONLIB_DATA`."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp

import torch

from anonlib.assets import own_sets
from anonlib.config import Profile
from anonlib.data.face_folders import FaceFolder
from anonlib.data.lfw import pairs_file, people_in_folds
from anonlib.errors import FaceDatasetError
from anonlib.experiment.datasets import (
    ActionSet,
    ExperimentData,
    fitted,
    load_actions,
    load_data,
    synthetic_clips,
)
from anonlib.experiment.methods import Experiment
from anonlib.experiment.people import LFW_TEST_FOLDS, join_people, real_faces, unreal_faces
from anonlib.experiment.reproduce import prepare
from anonlib.experiment.run import Run
from anonlib.geometry import resize
from anonlib.metrics.verification import Pairs
from anonlib.types import ActionFrames, FaceImages
from anonlib.world import SyntheticPeople, synthetic_faces

FACES = ("lfw", "casia-webface")
"""Sets of faces; LFW first, because it has a verification protocol."""

Person = int | tuple[Path, str]
"""The number of a synthetic person, or a folder of faces and a name in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnData:
    """The reader's real faces and clips; synthetic ones replace what is missing. False if all is missing."""

    faces: tuple[Path, ...] = ()
    """Folders of real faces."""
    actions: Path | None = None
    """Folder of JHMDB or DALY."""

    def __bool__(self) -> bool:
        return bool(self.faces or self.actions)

    def fit(self, profile: Profile) -> Profile:
        """The profile with as many classes as the clips have, see `anonlib.experiment.datasets.fitted`."""
        return fitted(profile, self.actions) if self.actions else profile

    def load(self, profile: Profile, *, seed: int) -> ExperimentData:
        """Faces, pairs and clips, see `anonlib.experiment.datasets.load_data`."""
        return load_data(profile, seed=seed, faces=self.faces, actions=self.actions, progress=False)

    def experiment(self, profile: Profile, *, seed: int) -> Experiment:
        """The data with the D and A that all methods start from.

        Its temporary folder is removed when nobody uses the experiment's run any longer.
        """
        folder = Path(mkdtemp(prefix="anonlib-"))
        run = Run(folder, profile, seed=seed, faces=self.faces, actions=self.actions, progress=False)
        weakref.finalize(run, shutil.rmtree, folder, ignore_errors=True)
        return prepare(run)

    def face_sets(self, profile: Profile, *, seed: int) -> tuple[FaceImages, FaceImages, FaceImages, Pairs]:
        """Only the faces of `load`: to train, to validate and to test on, and pairs of the last."""
        if not self.faces:
            return unreal_faces(profile, seed=seed)
        return real_faces(profile, self.faces, progress=False)

    def people(self, split: str, *, images: int) -> Sequence[Person]:
        """The people of `train` or `test`, for `portraits`; nobody is in both.

        Real people have at least `images` pictures. The test people are those of LFW's folds 6 to 10, or
        every fifth person where no folder has LFW's pairs.txt.
        """
        if not self.faces:
            return SyntheticPeople().people(split)
        folders = [FaceFolder(root) for root in self.faces]
        lfw = next((root for root in self.faces if pairs_file(root)), None)
        if lfw:
            tested = set(people_in_folds(lfw, LFW_TEST_FOLDS))
        else:
            tested = {name for folder in folders for name in folder.people[::5]}
        return [
            (folder.root, name)
            for folder in folders
            for name in folder.people_with(images)
            if (name in tested) == (split == "test")
        ]

    def portraits(self, people: Sequence[Person], *, images: int, size: int, seed: int) -> FaceImages:
        """`images` faces of each of these people; real people with fewer faces are left out.

        Raises:
            FaceDatasetError: nobody remains.
        """
        if not self.faces:
            drawn = [person for person in people if isinstance(person, int)]
            return synthetic_faces(drawn, images=images, size=size, seed=seed)
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
        """At most `train` and `test` clips, at the size of A's frames."""
        data = replace(profile.data, train_clips=train, test_clips=test, frames=frames)
        profile = replace(profile, data=data)
        if self.actions is None:
            return synthetic_clips(profile, SyntheticPeople(), seed=seed, progress=False)
        real, size = load_actions(self.actions, profile, progress=False), profile.detector.frame
        return replace(real, train=resized(real.train, size), test=resized(real.test, size))


def own_data() -> OwnData:
    """The content of the folder that `$ANONLIB_DATA` names; JHMDB goes before DALY.

    Raises:
        DatasetError: the folder is missing, or holds no set that anonlib can read.
    """
    found = own_sets()
    faces = tuple(found[name] for name in FACES if name in found)
    return OwnData(faces=faces, actions=found.get("jhmdb", found.get("daly")))


def resized(data: ActionFrames, size: tuple[int, int]) -> ActionFrames:
    """The clips at another height and width, with their boxes and landmarks."""
    height, width = data.frames.shape[2:]
    factors = torch.tensor([size[1] / width, size[0] / height])
    return replace(
        data,
        frames=resize(data.frames, size),
        boxes=[boxes * factors.repeat(2) for boxes in data.boxes],
        face_boxes=[boxes * factors.repeat(2) for boxes in data.face_boxes],
        landmarks=[points * factors for points in data.landmarks],
    )

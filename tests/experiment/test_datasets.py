from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anonlib.config import DataConfig, DetectorConfig, ModifierConfig, Profile
from anonlib.errors import FaceDatasetError
from anonlib.experiment import datasets as world_module
from anonlib.experiment.datasets import World, draw_pairs, join_people, make_world, real_faces
from anonlib.types import FaceImages
from anonlib.world.faces import SyntheticPeople, synthetic_faces

TINY = Profile(
    name="tiny",
    modifier=ModifierConfig(size=16, width=4, blocks=1),
    detector=DetectorConfig(backbone="small", frame=(72, 96), width=4),
    data=DataConfig(
        people=3, images=2, test_people=20, test_images=2, pairs=20, train_clips=3, test_clips=2, frames=2
    ),
)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(TINY, seed=1, progress=False)


def test_the_world_is_as_large_as_the_profile_says(world: World):
    assert world.train_faces.images.shape == (6, 3, 16, 16)
    assert world.train_faces.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert world.test_faces.images.shape == (40, 3, 16, 16)
    assert world.train_clips.frames.shape == (6, 3, 72, 96)
    assert world.train_clips.clips.tolist() == [0, 0, 1, 1, 2, 2]
    assert len(world.test_clips) == 4


def test_the_seed_chooses_the_test_people_and_training_people_are_always_the_first(world: World):
    unseen = SyntheticPeople().people("test")[20:40]  # seed 0 has the twenty before
    known = SyntheticPeople().people("train")[:3]
    for found, people in ((world.test_faces, unseen), (world.train_faces, known)):
        expected = synthetic_faces(people, images=2, size=16, seed=1)
        assert torch.equal(found.images, expected.images)
        assert torch.equal(found.landmarks, expected.landmarks)


def test_pairs_speak_of_the_test_faces(world: World):
    labels, pairs = world.test_faces.labels.numpy(), world.pairs
    assert ((labels[pairs.first] == labels[pairs.second]) == pairs.same).all()
    assert np.bincount(pairs.fold).tolist() == [2] * 10


def test_nobody_in_the_training_clips_is_in_the_test_clips(world: World):
    train, test = (set(torch.cat(c.identities).tolist()) for c in (world.train_clips, world.test_clips))
    assert train and test and not train & test


def test_a_seed_gives_one_world_and_another_seed_other_test_people(world: World):
    again = make_world(TINY, seed=1, progress=False)
    other = make_world(replace(TINY, data=replace(TINY.data, train_clips=1)), seed=2, progress=False)
    for part in ("train_faces", "test_faces"):
        assert torch.equal(getattr(world, part).images, getattr(again, part).images)
    assert torch.equal(world.train_clips.frames, again.train_clips.frames)
    assert (world.pairs.first == again.pairs.first).all()
    assert not torch.equal(world.test_faces.images, other.test_faces.images)
    assert not torch.equal(world.train_faces.images, other.train_faces.images)
    assert not torch.equal(world.train_clips.frames[:2], other.train_clips.frames)


def people(count: int, *, level: int = 0) -> FaceImages:
    return FaceImages(
        images=torch.full((2 * count, 3, 4, 4), level, dtype=torch.uint8),
        labels=torch.arange(count).repeat_interleave(2),
        landmarks=torch.full((2 * count, 5, 2), float(level)),
    )


def test_people_of_several_roots_keep_their_pictures_and_share_no_label():
    joined = join_people([people(2, level=1), people(1, level=2), people(3, level=3)])
    assert joined.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert joined.images[:, 0, 0, 0].tolist() == [1] * 4 + [2] * 2 + [3] * 6
    assert joined.landmarks[:, 0, 0].tolist() == [1.0] * 4 + [2.0] * 2 + [3.0] * 6


@pytest.mark.parametrize(("count", "folds"), [(4, 2), (9, 4), (25, 10)])
def test_people_held_back_are_paired_in_as_many_folds_as_they_fill(count: int, folds: int):
    pairs = draw_pairs(people(count), most=6000)
    assert len(np.unique(pairs.fold)) == folds
    assert pairs.same.mean() == 0.5


def test_three_people_are_too_few_to_test_on():
    with pytest.raises(FaceDatasetError, match="3 people are held back for the test and 4 are"):
        draw_pairs(people(3), most=60)


def test_without_lfw_every_fifth_person_is_the_test(monkeypatch: pytest.MonkeyPatch):
    class Folder:
        """Twenty people, two pictures each; no face is looked for."""

        def __init__(self, root: Path, **_: Any) -> None:
            self.root = root

        def people_with(self, pictures: int) -> list[str]:
            return [f"person{k:02}" for k in range(20)]

        def pictures(self, name: str) -> list[Path]:
            return [Path(name)] * 2

        def load(self, names: list[str], **_: Any) -> FaceImages:
            return people(len(names))

    monkeypatch.setattr(world_module, "FaceFolder", Folder)
    twenty = replace(TINY, data=replace(TINY.data, people=20))
    train, test, pairs = real_faces(twenty, [Path("casia")], progress=False)
    held = 4
    assert int(test.labels.max()) + 1 == held
    assert int(train.labels.max()) + 1 == 20 - held
    assert set(pairs.first) | set(pairs.second) <= set(range(len(test)))

"""Who is trained and tested on, in which clips, and how often they show a face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from anonlib.config import DataConfig, DetectorConfig, ModifierConfig, Profile, profile
from anonlib.detection import Faces
from anonlib.errors import ActionDatasetError, ConfigError, FaceDatasetError
from anonlib.experiment import datasets, people as people_module
from anonlib.experiment.datasets import ExperimentData, faces_found, fitted, load_actions, load_data
from anonlib.experiment.people import draw_pairs, join_people, real_faces
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
def data() -> ExperimentData:
    return load_data(TINY, seed=1, progress=False)


def test_the_data_is_as_large_as_the_profile_says(data: ExperimentData):
    assert data.train_faces.images.shape == (6, 3, 16, 16)
    assert data.train_faces.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert data.test_faces.images.shape == (40, 3, 16, 16)
    assert data.train_clips.frames.shape == (6, 3, 72, 96)
    assert data.train_clips.clips.tolist() == [0, 0, 1, 1, 2, 2]
    assert len(data.test_clips) == 4


def test_the_seed_chooses_the_test_people_and_training_people_are_always_the_first(data: ExperimentData):
    unseen = SyntheticPeople().people("test")[20:40]  # seed 0 has the twenty before
    known = SyntheticPeople().people("train")[:3]
    for found, people in ((data.test_faces, unseen), (data.train_faces, known)):
        expected = synthetic_faces(people, images=2, size=16, seed=1)
        assert torch.equal(found.images, expected.images)
        assert torch.equal(found.landmarks, expected.landmarks)


def test_pairs_speak_of_the_test_faces(data: ExperimentData):
    labels, pairs = data.test_faces.labels.numpy(), data.pairs
    assert ((labels[pairs.first] == labels[pairs.second]) == pairs.same).all()
    assert np.bincount(pairs.fold).tolist() == [2] * 10


def test_nobody_in_the_training_clips_is_in_the_test_clips(data: ExperimentData):
    train, test = (set(torch.cat(c.identities).tolist()) for c in (data.train_clips, data.test_clips))
    assert train and test and not train & test


def test_a_seed_gives_one_set_of_data_and_another_seed_other_test_people(data: ExperimentData):
    again = load_data(TINY, seed=1, progress=False)
    other = load_data(replace(TINY, data=replace(TINY.data, train_clips=1)), seed=2, progress=False)
    for part in ("train_faces", "test_faces"):
        assert torch.equal(getattr(data, part).images, getattr(again, part).images)
    assert torch.equal(data.train_clips.frames, again.train_clips.frames)
    assert (data.pairs.first == again.pairs.first).all()
    assert not torch.equal(data.test_faces.images, other.test_faces.images)
    assert not torch.equal(data.train_faces.images, other.train_faces.images)
    assert not torch.equal(data.train_clips.frames[:2], other.train_clips.frames)


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
    with pytest.raises(FaceDatasetError, match="the test has 3 people and needs 4"):
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

    monkeypatch.setattr(people_module, "FaceFolder", Folder)
    twenty = replace(TINY, data=replace(TINY.data, people=20))
    train, validation, test, pairs = real_faces(twenty, [Path("casia")], progress=False)
    held = 4
    assert int(test.labels.max()) + 1 == held
    assert int(train.labels.max()) + int(validation.labels.max()) + 2 == 20 - held
    assert set(pairs.first) | set(pairs.second) <= set(range(len(test)))


SMALL = replace(profile("smoke"), data=replace(profile("smoke").data, frames=3))


@pytest.fixture
def one_face(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that finds one face in every brighter frame."""

    def look(frames: torch.Tensor) -> list[SimpleNamespace]:
        counts = [int(frame.mean() > 90 / 255) for frame in frames]
        return [SimpleNamespace(boxes=torch.ones(k, 4), landmarks=torch.zeros(k, 5, 2)) for k in counts]

    monkeypatch.setattr(datasets.detection, "create", lambda _, **__: look)


@pytest.mark.usefixtures("one_face")
@pytest.mark.parametrize(("protocol", "train", "test"), [("split1", 3, 3), ("boxed", 1, 2)])
def test_each_protocol_has_its_clips(small_jhmdb: Path, protocol: str, train: int, test: int):
    found = load_actions(small_jhmdb, SMALL, protocol=protocol, progress=False)
    assert found.actions == ("catch", "pour", "wave")
    assert len(found.train.clips.unique()) == train and len(found.train) == 3 * train
    assert len(found.test.clips.unique()) == test


@pytest.mark.usefixtures("one_face")
def test_faces_are_counted_by_action(small_jhmdb: Path):
    test = load_actions(small_jhmdb, SMALL, progress=False).test
    rows = {row["action"]: row for row in faces_found(test, ("catch", "pour", "wave"))}
    # grey of catch 0, 30, 60; of pour 40, 70, 100; of wave 80, 110, 140
    assert rows["catch"]["share_with_a_face"] == 0
    assert rows["pour"]["share_with_a_face"] == pytest.approx(1 / 3)
    assert rows["wave"]["share_with_a_face"] == pytest.approx(2 / 3)
    assert (rows["wave"]["touches_face"], rows["catch"]["touches_face"]) == (True, False)
    assert rows["wave"]["frames"] == 3


@pytest.mark.usefixtures("one_face")
def test_unsure_training_clips_are_left_out(small_jhmdb: Path):
    path = small_jhmdb / "boxes_train.csv"
    lines = [
        line[: -len("0.5")] + "0.2" if line.startswith("A_pour") else line
        for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines) + "\n")
    found = load_actions(small_jhmdb, SMALL, progress=False)
    assert torch.cat(found.train.labels).unique().tolist() == [0, 2]
    assert torch.cat(found.test.labels).unique().tolist() == [0, 1, 2]


def test_a_protocol_that_is_unknown_and_a_folder_that_is_empty(small_jhmdb: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="protocol 'all' is unknown: use one of split1, boxed"):
        load_actions(small_jhmdb, SMALL, protocol="all")
    with pytest.raises(ActionDatasetError, match="holds no ReCompress_Videos"):
        load_actions(tmp_path / "nothing", SMALL)


def test_limits_for_daly_cut_no_clip_of_jhmdb(small_jhmdb: Path):
    paper, laptop = (fitted(profile(name), small_jhmdb).data for name in ("paper", "laptop"))
    assert (paper.train_clips, paper.test_clips) == (660, 268)
    assert (laptop.train_clips, laptop.test_clips) == (400, 200)


def test_the_profile_chooses_who_finds_the_faces(small_jhmdb: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[str, str]] = []

    def create(name: str, *, device: str) -> Any:
        asked.append((name, device))
        nobody = Faces(boxes=torch.zeros(0, 4), scores=torch.zeros(0), landmarks=torch.zeros(0, 5, 2))
        return lambda frames: [nobody] * len(frames)

    monkeypatch.setattr(datasets.detection, "create", create)
    load_actions(small_jhmdb, SMALL, progress=False)
    load_actions(small_jhmdb, profile("paper"), device="cuda", progress=False)
    assert asked == [("ssh", "cpu"), ("cascade", "cuda")]


@pytest.mark.parametrize(("folds", "count"), [("6-10", 5), ("all", 10)])
def test_the_profile_chooses_the_folds_of_lfw(folds: str, count: int, monkeypatch: pytest.MonkeyPatch):
    class TestedError(Exception):
        """The folds are known."""

    def people_in_folds(root: Path, numbers: range) -> set[str]:
        assert list(numbers) == list(range(11 - count, 11))
        raise TestedError

    monkeypatch.setattr(people_module, "FaceFolder", lambda root, **_: SimpleNamespace(root=root))
    monkeypatch.setattr(people_module, "pairs_file", lambda root: root)
    monkeypatch.setattr(people_module, "people_in_folds", people_in_folds)
    with pytest.raises(TestedError):
        real_faces(replace(TINY, data=replace(TINY.data, folds=folds)), [Path("lfw")])


def test_the_profile_takes_the_classes_and_the_shape_of_the_frames(small_jhmdb: Path):
    laptop, paper = (fitted(profile(name), small_jhmdb).detector for name in ("laptop", "paper"))
    assert (laptop.classes, laptop.frame) == (3, (144, 192))
    assert (paper.classes, paper.frame) == (3, (340, 453))  # section 4: shorter side 340
